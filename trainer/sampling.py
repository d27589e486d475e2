"""How a completion is asked for, and what comes back. Free of torch; the draw itself is in `trainer/drawing.py`."""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; text ends before the first of the `stop` strings."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 100:
            raise ValueError(f"temperature is {self.temperature}; give a number from 0 (greedy) to 100")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; give a number above 0 and at most 1")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; give at least 1")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"stop is {self.stop!r}; give a tuple of strings, none of them empty")


@dataclass(frozen=True)
class Generated:
    """A finished row. `token_ids` are all the tokens drawn, the end-of-text one included; `tokens` their
    number and `logprob` their summed log-probability (nats) under the model at temperature 1, whatever they were drawn
    at; `text` is without special tokens and without the stop string."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprob: float
    tokens: int
