"""One file per algorithm family, chosen by name; only the chosen one is imported, TRL takes seconds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainer.base_config import InvalidConfig
from trainer.configs import OFFLINE
from trainer.pair_config import WITHOUT_REFERENCE

if TYPE_CHECKING:
    from trainer.algorithms.callbacks import TrainResult


def train(algorithm: str, **arguments: Any) -> "TrainResult":
    """Run `train` of the algorithm's file; see there for the arguments. Raises InvalidConfig for another name."""
    files = {
        "sft": "sft",
        "reward_model": "reward_model",
        "dpo": "pairs",
        "kto": "kto",
        "pro": "pro",
        "ppo": "ppo",
        **dict.fromkeys(WITHOUT_REFERENCE, "pairs"),
        "rloo": "groups",
        "grpo": "groups",
        "online_dpo": "online_dpo",
        **dict.fromkeys(OFFLINE, "offline_rounds"),
    }
    if algorithm not in files:
        raise InvalidConfig([f"algorithm: {algorithm!r} is not known; choose one of {', '.join(files)}"])
    result: TrainResult = import_module(f"trainer.algorithms.{files[algorithm]}").train(**arguments)
    return result
