"""What a person may set about the guards of a run that samples while it trains. Free of torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LiveGuardSettings(BaseModel):
    """What every algorithm that samples completions while it trains inherits (`online_fields.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    guards: Literal["stop", "watch"] = Field(
        "stop",
        description="What happens when the completions sampled in training break: the run is stopped, or only the "
        "chart on its page shows it.",
    )
    guard_patience: int = Field(
        3, ge=1, le=1000, description="Looks in a row at which one guard must fail before the run is stopped."
    )
