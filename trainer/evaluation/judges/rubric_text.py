"""The text of a rubric, TOML, made into a Rubric; or all that is wrong with it, each with its line and what to do.

The packaged ones (trainer/evaluation/rubrics) show the form and explain its fields. Nothing is ever formatted into the
text: what it says is what the judge is told. Leaves out where the files lie (rubric_shelf.py).
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.evaluation.judges.rubric import SLOT, SYSTEM_SLOTS, USER_SLOTS, Rubric, RubricError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
NAMING = "small letters, digits, - and _, at most 40 of them"
MOST_CHARACTERS = 40_000  # of a whole file
SHORTEST, LONGEST = 100, 50_000  # characters that a rubric may keep of a text
NEEDED = ("name", "system", "user", "criteria")
CHOICES = {"turns": ("single", "multi"), "reference": ("never", "if_given", "required")}
TYPES: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("name", "system", "user", "turns", "reference"), (str, "a text in quotes")),
    "ties": (bool, "true or false"),
    **dict.fromkeys(("longest_prompt", "longest_text"), (int, "a whole number")),
    "criteria": (list, "a list of texts"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong; `line` counts from 1."""

    line: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}; {self.remedy}"


class FaultyRubric(RubricError):
    """A text that is no rubric, with everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(". ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


def parse_rubric(text: str) -> Rubric:
    """Raises FaultyRubric."""
    if len(text) > MOST_CHARACTERS:
        raise FaultyRubric([Fault(1, f"it has {len(text):,} characters", f"keep it under {MOST_CHARACTERS:,}")])
    if (half := _SURROGATE.search(text)) is not None:
        line = text.count("\n", 0, half.start()) + 1
        raise FaultyRubric([Fault(line, "it holds half of a surrogate pair, which is not text", "leave it out")])
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FaultyRubric([_unreadable(text, error)]) from error
    lines = _Lines(text)
    if faults := [*_of_fields(given, lines), *_of_slots(given, lines)]:
        raise FaultyRubric(sorted(faults, key=lambda fault: fault.line))
    return Rubric(**{**given, "criteria": tuple(given["criteria"])})


def _unreadable(text: str, error: Exception) -> Fault:
    told = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    if told is None:
        return Fault(1, f"it is not TOML ({error})", "start from a copy of one that works")
    line = int(told[2]) if told[2] else text.count("\n") + 1
    where = f" at column {told[3]}" if told[3] else " at the end"
    return Fault(line, f"it is not TOML: {told[1]}{where}", "mend quotes, brackets and commas here or just above")


def _of_fields(given: dict[str, Any], lines: "_Lines") -> Iterator[Fault]:
    for key in sorted(set(given) - set(TYPES)):
        yield Fault(lines.of(key), f"it sets {key}", f"a rubric has only {', '.join(TYPES)}")
    if missing := [key for key in NEEDED if not given.get(key)]:
        yield Fault(1, f"it has no {', '.join(missing)}", "add a line that sets it, as the packaged rubrics do")
    for key, value in given.items():
        if key not in TYPES or (key in missing and value in ("", [])):
            continue
        kind, words = TYPES[key]
        if type(value) is not kind:
            yield Fault(lines.of(key), f"{key} is {value!r}"[:200], f"give {words}")
        elif remedy := _remedy(key, value):
            yield Fault(lines.of(key), f"{key} is {value!r}"[:200], remedy)


def _remedy(key: str, value: Any) -> str:
    """What to do about a value of the right type; nothing where it is good."""
    if key == "name" and not NAME.fullmatch(value):
        return f"use {NAMING}"
    if key in CHOICES and value not in CHOICES[key]:
        return f"use one of {', '.join(CHOICES[key])}"
    if key in ("longest_prompt", "longest_text") and not SHORTEST <= value <= LONGEST:
        return f"give {SHORTEST} to {LONGEST} characters"
    if key == "criteria" and not all(isinstance(one, str) and one.strip() for one in value):
        return "give a list of texts, one sentence or two each"
    texts = value if key == "criteria" else [value] if key in ("system", "user") else []
    return "leave out control characters" if any(_CONTROL.search(one) for one in texts) else ""


def _of_slots(given: dict[str, Any], lines: "_Lines") -> Iterator[Fault]:
    """Of the two templates, as far as they are texts."""
    shown = {"prompt", "first", "second"} | ({"reference"} if given.get("reference") != "never" else set())
    for key, known, needed in (("system", SYSTEM_SLOTS, {"criteria"}), ("user", USER_SLOTS, shown)):
        if not isinstance(template := given.get(key), str) or not template:
            continue
        slots = set(SLOT.findall(template))
        for slot in sorted(slots - known):
            allowed = ", ".join(f"{{{{{one}}}}}" for one in sorted(known))
            yield Fault(lines.of_slot(key, slot), f"{key} has the slot {slot!r}", f"it may have {allowed}")
        for slot in sorted(needed - slots):
            yield Fault(lines.of(key), f"{key} has no slot {{{{{slot}}}}}", "add it, or the judge would not see that")


class _Lines:
    """Where something stands in a text that is TOML."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def of(self, key: str) -> int:
        """The line that sets the key. What stands before it is TOML by itself, unlike before a line within a text."""
        begins = re.compile(rf"""\s*(\[+\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
        at = (number for number, line in enumerate(self._lines) if begins.match(line))
        return next((number + 1 for number in at if _is_toml("\n".join(self._lines[:number]))), 1)

    def of_slot(self, key: str, slot: str) -> int:
        start, wanted = self.of(key), re.compile(rf"\{{\{{\s*{re.escape(slot)}\s*\}}\}}")
        found = (start + more for more, line in enumerate(self._lines[start - 1 :]) if wanted.search(line))
        return next(found, start)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
