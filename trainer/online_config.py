"""What a person may set for RLOO, GRPO and online DPO. Free of torch; PPO's settings are in `ppo_config.py`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from trainer.base_config import LearningRate
from trainer.online_fields import Online


class GroupConfig(Online):
    """What RLOO and GRPO have in common: completions of one prompt are held against each other."""

    kl: float
    learning_rate: LearningRate = 3e-4
    group_size: int = Field(4, ge=2, le=1024, description="Completions of each prompt, held against each other.")
    passes: int = Field(2, ge=1, le=100, description="Passes over each batch of rollouts.")
    clip: float = Field(0.2, gt=0, le=1, description="How far a probability ratio may move from 1.")

    @property
    def updates(self) -> int:
        """Optimiser steps on each batch of rollouts."""
        return self.rollouts // (self.batch_size * self.gradient_accumulation) * self.passes

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        update = self.batch_size * self.gradient_accumulation
        if self.rollouts % self.group_size or self.rollouts % update:
            raise ValueError(
                f"rollouts: {self.rollouts} was given, and they are parted into groups of {self.group_size} and into "
                f"updates of {update} (batch_size times gradient_accumulation); set it to a multiple of both"
            )
        return self


class RLOOConfig(GroupConfig):
    """REINFORCE with the other completions of a prompt as baseline (Ahmadian et al. 2024)."""

    kl: float = Field(0.05, ge=0, le=100, description="Weight of the distance to the reference in the reward.")
    normalise_advantages: bool = Field(False, description="Take advantages less their mean over their spread.")


class GRPOConfig(GroupConfig):
    """Group relative policy optimisation (Shao et al. 2024)."""

    kl: float = Field(0.05, ge=0, le=100, description="Weight of the distance to the reference in the loss.")
    loss_type: Literal["dapo", "grpo", "bnpo", "dr_grpo"] = Field(
        "dapo",
        description="Mean of the loss over all tokens of an update (dapo), of a forward pass (bnpo), of a completion "
        "and then over completions (grpo), or the sum over the longest possible (dr_grpo).",
    )
    scale: Literal["group", "batch", "none"] = Field(
        "group", description="Whose spread the advantages are divided by: the prompt's, the batch's, or none."
    )
    level: Literal["token", "sequence"] = Field(
        "token", description="Whether a token's probability ratio is clipped, or the completion's mean one (GSPO)."
    )
    clip_high: float = Field(
        0.0, ge=0, le=10, description="How far a ratio may rise above 1 where that is further than clip; 0: as far."
    )


class OnlineDPOConfig(Online):
    """DPO on pairs of the policy's own completions, the better rewarded of each two chosen (Guo et al. 2024)."""

    beta: float = Field(
        0.1, gt=0, le=100, description="Weight of the reference: nats of log-ratio are multiplied by it."
    )
    batch_size: int = Field(4, ge=1, le=4096, description="Pairs in one forward pass.")
    passes: int = Field(2, ge=1, le=100, description="Passes over the pairs of each batch of rollouts.")
    least_gap: float = Field(
        0.0, ge=0, le=1e6, description="Rewards of two completions that are no further apart make no pair."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of pairs taken to be the wrong way round (conservative DPO)."
    )

    @model_validator(mode="after")
    def _two_of_each(self) -> Self:
        if self.rollouts % 2:
            raise ValueError(f"rollouts: {self.rollouts} was given, and each prompt has two; set it to an even number")
        return self


ONLINE: Mapping[str, type[Online]] = MappingProxyType(
    {"rloo": RLOOConfig, "grpo": GRPOConfig, "online_dpo": OnlineDPOConfig}
)
