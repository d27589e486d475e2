"""What a person may set for PPO. Free of torch; the other algorithms' settings are in `trainer/configs.py`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from trainer.online_fields import Online


class PPOConfig(Online):
    """Proximal policy optimisation against a reward (Schulman et al. 2017; Ziegler et al. 2019).

    A step samples `rollouts` completions, scores them, and makes `ppo_epochs` passes of updates over them.
    """

    ppo_epochs: int = Field(4, ge=1, le=100, description="Passes over each batch of rollouts.")
    gamma: float = Field(1.0, gt=0, le=1, description="Discount of a reward one token later.")
    lam: float = Field(0.95, ge=0, le=1, description="Lambda of the advantages (GAE): 1 is the least biased.")
    clip: float = Field(0.2, gt=0, le=1, description="How far a token's probability ratio may move from 1.")
    value_clip: float = Field(0.2, gt=0, le=100, description="How far a value may move from the one at sampling.")
    value_weight: float = Field(0.1, ge=0, le=100, description="Weight of the values' loss.")
    dual_clip: float = Field(0.0, ge=0, le=100, description="Bound on a bad token's loss, above 1; 0 sets none.")
    max_ratio: float = Field(
        10.0, ge=0, le=1e6, description="Mean ratio above which an update is left out; 0 sets no limit."
    )
    target_kl: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Nats a pass may move the policy before the other passes are left out; 0: all are made.",
    )
    kl: float = Field(0.05, gt=0, le=100, description="Weight of the distance to the reference in the reward.")
    kl_estimator: Literal["k1", "abs", "k2", "k3"] = Field("k1", description="Estimate of that distance, per token.")
    kl_target: float = Field(
        0.0, ge=0, le=1000, description="Nats per completion that the weight is steered to; 0 keeps the weight."
    )
    kl_horizon: float = Field(2000.0, gt=0, le=1e9, description="Completions over which that steering takes place.")
    normalise_scores: bool = Field(
        False, description="Take the sum of the rewards less its mean over its spread, too; each reward is so already."
    )
    whiten_rewards: bool = Field(False, description="Rewards of a batch of unit spread, their mean kept.")
    score_clip: float = Field(0.0, ge=0, le=1e6, description="Largest score, either way; 0 sets no limit.")
    missing_end: Literal["replace", "subtract"] = Field("subtract", description="How the penalty meets the score.")
    ptx_weight: float = Field(
        0.0, ge=0, le=1000, description="Weight of the chosen completions' likelihood in every update (PTX)."
    )
    sft_every: int = Field(
        0, ge=0, le=1_000_000, description="Steps after which the chosen completions are imitated; 0: never."
    )
    sft_steps: int = Field(5, ge=1, le=10_000, description="Updates of such an imitation.")

    @property
    def needs_choices(self) -> bool:
        return super().needs_choices or bool(self.ptx_weight or self.sft_every)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.dual_clip and self.dual_clip <= 1:
            raise ValueError(
                f"dual_clip is {self.dual_clip}; it bounds a loss from above and is more than 1, or 0 for off"
            )
        return self
