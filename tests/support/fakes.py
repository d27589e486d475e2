"""Stand-ins with the shapes of the real parts: an engine that answers from a list, a slot without weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.prompting import PromptTooLong
from trainer.sampling import Generated, Sampling


@dataclass
class FakeTicket:
    checkpoint_id: str
    made: list[Generated]

    def result(self, timeout: float | None = None) -> list[Generated]:
        return self.made


@dataclass
class FakeEngine:
    """Gives the texts of `script` in turn, then numbered ones, each stamped with `served`."""

    served: str = "initial"
    script: list[str] = field(default_factory=list)
    too_long: str = "no such text"  # prompts that hold it do not fit the model
    asked: list[tuple[str | None, int]] = field(default_factory=list)
    made: int = 0

    def submit(
        self,
        messages_list: Sequence[Any],
        *,
        sampling: Sampling,
        seeds: Sequence[int],
        checkpoint_id: str | None = None,
    ) -> FakeTicket:
        self.asked.append((checkpoint_id, len(messages_list)))
        if any(self.too_long in messages[-1]["content"] for messages in messages_list):
            raise PromptTooLong(300, 200, "Shorten it.")
        return FakeTicket(checkpoint_id or self.served, [self._next() for _ in messages_list])

    def _next(self) -> Generated:
        self.made += 1
        text = self.script.pop(0) if self.script else f"Completion number {self.made} says hello."
        return Generated(text=text, token_ids=(5, 1), finish_reason="stop", logprob=-1.0, tokens=2)


@dataclass
class FakeSlot:
    """Publishes at once; `broken` names checkpoints that cannot be loaded."""

    current_id: str | None = None
    broken: set[str] = field(default_factory=set)

    def swap(
        self,
        checkpoint_id: str,
        load: Callable[[], Any],
        *,
        expected_digest: str | None = None,
        on_event: Callable[[str, str], None] = lambda event, detail: None,
    ) -> None:
        from app.serving.slot import SwapFailed

        on_event("loading", checkpoint_id)
        if checkpoint_id in self.broken:
            on_event("failed", f"{checkpoint_id} is broken")
            raise SwapFailed(f"{checkpoint_id} is broken")
        self.current_id = checkpoint_id
        on_event("serving", checkpoint_id)
