"""The figures of every pair of models, of every two opponents of one baseline, and of every slice by tag."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.evaluation.bootstrap import bootstrap_mean
from trainer.evaluation.length_report import ANCHOR, LengthControl
from trainer.evaluation.multiplicity import holm
from trainer.evaluation.paired import mcnemar, paired_difference
from trainer.evaluation.pairs import Pair
from trainer.evaluation.sequential import anytime_interval, log_e_value
from trainer.evaluation.statistics import standard_error, win_rate

ROUNDS = 500
MIN_SLICE = 10  # prompts; smaller slices are shown and not tested
MAX_OPPONENTS = 40  # of one baseline; more are left to the ratings
MAX_BOOTSTRAPPED = 300  # pairs of a file, each of which costs up to half a second
MAX_NOTES = 5  # of one kind

Row = dict[str, Any]


def pair_rows(pairs: Sequence[Pair], notes: list[str], known_effect: float | None = None) -> list[Row]:
    """One row per pair. `notes` gains the reasons for which length-controlled figures cannot be given.

    known_effect: the length coefficient of earlier runs of this judge, as in length_control.py.
    """
    draw = len(pairs) <= MAX_BOOTSTRAPPED
    control = LengthControl(pairs, known_effect, rounds=ROUNDS if draw else 0)
    without: list[str] = []
    rows = []
    for pair in pairs:
        scores = pair.scores.tolist()
        rate = win_rate(scores) if pair.n else None
        lengths = control.of(pair)
        if lengths and lengths.why_not:
            without.append(
                f"No length-controlled win rate of {pair.model_a} against {pair.model_b}: {lengths.why_not}."
            )
        rows.append(
            {
                "model_a": pair.model_a,
                "model_b": pair.model_b,
                "n": pair.n,
                "wins": pair.wins,
                "losses": pair.losses,
                "ties": pair.ties,
                "win_rate": rate.rate if rate else None,
                "standard_error": standard_error(scores) if pair.n > 1 else None,
                "interval": rate.interval if rate else None,
                "length_controlled_win_rate": lengths.rate if lengths else None,
                "length_controlled_interval": lengths.interval if lengths else None,
                "length_control": lengths,
                "bootstrap_interval": bootstrap_mean(pair.scores, rounds=ROUNDS) if draw and pair.n > 1 else None,
                "n_effective": rate.n_effective if rate else None,
                "flips": pair.flips,
                "invalid": pair.invalid,
                "bounds": _bounds(pair),
                "log_e_value": log_e_value(pair.wins, pair.losses),
                "anytime_interval": anytime_interval(pair.wins, pair.losses),
                "mean_length_a": _known_mean(pair.length_a.tolist()),
                "mean_length_b": _known_mean(pair.length_b.tolist()),
            }
        )
    if not draw:
        notes.append(f"There are {len(pairs)} pairs: the intervals that need a bootstrap are left out.")
    notes += without[:MAX_NOTES]
    if len(without) > MAX_NOTES:
        notes.append(f"{len(without) - MAX_NOTES} more pairs have none either: see length_control of each.")
    return rows


def paired_rows(pairs: Sequence[Pair], notes: list[str]) -> list[Row]:
    """Every two opponents of one baseline that never met directly, on their common prompts; Holm over all of them."""
    against: dict[str, dict[str, dict[str, float]]] = {}
    for pair in pairs:
        if pair.model_a != pair.model_b:
            scores = dict(zip(pair.prompts, pair.scores.tolist(), strict=True))
            against.setdefault(pair.model_b, {})[pair.model_a] = scores
            against.setdefault(pair.model_a, {})[pair.model_b] = {prompt: 1 - s for prompt, s in scores.items()}
    rows = []
    met = {frozenset((pair.model_a, pair.model_b)) for pair in pairs}
    crowded = [baseline for baseline, opponents in against.items() if len(opponents) > MAX_OPPONENTS]
    if crowded:
        notes.append(f"More than {MAX_OPPONENTS} opponents are not compared two by two, but by models: {len(crowded)}.")
    for baseline, opponents in against.items():
        if baseline in crowded:
            continue
        names = list(opponents)
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                common = [prompt for prompt in opponents[first] if prompt in opponents[second]]
                if len(common) > 1 and frozenset((first, second)) not in met:
                    a, b = ([opponents[name][prompt] for prompt in common] for name in (first, second))
                    found = vars(paired_difference(a, b))
                    rows.append({"baseline": baseline, "model_a": first, "model_b": second, **found})
    return _adjusted(_adjusted(rows, "p"), "mcnemar_p")


def slice_rows(pairs: Sequence[Pair]) -> list[Row]:
    """The win rate of each pair by tag; p is of a t test against .5, Holm over all slices that are large enough."""
    rows = []
    for pair in pairs:
        by_tag: dict[str, list[float]] = {}
        for score, tags in zip(pair.scores.tolist(), pair.tags, strict=True):
            for tag in tags:
                by_tag.setdefault(tag, []).append(score)
        for tag, scores in by_tag.items():
            if tag == ANCHOR:
                continue
            rate = win_rate(scores)
            enough = len(scores) >= MIN_SLICE
            rows.append(
                {
                    "model_a": pair.model_a,
                    "model_b": pair.model_b,
                    "tag": tag,
                    "n": rate.n,
                    "win_rate": rate.rate,
                    "interval": rate.interval,
                    "p": _slice_p(scores) if enough else None,
                }
            )
    return _adjusted(rows, "p")


def _slice_p(scores: Sequence[float]) -> float:
    """Two-sided p of a mean of .5; exact where all scores are equal, which leaves no error to be estimated."""
    p = paired_difference([0.5] * len(scores), scores).p
    return mcnemar(sum(s < 0.5 for s in scores), sum(s > 0.5 for s in scores)) if p is None else p


def suspicions(pairs: Sequence[Pair]) -> list[str]:
    """What makes figures worthless whatever their intervals: copied verdicts, and one text for every prompt."""
    notes: list[str] = []
    seen: dict[tuple[Any, ...], str] = {}
    for pair in pairs:
        if pair.n < 30 or pair.model_a == pair.model_b:
            continue
        for name, lengths in ((pair.model_a, pair.length_a), (pair.model_b, pair.length_b)):
            if np.isfinite(lengths).all() and np.ptp(lengths) == 0:
                notes.append(f"Every text of {name} is {lengths[0]:g} long: one text for all {pair.n} prompts?")
        key = (pair.model_b, pair.prompts, pair.scores.tobytes(), pair.length_a.tobytes())
        if np.ptp(pair.scores) > 0 and (same := seen.setdefault(key, pair.model_a)) != pair.model_a:
            notes.append(f"{same} and {pair.model_a} have equal verdicts against {pair.model_b}: one model twice?")
    return list(dict.fromkeys(notes))


def _adjusted(rows: list[Row], key: str) -> list[Row]:
    known = [row for row in rows if row[key] is not None]
    adjusted = dict(zip(map(id, known), holm([row[key] for row in known]).tolist(), strict=True))
    return [{**row, f"{key}_holm": adjusted.get(id(row))} for row in rows]


def _bounds(pair: Pair) -> list[float] | None:
    """The win rate with every invalid prompt counted as a loss, and as a win."""
    count, total = pair.n + pair.invalid, float(pair.scores.sum())
    return [total / count, (total + pair.invalid) / count] if count else None


def _known_mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else None
