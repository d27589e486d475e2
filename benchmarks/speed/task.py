"""What a part is given, and the reporter through which our algorithms tell their losses."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from speed.setting import SEED, Size


@dataclass(frozen=True)
class Task:
    """The model's folder, how much of everything, a folder for what is written, threads."""

    model: Path
    size: Size
    folder: Path
    threads: int


def classifier(folder: Path) -> Any:
    """A score for texts on the model's weights, its head drawn at random: always the same."""
    torch.manual_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    return model.eval()


class Losses:
    """A reporter that keeps what every step measured, and how long each stage took: by the clock, of the processor."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.stages: dict[str, tuple[float, float]] = {}
        self._stage, self._began = "", (time.monotonic(), time.process_time())

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        self.steps.append(metrics)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        if stage != self._stage:
            now = time.monotonic(), time.process_time()
            self.stages[self._stage] = now[0] - self._began[0], now[1] - self._began[1]
            self._stage, self._began = stage, now

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool:
        return False

    @property
    def losses(self) -> list[float]:
        return [metrics["loss"] for metrics in self.steps]
