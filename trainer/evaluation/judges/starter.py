"""The starter's judge as a judge: its own form and reading (trainer/starter/judge), cached and counted like any other.

It was trained on replies of the starter's kind and is for the starter's descendants only; no rubric applies to it.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from math import log
from pathlib import Path
from typing import Any

from trainer.evaluation.judges.base import Ask, OnReply, Reading, Reply, Said, Usage, invalid
from trainer.evaluation.judges.parsing import parse_logprobs
from trainer.sources import source_digest
from trainer.starter.judge.form import SYSTEM, VERDICTS, judge_messages

NAMES: dict[str, Said] = dict(zip(VERDICTS, (Said.first, Said.second, Said.tie), strict=True))
RECORD = "build.json"


def is_starter_judge(folder: Path) -> bool:
    """Whether a folder holds a judge that `prefloop starter build --judge` made."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("recipe") == "judge"


class StarterJudge:
    """The judge in `folder`, one thread, loaded when it is first asked."""

    kind = "starter"
    sees_order = True
    reminders = 0
    chunk = 64

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"starter:{folder.name}"

    @cached_property
    def revision(self) -> str:
        return source_digest(self.folder)

    @cached_property
    def judge(self) -> Any:
        from trainer.starter.judge.reading import Judge  # torch, only once it is asked

        return Judge(self.folder)

    def request(self, ask: Ask) -> dict[str, Any]:
        one = ask.comparison
        return {"system": SYSTEM, "messages": judge_messages(one.messages, one.first, one.second)}

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        """A batch; two texts that are too long for its positions fail by themselves."""
        if should_stop():
            return
        fitting: list[tuple[int, int]] = []
        for index, ask in enumerate(asks):
            try:
                fitting.append((index, len(self.judge.prompt_ids(_given(ask)))))
            except ValueError as error:
                on_reply(index, Reply(failure=str(error)))
        if not fitting:
            return
        begun = time.monotonic()
        readings = self.judge.read([_given(asks[index]) for index, _ in fitting])
        each_s = (time.monotonic() - begun) / len(fitting)
        for (index, tokens), reading in zip(fitting, readings, strict=True):
            # as they were before they were normalised over the three, so that the mass can be read again
            whole = log(reading.mass) if reading.mass > 0 else -1e9
            logprobs = tuple(zip(VERDICTS, (value + whole for value in reading.logprobs), strict=True))
            on_reply(index, Reply(logprobs=logprobs, model=self.revision, usage=Usage(tokens), latency_s=each_s))

    def read(self, reply: Reply) -> Reading:
        if reply.logprobs is None:
            return invalid("the reply has no log-probabilities")
        return parse_logprobs(reply.logprobs, NAMES)


def _given(ask: Ask) -> tuple[Any, str, str]:
    return ask.comparison.messages, ask.comparison.first, ask.comparison.second
