"""The one interface of all judges, and the plain data that goes in and comes out. Free of torch.

A judge sees a prompt and two texts in an order, never whose they are. Its reply is kept raw; `read` turns it into a
reading and must do so from the reply alone, so that a mended parser costs no call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

Messages = Sequence[Mapping[str, str]]
Kind = Literal["starter", "similarity", "endpoint", "reward_model", "local"]
OnReply = Callable[[int, "Reply"], None]


class Said(StrEnum):
    """What a judge said about the two texts in the order that it saw them."""

    first = "first"
    second = "second"
    tie = "tie"
    invalid = "invalid"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt and two texts in the order in which they are shown."""

    messages: Messages
    first: str
    second: str
    reference: str | None = None

    def changed(self) -> "Comparison":
        """The same in the other order."""
        return Comparison(self.messages, self.second, self.first, self.reference)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: the comparison, the fence around its texts, how often a bad reply was reminded of the format, and
    which repeat it is. The fence is random, so it is no part of what identifies the call."""

    comparison: Comparison
    fence: str = ""
    reminders: int = 0
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, and their price in the currency of the price list (0 where nothing is paid)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens, self.cost + other.cost
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge gave back, unread.

    `text` as written; `logprobs` of tokens or verdict strings (nats), where the judge gives them; `scores` of the
    first and the second text, where it scores. `failure` says why there is no reply at all: such a one is not stored,
    so that the next run asks again. `model` is what the judge says it is, `fingerprint` what its provider adds.
    """

    text: str = ""
    logprobs: tuple[tuple[str, float], ...] | None = None
    scores: tuple[float, float] | None = None
    failure: str = ""
    model: str = ""
    fingerprint: str = ""
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, row: Mapping[str, Any]) -> "Reply":
        """The reply that `plain` wrote, lists made tuples again."""
        logprobs, scores = row["logprobs"], row["scores"]
        return cls(
            **{
                **row,
                "logprobs": None if logprobs is None else tuple((str(name), float(value)) for name, value in logprobs),
                "scores": None if scores is None else (float(scores[0]), float(scores[1])),
                "usage": Usage(**row["usage"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A reply understood: the verdict, the first text's score in 0..1 (None where invalid), the probability that all
    verdicts had together where that is known, and why it is invalid or doubtful."""

    said: Said
    score: float | None
    mass: float | None = None
    note: str = ""


SCORE: dict[Said, float | None] = {Said.first: 1.0, Said.second: 0.0, Said.tie: 0.5, Said.invalid: None}


def reading_of(said: Said) -> Reading:
    """A hard verdict as a reading."""
    return Reading(said, SCORE[said])


def invalid(why: str, mass: float | None = None) -> Reading:
    return Reading(Said.invalid, None, mass, why)


class Judge(Protocol):
    """A comparison in, a reply out.

    `name` is stable for the same judge asked in the same way; `revision` tells its weights or settings apart.
    `sees_order` is false where both orders must give the same, so that one call does. `reminders` is how often a reply
    that cannot be read is asked for again. `chunk` is how many asks it likes at once.
    """

    kind: str
    name: str
    sees_order: bool
    reminders: int
    chunk: int

    @property
    def revision(self) -> str: ...

    def request(self, ask: Ask) -> dict[str, Any]:
        """Everything that shapes the reply but the fence, as plain data. Raises ValueError where the judge cannot be
        asked this at all."""
        ...

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        """Calls on_reply(index, reply) for each ask as it is answered. Once should_stop() is true nothing new is
        asked; what was under way is still delivered."""
        ...

    def read(self, reply: Reply) -> Reading: ...
