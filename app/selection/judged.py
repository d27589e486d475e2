"""What a selection is given: texts to select two of, and what people said of earlier pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trainer.prompting import Messages


@dataclass(frozen=True)
class Judged:
    """A training comparison that somebody has chosen on; `preferred` is None for a tie, or where both were bad."""

    messages: Messages
    left: str
    right: str
    preferred: Literal["left", "right"] | None


class Selection(Protocol):
    """A strategy: the prompt's messages, two or more texts, all different, and the newest choices -> the two to show.

    It is called once for each comparison that is made, from several threads.
    """

    def __call__(self, messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]: ...
