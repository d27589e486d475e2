"""Outcomes of comparisons as JSON lines, made here or elsewhere: one row per prompt, pair, rater and order.

A row is an object with `prompt`, `model_a`, `model_b` and either `score_a` (model_a's score, 0 loss to 1 win) or
`outcome` from model_a's side: the five stored outcomes, and the peers' words for them. Optional: `length_a`, `length_b`
(characters or tokens), `rater`, `order` (who was shown first), `tags`, and for those who have them `difficulty` (one
number per prompt) and `style_a`, `style_b` (counts, such as {"lists": 3}). A row that cannot be used is told with its
line number and left out; nothing is guessed. Leaves out what the figures are (report.py) and where lines come from.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.evaluation.statistics import SAME

# Peers' words (AlpacaEval, MT-bench, Arena): both-bad is a tie; a tie made by disagreeing orders is a flip.
OUTCOMES = {
    "win": "win",
    "loss": "loss",
    "lose": "loss",
    "tie": "tie",
    "draw": "tie",
    "flip": "flip",
    "invalid": "invalid",
    "error": "invalid",
    "a": "win",
    "model_a": "win",
    "b": "loss",
    "model_b": "loss",
    "both_bad": "tie",
    "tie (bothbad)": "tie",
    "tie (inconsistent)": "flip",
}
SCORE_OF = {"win": 1.0, "loss": 0.0, "tie": 0.5, "flip": 0.5, "invalid": None}
ORDERS = {
    **{word: True for word in ("ab", "a", "model_a", "a_first", "model_a_first")},
    **{word: False for word in ("ba", "b", "model_b", "b_first", "model_b_first")},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One judged comparison. `score_a` is model_a's in 0..1, None where the verdict was invalid."""

    prompt: str
    model_a: str
    model_b: str
    score_a: float | None
    flip: bool = False
    length_a: float | None = None
    length_b: float | None = None
    rater: str | None = None
    order: str | None = None
    tags: tuple[str, ...] = ()
    difficulty: float | None = None
    style_a: Mapping[str, float] = field(default_factory=dict)
    style_b: Mapping[str, float] = field(default_factory=dict)

    @property
    def a_first(self) -> bool | None:
        """Whether model_a's text was shown first; None where unknown."""
        return None if self.order is None else ORDERS.get(self.order.lower())


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be used: the line it stands on, counted from 1, and why."""

    line: int
    reason: str


def read_outcomes(lines: Iterable[tuple[int, bytes]]) -> tuple[list[Outcome], list[LeftOut]]:
    """Every usable row of numbered lines, and every row left out with its reason. Blank lines do not count."""
    outcomes: list[Outcome] = []
    left_out: list[LeftOut] = []
    for number, line in lines:
        if not line.strip():
            continue
        try:
            outcomes.append(parse_outcome(line))
        except (ValueError, OverflowError) as error:
            left_out.append(LeftOut(number, str(error)))
    return outcomes, left_out


def parse_outcome(line: bytes) -> Outcome:
    """One line as an Outcome. Raises ValueError that names the field, its value and what would do."""
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise ValueError("not usable: nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError(f"not an object but {_shown(row)}")
    score, flip = _score(row)
    return Outcome(
        prompt=_prompt(row),
        model_a=_name(row, "model_a"),
        model_b=_name(row, "model_b"),
        score_a=score,
        flip=flip,
        length_a=_number(row, "length_a"),
        length_b=_number(row, "length_b"),
        rater=_label(row, "rater"),
        order=_label(row, "order"),
        tags=_tags(row),
        difficulty=_number(row, "difficulty", least=-math.inf),
        style_a=_counts(row, "style_a"),
        style_b=_counts(row, "style_b"),
    )


def _score(row: dict[str, Any]) -> tuple[float | None, bool]:
    """(score of model_a or None where invalid, whether it was a flip); refuses what contradicts itself."""
    word = row.get("outcome")
    if word is None:
        if "score_a" not in row:
            raise ValueError("neither score_a nor outcome is given")
        return _share(row["score_a"]), False
    outcome = OUTCOMES.get(word.strip().lower()) if isinstance(word, str) else None
    if outcome is None:
        raise ValueError(f"outcome is {_shown(word)}, not one of win, loss, tie, flip, invalid")
    score = _share(row.get("score_a"))
    if score is None:
        return SCORE_OF[outcome], outcome == "flip"
    side = "tie" if abs(score - 0.5) <= SAME else "win" if score > 0.5 else "loss"
    if outcome != "flip" and outcome != side:
        raise ValueError(f"outcome {word!r} contradicts score_a {score}")
    return score, outcome == "flip"


def _share(value: Any) -> float | None:
    """A score in 0..1; null is an invalid verdict, which leaves the denominator and never counts as a loss."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"score_a is {_shown(value)}, not a number from 0 to 1 (or null for an invalid verdict)")
    return float(value)


def _prompt(row: dict[str, Any]) -> str:
    value = row.get("prompt")
    if value is None or value == "":
        raise ValueError("prompt is missing")
    # the number 1 and the text "1" are one prompt, as they would be in a CSV; messages are told apart by content
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _name(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {_shown(value)}, not a name" if key in row else f"{key} is missing")
    return _writable(value)


def _label(row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is None or isinstance(value, str):
        return _writable(value) if value else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{key} is {_shown(value)}, not text")


def _number(row: dict[str, Any], key: str, least: float = 0.0) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ValueError(f"{key} is {_shown(value)}, not a number{' of at least 0' if least == 0 else ''}")
    return float(value)


def _tags(row: dict[str, Any]) -> tuple[str, ...]:
    value = row.get("tags")
    given = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise ValueError(f"tags is {_shown(value)}, not a list of texts")
    return tuple(dict.fromkeys(_writable(tag) for tag in given if tag))


def _counts(row: dict[str, Any], key: str) -> Mapping[str, float]:
    value = row.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} is {_shown(value)}, not an object of counts")
    return {_writable(name): count for name in value if (count := _number(value, name)) is not None}


def _writable(text: str) -> str:
    """Half a surrogate pair is legal JSON but no text that could ever be printed."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{_shown(text)} holds half a surrogate pair")
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
