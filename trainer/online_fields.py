"""What a person may set for every method that learns from its own completions while it trains. Free of torch.

Leaves out what each method adds (`ppo_config.py`, `online_config.py`) and the rewards themselves (`trainer/rewards`).
"""

from typing import Literal

from pydantic import Field

from trainer.base_config import AlgorithmConfig, Epochs, LearningRate
from trainer.live_guard_config import LiveGuardSettings
from trainer.rewards.configs import MOST_TERMS, GoldSettings, Rewards, RewardSettings
from trainer.rewards.terms import Preferences
from trainer.validation_fields import Looks


class Online(RewardSettings, GoldSettings, LiveGuardSettings, Looks, AlgorithmConfig):
    """A step samples `rollouts` completions of train prompts, scores them with the rewards, and learns from them."""

    rewards: Rewards = Field(
        (Preferences.model_validate({}),),
        max_length=MOST_TERMS,
        description="What completions are worth: preferences (a reward model fitted to the choices first), or other "
        'kinds with commas, or JSON with options, such as [{"kind": "similarity", "weight": 2}, {"kind": "length"}].',
        json_schema_extra={"default": "preferences"},
    )
    learning_rate: LearningRate = 3e-4
    epochs: Epochs = 20
    max_steps: int = Field(
        60,
        ge=0,
        le=10_000_000,
        description="Rollout batches after which the run ends in any case; 0: no limit.",
    )
    batch_size: int = Field(16, ge=1, le=4096, description="Completions in one forward pass.")
    save_steps: int = Field(5, ge=1, le=1_000_000, description="Rollout batches between two saves.")
    validate_every: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Steps between two looks at the mean reward of completions of 64 validation prompts; 0: none.",
    )
    rollouts: int = Field(64, ge=2, le=65_536, description="Completions sampled for one step.")
    max_new_tokens: int = Field(64, ge=1, le=16_384, description="Tokens after which a completion is cut off.")
    temperature: float = Field(1.0, gt=0, le=10, description="At which completions are sampled, and judged likely.")
    missing_end_penalty: float = Field(1.0, ge=0, le=1e6, description="Of a completion that was cut off.")
    start_from: Literal["initial", "served"] = Field(
        "initial", description="A fresh adapter on the initial model, or the adapter now served, trained further."
    )

    @property
    def needs_choices(self) -> bool:
        return any(isinstance(term, Preferences) for term in self.rewards)
