"""What calls may cost: an estimate before, a limit that holds during, the sum after. Free of torch.

Money is in the currency of the price list. Before a call its greatest possible cost is set aside; a call that might
pass the limit is not made. What a server reports is booked in its place; where it reports nothing that can be true,
the whole of what was set aside is.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.evaluation.judges.base import Usage

MESSAGE_TOKENS = 16  # a message costs a few tokens more than its text
CHARACTERS_PER_TOKEN = 4  # of ordinary English; for the estimate, never for the limit


class BudgetSpent(Exception):
    """The next call could pass the limit. What was judged is stored; a run with a higher limit goes on from it."""


@dataclass(frozen=True)
class Prices:
    """Money per million tokens read and written."""

    input: float = 0.0
    output: float = 0.0

    def __post_init__(self) -> None:
        if not (self.input >= 0 and self.output >= 0):
            raise ValueError(f"prices are {self.input} and {self.output} per million tokens; they cannot be negative")

    def of(self, input_tokens: float, output_tokens: float) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


@dataclass(frozen=True)
class Estimate:
    """What calls that are still to be made will cost: likely tokens and cost, and the most that it can be."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    most: float = 0.0

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))  # type: ignore[arg-type]


def estimate(conversations: Iterable[Sequence[Mapping[str, str]]], *, max_output: int, prices: Prices) -> Estimate:
    """Of one call per conversation. A token is at least a byte of text, which bounds the cost without a tokenizer."""
    calls = likely = most = 0
    for messages in conversations:
        calls, likely, most = calls + 1, likely + _likely_tokens(messages), most + most_tokens(messages)
    written = max_output * calls
    return Estimate(calls, likely, written, prices.of(likely, written), prices.of(most, written))


def most_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """More tokens than the messages can have with any tokenizer whose tokens hold at least one byte."""
    return sum(len(m["content"].encode("utf-8", "surrogatepass")) + MESSAGE_TOKENS for m in messages)


def _likely_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    return sum(len(m["content"]) // CHARACTERS_PER_TOKEN + MESSAGE_TOKENS for m in messages)


def _values(one: Estimate) -> list[float]:
    return [one.calls, one.input_tokens, one.output_tokens, one.cost, one.most]


class Ledger:
    """One evaluation's money. Safe between threads; without a limit it only counts."""

    def __init__(self, prices: Prices, limit: float | None = None) -> None:
        if limit is not None and not limit >= 0:
            raise ValueError(f"the budget is {limit}; give 0 or more")
        if limit is not None and prices == Prices():
            raise ValueError(f"a budget of {limit} means nothing without prices; give what a million tokens cost")
        self.prices, self.limit = prices, limit
        self.spent = Usage()
        self._reserved = 0.0
        self._lock = threading.Lock()

    def reserve(self, input_tokens: int, output_tokens: int) -> float:
        """Sets aside the most that a call can cost. Raises BudgetSpent where the limit could be passed."""
        most = self.prices.of(input_tokens, output_tokens)
        with self._lock:
            if self.limit is not None and self.spent.cost + self._reserved + most > self.limit:
                raise BudgetSpent(
                    f"{self.spent.cost:.4f} of the budget of {self.limit:g} is spent and the next call could cost "
                    f"{most:.4f}; everything judged so far is stored. Give a higher budget to go on."
                )
            self._reserved += most
        return most

    def release(self, reserved: float) -> None:
        """The call was refused before anything was computed."""
        with self._lock:
            self._reserved -= reserved

    def book(self, reserved: float, usage: Any, *, input_tokens: int, output_tokens: int) -> Usage:
        """The call's usage as the server reports it, else what was set aside; added to what is spent."""
        counts = _counts(usage)
        if counts is None:
            booked = Usage(input_tokens, output_tokens, reserved)
        else:
            booked = Usage(*counts, self.prices.of(*counts))
        with self._lock:
            self._reserved -= reserved
            self.spent += booked
        return booked


def _counts(usage: Any) -> tuple[int, int] | None:
    """(tokens read, tokens written) of an OpenAI-style usage object; None where it cannot be true."""
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or type(written) is not int or read <= 0 or written < 0:
        return None
    return read, written
