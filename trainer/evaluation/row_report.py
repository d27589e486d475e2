"""What verdicts hang on besides the texts, from the rows of a file: position, length, lists."""

from collections.abc import Sequence
from typing import Any

from trainer.evaluation.diagnostics import MIN_LENGTH_GAP, position_effect, preference_for
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.statistics import WinRate

LISTS = "lists"


def row_report(rows: Sequence[Outcome]) -> dict[str, Any]:
    """`position`, `prefers_longer` and `prefers_lists`; each None where the rows do not tell."""
    valid = [(row, row.score_a) for row in rows if row.score_a is not None and row.model_a != row.model_b]
    shown = [(row, score, row.a_first) for row, score in valid if row.a_first is not None]
    position = None
    if shown:
        position = position_effect(
            [score for _, score, _ in shown],
            [first is True for _, _, first in shown],
            [row.prompt for row, _, _ in shown],
            [f"{row.model_a}\n{row.model_b}\n{row.rater}" for row, _, _ in shown],
        )
    lengths = [
        (score, row.length_a - row.length_b, row.prompt)
        for row, score in valid
        if row.length_a is not None and row.length_b is not None
    ]
    lists = [
        (score, row.style_a.get(LISTS, 0.0) - row.style_b.get(LISTS, 0.0), row.prompt)
        for row, score in valid
        if LISTS in row.style_a or LISTS in row.style_b
    ]
    return {
        "position": position,
        "prefers_longer": _preference(lengths, MIN_LENGTH_GAP),
        "prefers_lists": _preference(lists, 0),
    }


def unknown_orders(rows: Sequence[Outcome]) -> list[str]:
    """A sentence where `order` holds words that do not say who was first: they only tell repeats apart."""
    unknown = sorted({row.order for row in rows if row.order is not None and row.a_first is None})
    if not unknown:
        return []
    shown = ", ".join(repr(order) for order in unknown[:3])
    return [f"order {shown} does not say whose text was first (ab or ba does): no position effect from those rows."]


def _preference(rows: Sequence[tuple[float, float, str]], gap: float) -> WinRate | None:
    clear = [row for row in rows if abs(row[1]) > gap]
    scores, leads, prompts = [row[0] for row in clear], [row[1] for row in clear], [row[2] for row in clear]
    return preference_for(scores, leads, prompts) if clear else None
