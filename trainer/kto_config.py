"""What a person may set for KTO. Free of torch; the other algorithms' settings are in `trainer/configs.py`."""

from typing import Literal

from pydantic import Field

from trainer.base_config import Epochs, LearningRate
from trainer.validation_fields import Validated


class KTOConfig(Validated):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024): completions by themselves, good or bad, thumbs too."""

    learning_rate: LearningRate = 5e-4
    epochs: Epochs = 3
    beta: float = Field(
        1.0, gt=0, le=100, description="Nats of log-ratio to the reference are multiplied by it to give a reward."
    )
    loss_type: Literal["kto", "apo_zero_unpaired"] = Field(
        "kto",
        description="kto compares with the policy's usual distance to the reference, apo_zero_unpaired with none.",
    )
    good_weight: float = Field(1.0, gt=0, le=1000, description="Weight of a good completion.")
    bad_weight: float = Field(1.0, gt=0, le=1000, description="Weight of a bad completion.")
    balance: bool = Field(
        True, description="Raise the weight of the rarer kind, so that good and bad weigh about alike in all."
    )
    start_from: Literal["initial", "served"] = Field(
        "initial", description="A fresh adapter on the initial model, or the adapter now served, trained further."
    )
