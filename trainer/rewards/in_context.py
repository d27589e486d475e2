"""Staying with what the prompt gives: the completion must be an item of its list, or a span of its text.

List or text are read from the last message that holds one, since a stored prompt has its messages and nothing else.
Same is what is at least `threshold` alike: 1 - (inserted and deleted characters) / (characters of both), case, blanks
and outer punctuation left out. Of "1. Rio Bravo (western)" the completion may be the whole line, "Rio Bravo", or
"western". Free of torch.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import RewardSources

LONGEST_ITEM = 12  # words; longer lines are sentences of a text
_MARK = re.compile(r"^\s*(?:[-*•–+]\s+|\(?\d{1,3}[.):]\s+|\(?[a-zA-Z][.)]\s+)(?=\S)")
_HALF = r"\s*(?:\(([^()]+)\)|\[([^\[\]]+)\]|:\s+(.+)|\s[-–—]\s(.+))"
_PARTS = (re.compile(rf"(.*?\S){_HALF}"), re.compile(rf"(.*\S){_HALF}"))  # at the first mark, and at the last
_JOINTS = re.compile(r"\s*(?:[,;\n]|\band\b)\s*")
_OUTER = "\"'“”‘’`*_.,;:!?() \t\n"


@dataclass(frozen=True)
class Context:
    """What a prompt gives: items of a list, each in all its forms, or a text; the other one is empty."""

    items: tuple[str, ...] = ()
    text: str = ""


class InContext:
    """1 where the completion is of the context, else 0; None where the prompt gives none."""

    def __init__(self, term: terms.InContext) -> None:
        self._term = term

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        return [self._of(read_context(p), completion) for p, completion in zip(prompts, completions, strict=True)]

    def _of(self, context: Context | None, completion: str) -> float | None:
        if context is None:
            return None
        if self._holds(context, completion):
            return 1.0
        parts = [part for part in _JOINTS.split(completion) if part] if self._term.several else []
        return float(len(parts) > 1 and all(self._holds(context, part) for part in parts))

    def _holds(self, context: Context, completion: str) -> bool:
        said, least = same_form(_MARK.sub("", completion)), 100 * self._term.threshold
        if not said:
            return False
        if context.items:
            return process.extractOne(said, context.items, scorer=fuzz.ratio, score_cutoff=least) is not None
        words = said.split()
        if len(words) < self._term.least_words:
            return False
        return any(fuzz.ratio(said, span, score_cutoff=least) for span in _spans(context.text.split(), len(words)))


def open_reward(term: terms.InContext, sources: RewardSources) -> InContext:
    return InContext(term)


def same_form(text: str) -> str:
    """Lower case, single blanks, no punctuation at either end."""
    return " ".join(text.casefold().split()).strip(_OUTER)


def read_context(prompt: Messages) -> Context | None:
    """The list or else the text of the last message by anyone but the model that holds one; None where none does."""
    for message in reversed(prompt):
        if message["role"] != "assistant" and (found := _context(message["content"])) is not None:
            return found
    return None


def _context(content: str) -> Context | None:
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if items := _listed(lines):
        return Context(items=tuple(dict.fromkeys(form for item in items for form in _forms(item))))
    text = " ".join(_without_question(lines))
    return Context(text=" ".join(filter(None, map(same_form, text.split())))) if text else None


def _listed(lines: Sequence[str]) -> list[str]:
    """The items of a list of at least two: marked lines, else short lines, else parts with commas between them."""
    marked = [_MARK.sub("", line) for line in lines if _MARK.match(line)]
    if len(marked) >= 2:
        return marked
    rest = _without_question(lines)
    if len(rest) >= 2 and all(len(line.split()) <= LONGEST_ITEM and line[-1] not in ".?" for line in rest):
        return [line for line in rest if line[-1] != ":"]
    return _inline(rest[0]) if len(rest) == 1 else []


def _inline(line: str) -> list[str]:
    """The parts of "Here is a list: a, b, c"; of "Ann: 3, Ben: 5, ..." each keeps what is before its colon."""
    parts = [part.strip() for part in line.rstrip(".").split(",")]
    if len(parts) < 3 or any(not part or "." in part or len(part.split()) > LONGEST_ITEM for part in parts):
        return []
    if not any(": " in part for part in parts[1:]):
        parts[0] = parts[0].rpartition(": ")[2]
    return parts


def _without_question(lines: Sequence[str]) -> list[str]:
    """The lines less what introduces them and what asks about them, which is the first line or the last."""
    body = list(lines)
    while len(body) > 2 and body[0][-1] == ":":
        body = body[1:]
    if len(body) < 2:
        return body if len(body) < len(lines) else []
    first, last = body[0], body[-1]
    asks_last = len(first) > len(last)
    for mark in ("?:", ".!?:"):
        if (first[-1] in mark) != (last[-1] in mark):
            asks_last = last[-1] in mark
            break
    return body[:-1] if asks_last else body[1:]


def _forms(item: str) -> Iterator[str]:
    """An item whole, and each half of "name (kind)", "name: kind", "name - kind", "name [kind]"."""
    yield same_form(item)
    for pattern in _PARTS:
        if parts := pattern.fullmatch(item):
            yield from filter(None, (same_form(half) for half in parts.groups() if half))


def _spans(words: Sequence[str], length: int) -> Iterator[str]:
    """Every run of about `length` words: what is 0.9 alike may have a word more or less."""
    slack = 1 + length // 10
    for size in range(max(1, length - slack), length + slack + 1):
        for start in range(len(words) - size + 1):
            yield " ".join(words[start : start + size])
