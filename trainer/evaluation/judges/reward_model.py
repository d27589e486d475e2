"""A reward model as a judge: two scores, and by Bradley-Terry the probability that the first text is preferred.

score = sigmoid(s(first) - s(second)). It sees one text at a time, so one call stands for both orders. A preference of
at most `tie_margin` around one half counts as a tie.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from trainer.evaluation.judges.base import Ask, OnReply, Reading, Reply, Said, invalid
from trainer.manifest import verify_manifest
from trainer.policy import RewardModel, load_reward_model
from trainer.prompting import PromptError

MAX_LENGTH = 4_096  # tokens of prompt and text together, where the model has as many positions


class RewardModelJudge:
    """One of our reward-model checkpoints. Raises CorruptCheckpoint or ValueError where the folder holds none."""

    kind = "reward_model"
    sees_order = False
    reminders = 0
    chunk = 32

    def __init__(self, folder: Any, *, device: str = "auto", tie_margin: float = 0.0) -> None:
        self.folder, self._device, self.tie_margin = folder, device, tie_margin
        self.name = f"reward_model:{folder.name}"

    @cached_property
    def revision(self) -> str:
        return verify_manifest(self.folder)

    @cached_property
    def model(self) -> RewardModel:
        return load_reward_model(self.folder, device=self._device)

    def request(self, ask: Ask) -> dict[str, Any]:
        one = ask.comparison
        return {"messages": list(one.messages), "first": one.first, "second": one.second, "max_length": MAX_LENGTH}

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        from trainer.algorithms.reward_model import score
        from trainer.examples import length_limit

        limit = length_limit(self.model.model, MAX_LENGTH)
        for index, ask in enumerate(asks):
            if should_stop():
                return
            messages = [dict(message) for message in ask.comparison.messages]
            sides = [(messages, ask.comparison.first), (messages, ask.comparison.second)]
            begun = time.monotonic()
            try:
                first, second = score(self.model.model, self.model.tokenizer, sides, max_length=limit, batch_size=2)
            except PromptError as error:
                on_reply(index, Reply(failure=str(error)))
                continue
            took = time.monotonic() - begun
            on_reply(index, Reply(scores=(first, second), model=self.revision, latency_s=took))

    def read(self, reply: Reply) -> Reading:
        if reply.scores is None or not all(map(math.isfinite, reply.scores)):
            return invalid(f"the scores are {reply.scores}, not two numbers: the reward model is broken")
        apart = reply.scores[0] - reply.scores[1]
        score = 1 / (1 + math.exp(-apart)) if apart > -700 else 0.0
        if abs(score - 0.5) <= self.tie_margin or apart == 0:
            return Reading(Said.tie, 0.5)
        return Reading(Said.first if score > 0.5 else Said.second, score)
