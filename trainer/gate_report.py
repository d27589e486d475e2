"""What the gate saw besides what decided it, in sentences for people: length, tags, the judge and how far to trust it.

All figures come from trainer/evaluation/pair_report.py, as those of `prefloop statistics` and `prefloop evaluate` do.
Nothing here decides: a slice is one of many, and equal length is a question of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.pair_report import pair_rows, slice_rows
from trainer.evaluation.pairs import gather
from trainer.evaluation.plain import plain

ALPHA = 0.05


def preference_figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of one side's verdicts on the other: raw and length-controlled win rate and slices by tag, as plain data."""
    notes: list[str] = []
    pairs = gather(outcomes)
    row = pair_rows(pairs, notes)[0]
    kept = ("n", "win_rate", "interval", "length_controlled_win_rate", "length_controlled_interval", "length_control")
    return {key: plain(row[key]) for key in kept} | {"slices": plain(slice_rows(pairs)), "notes": notes}


def report(
    preference: Mapping[str, Any] | None,
    judge: Mapping[str, Any] | None,
    *,
    notes: Sequence[str],
    one_look: bool = True,
) -> list[str]:
    """Sentences about the preference model's figures and the judge's (None where there are none).

    notes: how the judge stands with this project's people, or why there is none; they come last. one_look: intervals
    are shown, which a number of prompts that the scores themselves decided about would make wrong.
    """
    lines: list[str] = []
    if preference is not None:
        lines += _of_verdicts("By the preference model", preference, one_look)
    if judge is not None:
        lines += [_verdicts(judge), *_of_verdicts("By the judge", judge, one_look), *judge["alarms"]]
    return [*lines, *notes]


def _verdicts(judge: Mapping[str, Any]) -> str:
    counts, total = judge["verdicts"], judge["prompts"]
    who = f"Judge {judge['judge']['name']}, revision {str(judge['judge']['revision'])[:12]}"
    if judge.get("rubric"):
        who += f", rubric {judge['rubric']['name']} {judge['rubric']['digest'][:8]}"
    said = ", ".join(f"{counts[kind]} {word}" for kind, word in _WORDS.items())
    invalid = f"{counts['invalid']} invalid ({counts['invalid'] / max(1, total):.1%})"
    return f"{who}: {said}, {invalid} of {total} pairs of texts on {judge['n']} prompts."


_WORDS = {"win": "won", "loss": "lost", "tie": "tied", "flip": "flipped with the order"}


def _of_verdicts(who: str, figures: Mapping[str, Any], one_look: bool) -> list[str]:
    """The raw win rate beside the one at equal length, and the lowest slice."""
    if figures.get("win_rate") is None:
        return []
    raw = f"{who} the win rate is {figures['win_rate']:.0%}{_interval(figures['interval'] if one_look else None)}"
    controlled = figures.get("length_controlled_win_rate")
    if controlled is None:
        said = f"{raw}; at equal length it is not known: {_why_not(figures)}."
    else:
        ends = figures["length_controlled_interval"] if one_look else None
        said = f"{raw}, at equal length {controlled:.0%}{_interval(ends)}."
    return [said, *_lowest(who, figures["slices"])]


def _why_not(figures: Mapping[str, Any]) -> str:
    control = figures.get("length_control") or {}
    told = [note.split(": ", 1)[1] for note in figures["notes"] if note.startswith("No length-controlled win rate")]
    return str(control.get("why_not") or next(iter(told), "the lengths are not known")).rstrip(".")


def _lowest(who: str, slices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lowest slice that is large enough, and whether it is worse than chance makes the lowest of so many."""
    tested = [one for one in slices if one["p_holm"] is not None]
    if not tested:
        return []
    worst = min(tested, key=lambda one: (one["win_rate"], one["tag"]))
    figures = f"{worst['win_rate']:.0%} on {worst['n']} prompts"
    if worst["win_rate"] < 0.5 and worst["p_holm"] <= ALPHA:
        told = f"below 50% even as the lowest of {len(tested)} (p {worst['p_holm']:.2g} after Holm)"
    else:
        told = f"nothing that chance would not do among {len(tested)} (p {worst['p_holm']:.2g} after Holm)"
    return [f"{who} its lowest tag is {worst['tag']}: {figures}, {told}."]


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" (95% interval {ends[0]:.0%} to {ends[1]:.0%})"
