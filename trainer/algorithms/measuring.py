"""transformers' Trainer that also logs what its loss has measured: means over all examples between two logs.

Leaves out the losses, which are its subclasses' (`pairs.py`, `pro.py`, `offline_rl.py`, `kto.py`).
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
        self._noted: dict[str, list[Tensor]] = defaultdict(list)  # of each metric [2, B]: values, and which count

    def note(self, values: Mapping[str, Tensor], *, where: Tensor | None = None) -> None:
        """Values by metric, each [B] and without gradient; of some examples only, where `where` [B] is true."""
        for name, each in values.items():
            counts = torch.ones_like(each) if where is None else where.to(each.dtype)
            self._noted[name].append(torch.stack([torch.where(counts > 0, each, 0), counts]))

    def measured(self) -> dict[str, float]:
        """The mean of every metric since the last log; none of one that no example had."""
        found = {}
        for name, values in self._noted.items():
            total, count = self.accelerator.gather(torch.cat(values, dim=-1).sum(dim=-1, keepdim=True).T).sum(dim=0)
            if count > 0:
                found[name] = float(total / count)
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        logs |= self.measured()
        self._noted.clear()
        super().log(logs, start_time)
