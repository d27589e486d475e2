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
from trainer.prompting import Messages, PromptError, render

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
        from trainer.algorithms.reward_scores import score
        from trainer.examples import length_limit

        if should_stop():
            return
        model, tokenizer = self.model.model, self.model.tokenizer
        limit = length_limit(model, MAX_LENGTH)
        begun = time.monotonic()
        sides: list[tuple[Messages, str]] = []
        asked: list[int] = []
        for index, ask in enumerate(asks):
            messages = [dict(message) for message in ask.comparison.messages]
            try:
                render(tokenizer, messages)
            except PromptError as error:  # that one cannot be put to the model; the others can
                on_reply(index, Reply(failure=str(error)))
                continue
            sides += [(messages, ask.comparison.first), (messages, ask.comparison.second)]
            asked.append(index)
        scores = score(model, tokenizer, sides, max_length=limit, raw=True)
        each_s = (time.monotonic() - begun) / max(1, len(asked))
        for place, index in enumerate(asked):
            first, second = scores[2 * place : 2 * place + 2]
            on_reply(index, Reply(scores=(first, second), model=self.revision, latency_s=each_s))

    def read(self, reply: Reply) -> Reading:
        if reply.scores is None or not all(map(math.isfinite, reply.scores)):
            return invalid(f"the scores are {reply.scores}, not two numbers: the reward model is broken")
        apart = reply.scores[0] - reply.scores[1]
        score = 1 / (1 + math.exp(-apart)) if apart > -700 else 0.0
        if abs(score - 0.5) <= self.tie_margin or apart == 0:
            return Reading(Said.tie, 0.5)
        return Reading(Said.first if score > 0.5 else Said.second, score)
