"""The gate's decision as runs and checkpoints show it."""

from typing import Any

from pydantic import BaseModel, Field

from app.api.shapes import finite
from storage.tables import GateDecisionRow, Outcome


class GateShape(BaseModel):
    outcome: Outcome
    reasons: list[str]
    baseline_id: str = Field(description="what it was measured against")
    guards: list[dict[str, Any]] = Field(description="name, passed, value, limit and reason of each")
    figures: dict[str, Any] = Field(description="accuracy, win rate, intervals")


def gate_shape(decision: GateDecisionRow | None) -> GateShape | None:
    """None for a run that has not been decided, or never is (a reward model)."""
    if decision is None:
        return None
    return GateShape(
        outcome=decision.outcome,
        reasons=decision.reasons,
        baseline_id=decision.baseline_id,
        guards=finite(decision.guards),
        figures=finite(decision.figures),
    )
