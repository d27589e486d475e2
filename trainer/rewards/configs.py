"""How rewards are added up, and the hard filters: what an algorithm's config takes by inheriting `RewardSettings`.

The form, the API and the CLI draw it from the JSON schema like every other field. Leaves out the kinds of rewards
(`terms.py`) and the adding up itself (`composition.py`). Free of torch.
"""

import json
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from trainer.rewards.terms import AnyTerm, Options, Scripts, Similarity

MOST_TERMS = 20
NONE = "none"


class HardFilters(Options):
    """Faults that no reward may outweigh; a completion with one gets `filtered_reward` and is scored by no term."""

    script: bool = Field(
        True, description="Letters of a script that neither the prompt nor its reference nor `scripts` has."
    )
    scripts: Scripts = Field(("LATIN",), description="Scripts that are always allowed; several with commas.")
    repetition: bool = Field(True, description="Most word triples occur again, or one unit is repeated in a row.")
    missing_end: bool = Field(False, description="The completion did not end by itself.")
    shortest: int = Field(1, ge=0, le=1_000_000, description="Least length in characters, blanks at the ends left out.")
    longest: int = Field(0, ge=0, le=1_000_000, description="Greatest length in characters; 0 sets no limit.")


def _as_terms(value: Any) -> Any:
    """Terms as JSON, or kinds with commas between them, as forms and the command line have it."""
    if not isinstance(value, str):
        return value
    if value.strip()[:1] not in ("[", "{"):
        return [{"kind": name.strip()} for name in value.split(",") if name.strip()]
    try:
        terms = json.loads(value)
    except ValueError as error:
        raise ValueError(f"it begins like JSON and is none: {error}") from None
    return terms if isinstance(terms, list) else [terms]


def _as_object(value: Any) -> Any:
    """Options as JSON, as forms and the command line have them; anything else unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f'it is no JSON object such as {{"script": true}}: {error}') from None


def _as_gold(value: Any) -> Any:
    """The same, where none is a choice."""
    return () if isinstance(value, str) and value.strip() in ("", NONE) else _as_terms(value)


Rewards = Annotated[tuple[AnyTerm, ...], BeforeValidator(_as_terms)]
GoldRewards = Annotated[tuple[AnyTerm, ...], BeforeValidator(_as_gold)]
Filters = Annotated[HardFilters, BeforeValidator(_as_object)]


class RewardSettings(Options):
    """What an algorithm that needs a reward inherits: the terms, how they are added up, and the filters."""

    rewards: Rewards = Field(
        (Similarity.model_validate({}),),
        description="The rewards that are added up: kinds with commas, or JSON with options, such as "
        '[{"kind": "similarity", "weight": 2}, {"kind": "length", "longest": 40}].',
    )
    z_score: bool = Field(
        True, description="Before the sum, take each reward less its running mean, over its running deviation."
    )
    reward_low: float = Field(-3.0, ge=-1e6, le=1e6, description="Sums below it are raised to it.")
    reward_high: float = Field(3.0, ge=-1e6, le=1e6, description="Sums above it are lowered to it.")
    filters: Filters = Field(
        HardFilters.model_validate({}),
        description='Faults that no reward may outweigh, as JSON: {"missing_end": true, "longest": 500}.',
    )
    filtered_reward: float | None = Field(
        None,
        ge=-1e6,
        le=1e6,
        description="The reward of a completion with such a fault; reward_low where nothing is given.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not self.reward_low < self.reward_high:
            raise ValueError(f"reward_low is {self.reward_low} and reward_high {self.reward_high}; low must be less")
        if self.filtered_reward is not None and self.filtered_reward > self.reward_low:
            raise ValueError(
                f"filtered_reward is {self.filtered_reward} and reward_low {self.reward_low}; a fault would be worth "
                "more than a bad completion"
            )
        return self

    @model_validator(mode="after")
    def _names(self) -> Self:
        if not 1 <= len(self.rewards) <= MOST_TERMS:
            raise ValueError(f"there are {len(self.rewards)} rewards; give 1 to {MOST_TERMS}")
        labels = [term.title for term in self.rewards]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise ValueError(f"several rewards are called {twice[0]!r}; give each a name of its own")
        if taken := {"total", "filtered", "clipped"} & set(labels):
            raise ValueError(f"a reward cannot be called {min(taken)!r}, which is a metric of all; name it otherwise")
        return self


class GoldSettings(Options):
    """What an algorithm that samples completions while it trains inherits: rewards that it does not learn from."""

    gold: GoldRewards = Field(
        (),
        max_length=MOST_TERMS,
        description="Rewards that are only measured, to see whether what is trained on stays in step with what is "
        'meant: none, kinds with commas, or JSON with options, such as [{"kind": "judge"}].',
        json_schema_extra={"default": NONE},
    )

    @model_validator(mode="after")
    def _gold_names(self) -> Self:
        labels = [term.title for term in self.gold]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise ValueError(f"several gold rewards are called {twice[0]!r}; give each a name of its own")
        return self
