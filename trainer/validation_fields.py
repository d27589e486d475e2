"""What a person may set for runs that look at examples they do not learn from: when, what ends them, what is kept.

Leaves out the looks themselves (`trainer/algorithms/validation.py`). Free of torch.
"""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from trainer.base_config import AlgorithmConfig

LOSS = "loss"


class Looks(BaseModel):
    """When a run looks, and what follows from it."""

    validate_every: int = Field(
        20,
        ge=0,
        le=1_000_000,
        description="Optimiser steps between two looks at pairs of validation prompts, where there are 50; 0: none.",
    )
    patience: int = Field(
        0, ge=0, le=10_000, description="Looks in a row that find nothing better, after which the run ends; 0: never."
    )
    keep: Literal["last", "best"] = Field(
        "last", description="Which step's weights are the checkpoint: the last, or that of the best look."
    )

    @model_validator(mode="after")
    def _looks_are_made(self) -> Self:
        if not self.validate_every and (self.patience or self.keep == "best"):
            wish = f"patience: {self.patience}" if self.patience else "keep: 'best'"
            raise ValueError(f"{wish} was given, but validate_every is 0 and nothing is looked at; set it above 0")
        return self


class Validated(Looks, AlgorithmConfig):
    """What else the looks may go by in a run that makes a policy."""

    validate_by: str = Field(
        LOSS,
        pattern=r"^(loss|reward_model-[0-9]+)$",
        description="What a look goes by: the loss on validation pairs, or the id of a reward model: its mean score of "
        "the policy's own completions of validation prompts.",
    )
