"""The kinds of rewards that a person may choose, with their options: defaults, bounds and one sentence a field.

Leaves out how they are added up (`configs.py`), and what they do (one file per family beside this one). Free of torch.
"""

from typing import Annotated, Any, Literal, Self

import regex
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from trainer.starter.rules import RULES
from trainer.text_measures import script_names

BUNDLED = "bundled"


def _as_list(value: Any) -> Any:
    """The parts of "a, b", as forms and the command line have it; anything else unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _scripts(names: tuple[str, ...]) -> tuple[str, ...]:
    upper = tuple(name.upper() for name in names)
    if unknown := [name for name in upper if name not in script_names()]:
        raise ValueError(f"{unknown[0]!r} is no script; LATIN, CYRILLIC, GREEK, ARABIC, CJK, HANGUL are some")
    return upper


def _pattern(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Scripts = Annotated[tuple[str, ...], BeforeValidator(_as_list), AfterValidator(_scripts)]
Pattern = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_pattern)]
BatchSize = Annotated[int, Field(ge=1, le=4096, description="Completions in one forward pass.")]
MaxLength = Annotated[
    int, Field(ge=16, le=1_000_000, description="Tokens of prompt and completion together that are read.")
]


class Options(BaseModel):
    """Closed and unchangeable, as all settings are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Term(Options):
    """One reward of the sum."""

    kind: str
    weight: float = Field(
        1.0, ge=-1000, le=1000, description="Factor in the sum; negative where less is better, 0 only logs the reward."
    )
    name: str = Field(
        "", pattern=r"^[a-z0-9_-]{0,40}$", description="What its metrics are called; the kind where empty."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_options(cls, values: Any) -> Any:
        unknown = set(values) - set(cls.model_fields) if isinstance(values, dict) else set()
        if unknown:
            raise ValueError(f"there is no option {min(unknown)!r}; the options are {', '.join(cls.model_fields)}")
        return values

    @property
    def title(self) -> str:
        """The name that tells it from the other terms."""
        return self.name or self.kind


class Similarity(Term):
    """Cosine of the embeddings of completion and reference, -1 to 1; None without a reference."""

    kind: Literal["similarity"] = "similarity"
    model: str = Field(
        BUNDLED,
        min_length=1,
        description="bundled (all-MiniLM-L6-v2, works offline), or a sentence-transformers folder or hub id.",
    )
    batch_size: BatchSize = 32


class Bleu(Term):
    """Sentence BLEU against the reference, 0 to 1, by sacrebleu; None without a reference."""

    kind: Literal["bleu"] = "bleu"
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = Field(
        "13a", description="How sacrebleu parts words; zh or char for scripts without spaces."
    )


class Rouge(Term):
    """ROUGE F1 against the reference, 0 to 1, by rouge-score; None without a reference."""

    kind: Literal["rouge"] = "rouge"
    measure: Literal["rouge1", "rouge2", "rougeL"] = Field(
        "rougeL", description="Common words, common word pairs, or the longest common subsequence of words."
    )


class ExactMatch(Term):
    """1 where completion and reference are the same text, else 0; None without a reference."""

    kind: Literal["exact_match"] = "exact_match"
    ignore_case: bool = Field(True, description="Capital and small letters are the same.")
    ignore_punctuation: bool = Field(True, description="Only words are compared.")


class Preferences(Term):
    """The score of a reward model that is fitted to the run's choices before it begins."""

    kind: Literal["preferences"] = "preferences"
    max_length: MaxLength = 512
    batch_size: BatchSize = 16


class RewardModel(Term):
    """The score of one of our reward-model checkpoints; None where its chat template refuses the prompt."""

    kind: Literal["reward_model"] = "reward_model"
    checkpoint: str = Field(min_length=1, description="Id or folder of a reward-model checkpoint.")
    form: Literal["score", "sigmoid"] = Field("score", description="The bare score, or its sigmoid, 0 to 1.")
    max_length: MaxLength = 512
    batch_size: BatchSize = 16


class Classifier(Term):
    """What a sequence classifier of transformers says of one label."""

    kind: Literal["classifier"] = "classifier"
    model: str = Field(min_length=1, description="Folder or hub id of a sequence classifier.")
    label: str = Field("", description="The label's name or number; may be empty where there is only one.")
    form: Literal["probability", "logit"] = Field(
        "probability",
        description="Probability of the label (softmax, or sigmoid of a multi-label model), or its logit.",
    )
    with_prompt: bool = Field(
        False, description="Give the last user message as the first text and the completion as the second."
    )
    max_length: MaxLength = 512
    batch_size: BatchSize = 16


class Judge(Term):
    """Probability of winning against a fixed text by a local judge, half of a tie added, the mean of both orders."""

    kind: Literal["judge"] = "judge"
    judge: str = Field(
        "starter",
        min_length=1,
        description="starter, similarity, or id, folder or hub id of a reward model or a causal language model.",
    )
    against: Literal["reference", "text"] = Field(
        "reference", description="What the completion must win against: the prompt's reference, or `text` for all."
    )
    text: str = Field("", max_length=10_000, description="The completion that all prompts are compared with.")
    rubric: str = Field("helpful", min_length=1, description="What a language model judges by: a name or a file.")

    @model_validator(mode="after")
    def _one_opponent(self) -> Self:
        if (self.against == "text") != bool(self.text.strip()):
            raise ValueError("`text` is given where `against` is text, and only there")
        return self


class Length(Term):
    """1 inside a band of lengths; outside it falls to 0 over `margin`."""

    kind: Literal["length"] = "length"
    shortest: int = Field(1, ge=0, le=1_000_000, description="Least length that has the full reward.")
    longest: int = Field(100, ge=1, le=1_000_000, description="Greatest length that has the full reward.")
    margin: int = Field(0, ge=0, le=1_000_000, description="How far outside the band the reward is 0; 0 is at once.")
    unit: Literal["words", "characters"] = Field("words", description="What is counted; punctuation is no word.")

    @model_validator(mode="after")
    def _a_band(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest is {self.shortest} and longest {self.longest}; nothing lies between them")
        return self


class Match(Term):
    """1 where every pattern of `must` is found and none of `must_not`, else 0; too slow a search counts as 0."""

    kind: Literal["match"] = "match"
    must: tuple[Pattern, ...] = Field((), max_length=50, description="Regular expressions that must be found.")
    must_not: tuple[Pattern, ...] = Field((), max_length=50, description="Regular expressions that must not be found.")
    ignore_case: bool = Field(True, description="Capital and small letters are the same.")
    seconds: float = Field(0.1, gt=0, le=10, description="Time that one search may take.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.must + self.must_not:
            raise ValueError("give at least one pattern, in must or in must_not")
        return self


class Script(Term):
    """Share of the letters that belong to these scripts; 1 for a text without letters."""

    kind: Literal["script"] = "script"
    scripts: Scripts = Field(("LATIN",), min_length=1, description="LATIN, CYRILLIC, CJK, ...; several with commas.")


class Json(Term):
    """1 where the whole completion is valid JSON of this shape, else 0."""

    kind: Literal["json"] = "json"
    shape: Literal["object", "array", "any"] = Field("object", description="What the outermost value must be.")
    keys: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        (), description="Keys that an object must have; several with commas."
    )
    fence: bool = Field(False, description="One Markdown code fence around it is allowed.")


class Rule(Term):
    """1 where a named rule of the starter's simulated labellers is kept, else 0."""

    kind: Literal["rule"] = "rule"
    rule: str = Field(description=f"One of {', '.join(RULES)}, or not- before one of them.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.rule.removeprefix("not-") not in RULES:
            raise ValueError(f"{self.rule!r} is no rule; there are {', '.join(RULES)}, and each with not- before it")
        return self


class InContext(Term):
    """1 where the completion is an item of the prompt's list or a span of its text, else 0; None without either."""

    kind: Literal["in_context"] = "in_context"
    threshold: float = Field(0.9, gt=0, le=1, description="Least similarity of characters that counts as the same.")
    several: bool = Field(False, description="Several items or spans with commas or lines between them are allowed.")
    least_words: int = Field(1, ge=1, le=1000, description="Words that a span of a text must have.")


class Diversity(Term):
    """Mean tf-idf of the completion's words, 0 to 1; very short completions get a share of it."""

    kind: Literal["diversity"] = "diversity"


class Function(Term):
    """A function of your own with the signature of all rewards."""

    kind: Literal["function"] = "function"
    path: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="package.module:function; the operator must have allowed it.",
    )


AnyTerm = Annotated[
    Similarity
    | Bleu
    | Rouge
    | ExactMatch
    | Preferences
    | RewardModel
    | Classifier
    | Judge
    | Length
    | Match
    | Script
    | Json
    | Rule
    | InContext
    | Diversity
    | Function,
    Field(discriminator="kind"),
]
