"""Rules on the text alone: its length, patterns, scripts, whether it is JSON, and the starter labellers' rules.

Free of torch. Leaves out the rule on what the prompt gives (`in_context.py`).
"""

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import regex

from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import Reward, RewardSources
from trainer.rewards.overlap import spoken
from trainer.starter.rules import find_rule
from trainer.text_measures import script

log = logging.getLogger("trainer")

TextRule = Callable[[Messages, str], float]
"""(the prompt's messages, the completion) -> 0..1."""

_FENCE = regex.compile(r"\s*```[\w-]*\n(.*)\n```\s*", regex.DOTALL)
_SHAPES: dict[str, type] = {"object": dict, "array": list, "any": object}


class RuleReward:
    """A rule as a reward; it always applies."""

    def __init__(self, rule: TextRule) -> None:
        self._rule = rule

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        return [self._rule(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]


def open_reward(
    term: terms.Length | terms.Match | terms.Script | terms.Json | terms.Rule, sources: RewardSources
) -> Reward:
    match term:
        case terms.Length():
            return RuleReward(lambda _, text: in_band(term, text))
        case terms.Match():
            return RuleReward(Matching(term))
        case terms.Script():
            return RuleReward(lambda _, text: script_share(term, text))
        case terms.Json():
            return RuleReward(lambda _, text: float(is_json(term, text)))
        case terms.Rule():
            rule = find_rule(term.rule)
            return RuleReward(lambda prompt, text: float(rule(prompt, text)))


def in_band(term: terms.Length, text: str) -> float:
    """1 from shortest to longest, then down to 0 in `margin` more steps."""
    length = len(spoken(text)) if term.unit == "words" else len(text.strip())
    outside = max(term.shortest - length, length - term.longest, 0)
    return max(0.0, 1 - outside / term.margin) if term.margin else float(outside == 0)


class Matching:
    """The patterns of a term. A search that takes too long fails the rule, else slow texts would be worth writing."""

    def __init__(self, term: terms.Match) -> None:
        flags = regex.IGNORECASE if term.ignore_case else 0
        self._must = [regex.compile(pattern, flags) for pattern in term.must]
        self._must_not = [regex.compile(pattern, flags) for pattern in term.must_not]
        self._seconds = term.seconds
        self._slow: set[str] = set()

    def __call__(self, prompt: Messages, text: str) -> float:
        kept = all(self._found(pattern, text) is True for pattern in self._must)
        return float(kept and all(self._found(pattern, text) is False for pattern in self._must_not))

    def _found(self, pattern: Any, text: str) -> bool | None:
        """None where the time was up."""
        try:
            return pattern.search(text, timeout=self._seconds) is not None
        except TimeoutError:
            if pattern.pattern not in self._slow:
                self._slow.add(pattern.pattern)
                log.warning(
                    "the pattern %r took over %g s on a text, which counts as 0", pattern.pattern, self._seconds
                )
            return None


def script_share(term: terms.Script, text: str) -> float:
    """Share of the letters, broken characters among them, that are of the term's scripts; 1 without any."""
    found = [name for character in text if (name := script(character)) is not None]
    return sum(name in term.scripts for name in found) / len(found) if found else 1.0


def is_json(term: terms.Json, text: str) -> bool:
    """Whether the text is JSON by RFC 8259 (no NaN), of the term's shape and with its keys."""
    fenced = _FENCE.fullmatch(text) if term.fence else None
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, _SHAPES[term.shape]):
        return False
    return not term.keys or (isinstance(value, dict) and set(term.keys) <= set(value))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
