"""transformers' Trainer that also logs what its loss has measured: means over all examples between two logs.

Leaves out the losses, which are its subclasses' (`pairs.py`, `pro.py`, `offline_rl.py`).
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer


class MeasuringTrainer(Trainer):
    """`note` what each example of a batch gave; every log has the means, over all processes."""

    loss_is_scaled_for_ga = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._noted: dict[str, list[Tensor]] = defaultdict(list)

    def note(self, values: Mapping[str, Tensor]) -> None:
        """Values by metric, each [B] and without gradient."""
        for name, each in values.items():
            self._noted[name].append(each)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        for name, values in self._noted.items():
            logs[name] = float(self.accelerator.gather(torch.cat(values)).mean())
        self._noted.clear()
        super().log(logs, start_time)
