"""A reward model of the project as a reward: its score brought between 0 and 1, as offline methods weigh completions.

    R(x, y) = sigmoid(s(x, y))

as in Baheti et al. 2023 for HH. Leaves out training it (`trainer/algorithms/reward_model.py`) and which one
(`trainer/worker.py`).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from trainer.algorithms.reward_model import score
from trainer.examples import length_limit
from trainer.policy import load_reward_model
from trainer.prompting import Messages


class ModelReward:
    """The reward-model checkpoint in a folder. Raises CorruptCheckpoint or ValueError where it holds none."""

    def __init__(self, folder: Path, *, device: str = "auto", max_length: int, batch_size: int = 16) -> None:
        self._model = load_reward_model(folder, device=device)
        self._max_length = length_limit(self._model.model, max_length)
        self._batch_size = batch_size

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float]:
        """In [0, 1], in order; what is too long is shortened as in training. `references` are of no use to it."""
        scores = score(
            self._model.model,
            self._model.tokenizer,
            list(zip(prompts, completions, strict=True)),
            max_length=self._max_length,
            batch_size=self._batch_size,
        )
        return torch.tensor(scores).sigmoid().tolist()
