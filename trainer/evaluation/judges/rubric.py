"""Rubrics: files that say what a language model judges by, and how a comparison is put to it.

A rubric's version is the SHA-256 of its content. Every text under judgement stands between lines that begin with a
random code, the fence, which no author can know; should a text hold it all the same, it is replaced. The same number of
characters is kept of both texts, with a mark where something was cut. Slots are filled in one pass, so that a text that
looks like a slot stays text, and the system message holds nothing but the rubric. Leaves out reading the files
(rubric_text.py), where they lie (rubric_shelf.py) and the verdict's meaning (parsing.py), whose grammar the closing
instruction asks for.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from trainer.evaluation.judges.base import Ask, Comparison, Said
from trainer.evaluation.judges.parsing import NAMES

CUT = "\n[truncated]\n"
KEY_FENCE = "\0fence\0"  # stands for the random one where a call is identified

Form = Literal["word", "reasons", "json"]
SYSTEM_SLOTS = frozenset({"criteria"})
USER_SLOTS = frozenset({"fence", "prompt", "first", "second", "reference"})
SLOT = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class RubricError(ValueError):
    """A rubric file that cannot be used, or a comparison that it does not fit; says what to do."""


@dataclass(frozen=True)
class Rubric:
    """What a judge goes by. Lengths are characters; 0 of `longest_text` is refused, there is always a cap."""

    name: str
    system: str
    user: str
    criteria: tuple[str, ...]
    turns: Literal["single", "multi"] = "multi"
    reference: Literal["never", "if_given", "required"] = "if_given"
    ties: bool = True
    longest_prompt: int = 12_000
    longest_text: int = 8_000

    @property
    def digest(self) -> str:
        """SHA-256 hex of the content; remarks in the file do not change it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @property
    def names(self) -> dict[str, Said]:
        """The verdicts it knows, by the names that the judge writes."""
        return {name: said for name, said in NAMES.items() if self.ties or said is not Said.tie}


def new_fence() -> str:
    """A code that whoever wrote a text cannot have known: 64 random bits."""
    return secrets.token_hex(8)


def judge_messages(rubric: Rubric, ask: Ask, form: Form) -> list[dict[str, str]]:
    """The call as system and user messages; without a fence in `ask` as it is identified by.

    Raises RubricError where the rubric does not fit the comparison.
    """
    comparison, fence = ask.comparison, ask.fence or KEY_FENCE
    check_fit(rubric, comparison)
    text = rubric.longest_text
    shown = {
        "fence": fence,
        "prompt": _block("the conversation", _conversation(comparison, fence, rubric.longest_prompt), fence),
        "first": _block("text A", capped(_without(comparison.first, fence), text), fence),
        "second": _block("text B", capped(_without(comparison.second, fence), text), fence),
        "reference": "",
    }
    if comparison.reference is not None and rubric.reference != "never":
        kept = capped(_without(comparison.reference, fence), text)
        shown["reference"] = _block("a reference that is known to be right", kept, fence)
    criteria = "\n".join(f"{number}. {line}" for number, line in enumerate(rubric.criteria, 1))
    asked = [fill(rubric.user, shown).strip(), closing(rubric, form)]
    if ask.reminders:
        asked.append(f"Your last reply could not be read. {closing(rubric, form)}")
    return [
        {"role": "system", "content": fill(rubric.system, {"criteria": criteria}).strip()},
        {"role": "user", "content": "\n\n".join(asked)},
    ]


def check_fit(rubric: Rubric, comparison: Comparison) -> None:
    """Raises RubricError for a prompt of several turns or without a reference, where the rubric forbids it."""
    turns = sum(message["role"] == "user" for message in comparison.messages)
    if rubric.turns == "single" and turns > 1:
        raise RubricError(
            f'The rubric {rubric.name!r} is for single turns and a prompt has {turns}; use one with turns = "multi".'
        )
    if rubric.reference == "required" and comparison.reference is None:
        raise RubricError(
            f"The rubric {rubric.name!r} needs a reference and a prompt has none; import the prompts with one, or use "
            'a rubric with reference = "if_given".'
        )


def closing(rubric: Rubric, form: Form) -> str:
    """How to reply, in the grammar that parsing.py reads."""
    *others, last = rubric.names
    if form == "word":
        return f"Which is better? Reply with one of these words and nothing else: {', '.join(others)} or {last}."
    if form == "reasons":
        marks = f"{', '.join(f'[[{name}]]' for name in others)} or [[{last}]]"
        return f"Give your reasons in a few sentences. Then write your verdict on a line of its own: {marks}."
    quoted = ", ".join(f'"{name}"' for name in others)
    return (
        'Reply with one JSON object and nothing else: "reasons", a text of a few sentences, and then "verdict", one of '
        f'{quoted} or "{last}".'
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """Every slot replaced by its value, in one pass: what is filled in is never looked at again."""
    return SLOT.sub(lambda match: values[match[1]], template)


def capped(text: str, longest: int) -> str:
    """The beginning of a text, with the mark where something is missing."""
    return text if len(text) <= longest else text[:longest] + CUT.rstrip()


def without_middle(text: str, longest: int) -> str:
    """Both ends of a text that is too long: the question may stand at either."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return text[:half] + CUT + text[len(text) - half :]


def _without(text: str, fence: str) -> str:
    return text.replace(fence, "[code]")


def _block(title: str, text: str, fence: str) -> str:
    return f"{fence} begin {title}\n{text}\n{fence} end {title}"


def _conversation(comparison: Comparison, fence: str, longest: int) -> str:
    """One user's turn stands alone; of more, each has a line with the fence that says whose it is."""
    messages: Sequence[Mapping[str, str]] = comparison.messages
    share = max(50, longest // max(1, len(messages)))
    texts = [without_middle(_without(message["content"], fence), share) for message in messages]
    if len(messages) == 1 and messages[0]["role"] == "user":
        return texts[0]
    return "\n".join(f"{fence} {message['role']}\n{text}" for message, text in zip(messages, texts, strict=True))
