"""Is a completion right, is it well-formed: plain text checks without a model and without torch.

is_right([{"role": "user", "content": "What is the capital of France?"}], "It is Paris.")   # True
is_right([{"role": "user", "content": "Some other question"}], "It is Paris.")              # None: not packaged
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from trainer.starter import PROMPTS
from trainer.starter.grammar.item import Check
from trainer.starter.prompts import Prompt
from trainer.starter.rules import RULES, find_rule

__all__ = ["RULES", "find_rule", "is_right", "is_well_formed", "packaged_prompts", "passes", "says"]

LONGEST_WORDS = 90

_ROLE_MARKS = re.compile(r"<(pad|end|system|user|assistant)>")
_OPENERS, _CLOSERS = "([{", ")]}"


@cache
def packaged_prompts() -> tuple[Prompt, ...]:
    """The prompts of `prompts.jsonl`, in their order."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def _identity(messages: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((message["role"], message["content"].strip()) for message in messages)


@cache
def _checks() -> dict[tuple[tuple[str, str], ...], Check]:
    return {_identity(prompt["messages"]): prompt["check"] for prompt in packaged_prompts()}


@lru_cache(maxsize=20_000)
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)


def says(completion: str, phrase: str) -> bool:
    """True when the phrase stands in the completion as whole words, whatever the case."""
    return _pattern(phrase).search(completion) is not None


def passes(check: Check, completion: str) -> bool:
    """True when every list of `all_of` has a hit and nothing of `none_of` has one."""
    text = completion.replace("\u2019", "'")
    hit = all(any(says(text, phrase) for phrase in alternatives) for alternatives in check["all_of"])
    return hit and not any(says(text, phrase) for phrase in check["none_of"])


def is_right(messages: Sequence[Mapping[str, Any]], completion: str) -> bool | None:
    """Whether the completion answers a packaged prompt rightly, in whatever style; None for other messages."""
    check = _checks().get(_identity(messages))
    return None if check is None else passes(check, completion)


def is_well_formed(completion: str) -> bool:
    """Whether the text is one a person would write: not empty or endless, no marks of turns, no broken characters,
    no word three times in a row, no phrase of four words three times, brackets closed."""
    text = completion.strip()
    words = text.lower().split()
    if not words or len(words) > LONGEST_WORDS or _ROLE_MARKS.search(text):
        return False
    if "\ufffd" in text or any(
        not character.isprintable() and character not in "\n\t\u200d\ufe0f" for character in text
    ):
        return False
    if any(words[i] == words[i + 1] == words[i + 2] for i in range(len(words) - 2)):
        return False
    phrases = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    if any(phrases.count(phrase) >= 3 for phrase in set(phrases)):
        return False
    return all(text.count(opened) == text.count(closed) for opened, closed in zip(_OPENERS, _CLOSERS, strict=True))
