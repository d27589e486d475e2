"""What a person may set for the algorithms that learn from pairs. Free of torch.

`PairConfig` is what they share; `PairTrainer` reads its three properties and needs to know no names. DPO's own
settings are in `trainer/configs.py`, the losses in `trainer/losses`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from trainer.base_config import LearningRate
from trainer.losses.names import PairLossName
from trainer.validation_fields import Validated

ENOUGH = 25
"""Pairs with which the target margin counts in full."""
FURTHER = 0.6
"""What is left of it where an adapter is trained further: it has come part of the way, by other wishes, before."""
TARGET = (
    "Mean reward margin (chosen less rejected) of an epoch above which the run ends early, 0 being off; it is lowered "
    f"under {ENOUGH} pairs, and to {FURTHER:.0%} where the served adapter is trained further."
)


class PairConfig(Validated):
    """What every loss on pairs has: its weight, an early end, and where the run starts."""

    beta: float = Field(0.1, gt=0, le=100, description="What the difference of the two completions is multiplied by.")
    target_margin: float = Field(0.0, ge=0, le=1000, description=TARGET)
    start_from: Literal["initial", "served"] = Field(
        "initial", description="A fresh adapter on the initial model, or the adapter now served, trained further."
    )

    def margin_of(self, pairs: int, *, further: bool) -> float:
        """The margin at which a run on so many pairs ends: few are learnt by heart long before they are understood."""
        return self.target_margin * min(1.0, pairs / ENOUGH) * (FURTHER if further else 1.0)

    @property
    @abstractmethod
    def terms(self) -> Sequence[tuple[PairLossName, float]]:
        """The losses that are added up, by name, with their weights."""

    @property
    def loss_settings(self) -> dict[str, Any]:
        """The config's settings under the names of `trainer.losses.pair_mixture.PairSettings`."""
        return {"beta": self.beta}

    @property
    def uses_reference(self) -> bool:
        """Whether the reference's log-probabilities are needed."""
        return False


class Smoothed(PairConfig):
    """A pair loss that can take some of the choices to be wrong."""

    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="Share of choices taken to be the wrong way round.")

    @property
    def loss_settings(self) -> dict[str, Any]:
        return super().loss_settings | {"label_smoothing": self.label_smoothing}


class ORPOConfig(PairConfig):
    """Odds ratio preference optimisation (Hong et al. 2024): imitates the chosen, without a reference."""

    beta: float = Field(0.1, gt=0, le=100, description="Weight of the odds ratio beside the chosen's likelihood.")

    @property
    def terms(self) -> Sequence[tuple[PairLossName, float]]:
        return [("orpo", 1.0)]


class SimPOConfig(Smoothed):
    """Simple preference optimisation (Meng et al. 2024): likelihoods per token, without a reference."""

    learning_rate: LearningRate = 5e-4
    beta: float = Field(10.0, gt=0, le=100, description="Multiplies the mean log-probability of a token.")
    gamma: float = Field(
        3.0, ge=0, le=100, description="Margin that the chosen completion is to have over the rejected one."
    )

    @property
    def terms(self) -> Sequence[tuple[PairLossName, float]]:
        return [("simpo", 1.0)]

    @property
    def loss_settings(self) -> dict[str, Any]:
        return super().loss_settings | {"gamma": self.gamma}


class CPOConfig(Smoothed):
    """Contrastive preference optimisation (Xu et al. 2024): imitates the chosen, without a reference."""

    learning_rate: LearningRate = 5e-4
    beta: float = Field(0.1, gt=0, le=100, description="Multiplies the log-probability of a completion.")
    cpo_alpha: float = Field(1.0, ge=0, le=1000, description="Weight of the chosen's likelihood, a mean over tokens.")

    @property
    def terms(self) -> Sequence[tuple[PairLossName, float]]:
        return [("cpo", 1.0)]

    @property
    def loss_settings(self) -> dict[str, Any]:
        return super().loss_settings | {"cpo_alpha": self.cpo_alpha}


WITHOUT_REFERENCE: dict[str, type[PairConfig]] = {"orpo": ORPOConfig, "simpo": SimPOConfig, "cpo": CPOConfig}
