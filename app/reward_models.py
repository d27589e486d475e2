"""Which models a run's rewards may be read from: those that come along, this project's own, those the operator listed.

A folder or a hub id that a person types would be loaded, or fetched, by the trainer; a rubric's path would be read.
So a form names only what is known here. Functions have a list of their own (trainer/rewards/function.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from storage.errors import Invalid
from trainer.evaluation.judges.rubric_text import NAME
from trainer.rewards.terms import BUNDLED

NAMED = {"similarity": "model", "classifier": "model", "reward_model": "checkpoint", "judge": "judge"}
OF_OURS = {"similarity": (BUNDLED,), "judge": ("starter", "similarity")}


def check_reward_models(config: Mapping[str, Any], *, listed: Sequence[str], own: Callable[[], Sequence[str]]) -> None:
    """Raises Invalid for a reward or gold reward of the config that names another model, or a rubric by its path.

    listed: the operator's. own: gives the ids of this project's checkpoints, asked for only where it matters.
    """
    for kind, term in _terms(config):
        name = str(term.get(NAMED[kind], ""))
        if name not in OF_OURS.get(kind, ()) and name not in listed and name not in own():
            known = ", ".join((*OF_OURS.get(kind, ()), *listed)) or "none"
            raise Invalid(
                f"The model {name[:200]!r} of the reward {kind} is not known here.",
                hint=f"There are {known} and checkpoints by id; the operator adds others in PREFLOOP_REWARD_MODELS.",
            )
        rubric = str(term.get("rubric", ""))
        if rubric and not NAME.fullmatch(rubric.partition("@")[0]):
            raise Invalid(f"The rubric {rubric[:200]!r} is no name.", hint="Name one of GET /api/v1/rubrics.")


def _terms(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for field in ("rewards", "gold"):
        for term in config.get(field) or ():
            if isinstance(term, Mapping) and term["kind"] in NAMED:
                yield term["kind"], term
