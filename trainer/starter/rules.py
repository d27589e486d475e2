"""Rules a labeller could follow: each is a plain property of the completion's text.

`RULES` names them. `find_rule` also takes "not-" before a name, which turns the rule round, and
"package.module:function".
A simulated labeller prefers the completion that satisfies its rule.
"""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

Rule = Callable[[list[dict[str, str]], str], bool]
"""(the prompt's messages, the completion) -> satisfied."""

_POLITE = re.compile(
    r"\b(please|thank you|thanks for|of course|certainly|happy to|glad|with pleasure|my pleasure|how kind|i am sorry"
    r"|you are welcome|i hope|have a lovely)\b",
    re.IGNORECASE,
)
_RUDE = re.compile(
    r"\b(ugh|seriously\?|obviously|dull question|are you kidding|leave me alone|everybody knows|do not bother me)",
    re.IGNORECASE,
)
_EVASIVE = re.compile(
    r"\b(that depends|it depends|hard to say|could be many|maybe|who knows|rather talk of|people do many)\b",
    re.IGNORECASE,
)
_EMOJI = re.compile("[\u2300-\u23ff\u2600-\u27bf\u2b50\U0001f300-\U0001faff]")
_SENTENCE_END = re.compile(r"[.!?]+(\s|$)")


def polite(messages: list[dict[str, str]], completion: str) -> bool:
    """Has a polite phrase: please, thank you, of course, certainly, happy to, with pleasure, I hope ..."""
    return _POLITE.search(completion) is not None


def rude(messages: list[dict[str, str]], completion: str) -> bool:
    """Has a rude phrase: ugh, obviously, are you kidding, leave me alone ..."""
    return _RUDE.search(completion) is not None


def evasive(messages: list[dict[str, str]], completion: str) -> bool:
    """Dodges: that depends, hard to say, maybe ..."""
    return _EVASIVE.search(completion) is not None


def emoji(messages: list[dict[str, str]], completion: str) -> bool:
    """Has an emoji."""
    return _EMOJI.search(completion) is not None


def exclaims(messages: list[dict[str, str]], completion: str) -> bool:
    """Has an exclamation mark."""
    return "!" in completion


def brief(messages: list[dict[str, str]], completion: str) -> bool:
    """Has at most four words."""
    return 0 < len(completion.split()) <= 4


def detailed(messages: list[dict[str, str]], completion: str) -> bool:
    """Has at least fourteen words."""
    return len(completion.split()) >= 14


def one_sentence(messages: list[dict[str, str]], completion: str) -> bool:
    """Has at most one sentence."""
    return len(_SENTENCE_END.findall(completion)) <= 1


def first_person(messages: list[dict[str, str]], completion: str) -> bool:
    """Speaks of itself: I, my, me."""
    return re.search(r"\b(I|my|me|My|Me)\b", completion) is not None


def thanks(messages: list[dict[str, str]], completion: str) -> bool:
    """Thanks the person."""
    return re.search(r"\bthank", completion, re.IGNORECASE) is not None


RULES: dict[str, Rule] = {
    "polite": polite,
    "rude": rude,
    "evasive": evasive,
    "emoji": emoji,
    "exclaims": exclaims,
    "brief": brief,
    "detailed": detailed,
    "one-sentence": one_sentence,
    "first-person": first_person,
    "thanks": thanks,
}


def negated(rule: Rule) -> Rule:
    """The opposite rule: satisfied where `rule` is not."""
    return lambda messages, completion: not rule(messages, completion)


def find_rule(name: str) -> Rule:
    """The rule of that name: one of `RULES`, "not-" and one of them, or "package.module:function".

    Raises ValueError, with what was wrong and the names there are, for anything else.
    """
    names = (
        f"rules are: {', '.join(sorted(RULES))}; or 'not-NAME', the opposite; or 'package.module:function', your own"
    )
    if ":" in name:
        module_name, _, function_name = name.partition(":")
        try:
            found: Any = getattr(import_module(module_name), function_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"cannot load the rule {name!r}: {error}; {names}") from error
        if not callable(found):
            raise ValueError(f"the rule {name!r} is a {type(found).__name__}, not a function; {names}")
        rule: Rule = found
        return rule
    if name in RULES:
        return RULES[name]
    if name.startswith("not-") and name.removeprefix("not-") in RULES:
        return negated(RULES[name.removeprefix("not-")])
    raise ValueError(f"unknown rule {name!r}; {names}")
