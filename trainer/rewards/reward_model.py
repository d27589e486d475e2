"""The score of one of our reward-model checkpoints, which trainer/algorithms/reward_model.py makes of choices."""

import math
from collections.abc import Sequence

from trainer.policy import RewardModel, load_reward_model
from trainer.prompting import Messages, PromptRefused, render
from trainer.rewards import terms
from trainer.rewards.base import RewardSources


class RewardModelReward:
    """s(prompt, completion), bare or through a sigmoid; None where the model's chat template refuses the prompt."""

    def __init__(self, model: RewardModel, *, form: str, max_length: int, batch_size: int) -> None:
        self._model, self._form = model, form
        self._max_length, self._batch_size = max_length, batch_size

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        from trainer.algorithms.reward_scores import score
        from trainer.examples import length_limit

        model, tokenizer = self._model.model, self._model.tokenizer
        fitting = [index for index, prompt in enumerate(prompts) if self._takes(prompt)]
        scores = score(
            model,
            tokenizer,
            [(prompts[index], completions[index]) for index in fitting],
            max_length=length_limit(model, self._max_length),
            batch_size=self._batch_size,
        )
        made: list[float | None] = [None] * len(prompts)
        for index, value in zip(fitting, scores, strict=True):
            made[index] = sigmoid(value) if self._form == "sigmoid" else value
        return made

    def _takes(self, prompt: Messages) -> bool:
        try:
            render(self._model.tokenizer, prompt)
        except PromptRefused:
            return False
        return True


def open_reward(term: terms.RewardModel | terms.Preferences, sources: RewardSources) -> RewardModelReward:
    """Raises CorruptCheckpoint where the folder is none, or damaged; ValueError for a checkpoint of another kind, and
    for preferences to which nothing was fitted."""
    if isinstance(term, terms.Preferences):
        if sources.preferences is None:
            raise ValueError("no reward model was fitted to choices here; name a reward model instead")
        folder, form = str(sources.preferences), "score"
    else:
        folder, form = sources.locate(term.checkpoint), term.form
    model = load_reward_model(folder, device=sources.device)
    return RewardModelReward(model, form=form, max_length=term.max_length, batch_size=term.batch_size)


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
