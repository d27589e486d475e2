"""Settings that several methods of offline reinforcement learning share, to be mixed into their configs.

Each class is one concern: what completions are worth, the bound of the ratio, the push of the KL variants, the fit of
the reference's value. Leaves out the configs themselves (`trainer/configs.py`). Free of torch.
"""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

PREFERENCES = "preferences"
PREFERENCE_REWARDS = (1.0, 0.0)
"""What the chosen and the rejected are worth where people's choices are the reward."""
PREFERENCE_VALUE = 0.5
"""The reference's value of any prompt there: of two of its own completions, each is the chosen one half of the time."""


class Worth(BaseModel):
    """What completions are worth."""

    reward: str = Field(
        PREFERENCES,
        pattern=r"^(preferences|reward_model-[0-9]+)$",
        description="What completions are worth: preferences (chosen 1, rejected 0), or the id of a reward model, "
        "whose score is brought between 0 and 1.",
    )


class Rewarded(Worth):
    """What completions are worth, and which of them are drawn."""

    sampling: Literal["good_priority", "good_random", "all_priority", "uniform"] = Field(
        "good_priority",
        description="What is drawn: chosen completions by what they are worth (good_priority) or evenly (good_random), "
        "chosen and rejected by worth (all_priority), or all of them in turn (uniform).",
    )

    @model_validator(mode="after")
    def _draws_teach(self) -> Self:
        pushed_down = getattr(self, "kl_beta", 0.0) > 0
        if self.sampling == "uniform" and self.reward == PREFERENCES and not pushed_down:
            raise ValueError(
                "sampling: 'uniform' was given, but with reward preferences the rejected are worth 0 and teach this "
                "method nothing; choose good_random, or name a reward model"
            )
        return self


class Clipped(BaseModel):
    """The bound of the importance weight."""

    clip: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="Half width of the interval around 1 that the ratio of policy to reference is held in; 0 sets no "
        "bound.",
    )

    @property
    def ratio_clip(self) -> float | None:
        return self.clip or None


class Valued(BaseModel):
    """How the reference's value of a prompt is fitted; with reward preferences it is one half without a fit."""

    value_samples: int = Field(
        4,
        ge=2,
        le=8,
        description="Completions the reference samples per prompt, whose mean reward its value is fitted to.",
    )
    value_epochs: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Most passes of fitting the value; prompts held out of the fit end it earlier.",
    )
    value_learning_rate: float = Field(1e-3, gt=0, le=1, description="Learning rate of AdamW when the value is fitted.")
    baseline_update_threshold: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="By how much the policy's mean reward on held-out prompts must exceed the reference's for it to "
        "become the reference; 0: it never does.",
    )
    baseline_every: int = Field(
        20, ge=1, le=1_000_000, description="Optimiser steps between two looks at whether the reference should move."
    )

    @model_validator(mode="after")
    def _moves_with_a_reward(self) -> Self:
        given = self.baseline_update_threshold
        if given and getattr(self, "reward", PREFERENCES) == PREFERENCES:
            raise ValueError(
                f"baseline_update_threshold: {given:g} was given, but choices say nothing of new completions; name a "
                "reward model, or set it to 0"
            )
        if given and (getattr(self, "patience", 0) or getattr(self, "keep", "last") == "best"):
            raise ValueError(
                f"baseline_update_threshold: {given:g} was given, but a run whose reference moves has no one loss that "
                "patience or keep could go by; leave these at 0 and last, or set it to 0"
            )
        if given and getattr(self, "adapter", "lora") in ("full", "bottleneck"):
            raise ValueError(
                f"baseline_update_threshold: {given:g} was given, but the next reference is a base with an "
                "adapter merged into it; set adapter to lora, dora or rslora, or it to 0"
            )
        return self


class PushedDown(BaseModel):
    """The constant that the KL variants subtract from what a completion is worth, and how far that may push."""

    kl_beta: float = Field(
        0.1,
        ge=0,
        le=100,
        description="Subtracted from what a completion is worth; one that is worth less is pushed down.",
    )
    push_limit: float = Field(
        10.0,
        ge=0,
        le=10_000,
        description="Nats below the reference at which a completion is no longer pushed down.",
    )

    @property
    def log_ratio_floor(self) -> float:
        return -self.push_limit


class RatioOrPush(Rewarded, Clipped, PushedDown):
    """A ratio, or with kl_beta above 0 the push in its place."""

    kl_beta: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Subtracted from the reward in place of the ratio where above 0; clip is 0 then.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.kl_beta and self.clip:
            raise ValueError(
                f"kl_beta: {self.kl_beta:g} was given with clip {self.clip:g}, but this form has no ratio to bound; "
                "set clip to 0, or kl_beta to 0"
            )
        refuse_push(self.kl_beta, reward=self.reward, largest=PREFERENCE_REWARDS[0], what="reward")
        return self


class PushedAdvantage(Rewarded, PushedDown):
    """A push against an advantage."""

    @model_validator(mode="after")
    def _something_is_pulled(self) -> Self:
        largest = PREFERENCE_REWARDS[0] - PREFERENCE_VALUE
        refuse_push(self.kl_beta, reward=self.reward, largest=largest, what="advantage")
        return self


def refuse_push(kl_beta: float, *, reward: str, largest: float, what: str) -> None:
    """Raises ValueError where, with preferences as reward, kl_beta would push down even the chosen."""
    if reward == PREFERENCES and kl_beta >= largest:
        raise ValueError(
            f"kl_beta: {kl_beta:g} was given, but with reward preferences the largest {what} is {largest:g}, so that "
            f"every completion would be pushed down; set it below {largest:g}"
        )
