"""What a checkpoint may be held against: another one, the data's chosen texts, or imported texts of an outside model.

Leaves out the texts themselves (trainer/evaluation/judged_texts.py, storage/outside.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from storage.checkpoints import INITIAL, list_checkpoints
from storage.outside import outside_baseline, outside_model, outside_models
from storage.pairs import preference_pairs
from storage.tables import Checkpoint, CheckpointKind, Split
from trainer.evaluation.judged_texts import CHOSEN

CHOSEN_NAME = "the chosen texts"


@dataclass(frozen=True)
class Baseline:
    """`prompts`: on how many held-out prompts it has a text already; None where it writes one when it is asked."""

    id: str
    name: str
    kind: Literal["checkpoint", "chosen", "outside"]
    prompts: int | None = None


def checkpoints_that_write(session: Session) -> list[Checkpoint]:
    """Newest first, the initial one last."""
    found = [c for c in list_checkpoints(session) if c.kind is not CheckpointKind.reward_model]
    return sorted(reversed(found), key=lambda c: c.id == INITIAL)


def list_baselines(session: Session) -> list[Baseline]:
    """Checkpoints that write, then what was chosen and what was imported."""
    pairs = preference_pairs(session, splits=[Split.heldout])
    chosen = [Baseline(CHOSEN, CHOSEN_NAME, "chosen", len({pair.prompt_id for pair in pairs}))] if pairs else []
    outside = [
        Baseline(outside_baseline(model), model, "outside", prompts)
        for model, prompts in outside_models(session).items()
    ]
    return [*(Baseline(c.id, c.name, "checkpoint") for c in checkpoints_that_write(session)), *chosen, *outside]


def baseline_name(baseline: str, names: Mapping[str, str]) -> str:
    """For people; `names` are those of checkpoints."""
    if baseline in names:
        return names[baseline]
    model = outside_model(baseline)
    return CHOSEN_NAME if baseline == CHOSEN else f"{model} (imported)" if model else baseline


def writes_itself(baseline: str) -> bool:
    """Whether it must be a checkpoint; the others have their texts already."""
    return baseline != CHOSEN and outside_model(baseline) is None
