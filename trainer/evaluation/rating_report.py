"""Ratings of the models of a file, where one number per model fails, and what style is worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr

from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.ratings import SUSPICIOUS_Z, Ratings, rate
from trainer.evaluation.style import style_control, style_difference

Row = dict[str, Any]


def rating_report(rows: Sequence[Outcome], notes: list[str]) -> Row:
    """`models` by name in first-seen order, `residuals`, and `style` where the rows have lengths or style counts.

    Every valid row is one comparison; errors are clustered by prompt.
    """
    names = list(dict.fromkeys(name for row in rows for name in (row.model_a, row.model_b)))
    number = {name: i for i, name in enumerate(names)}
    valid = [row for row in rows if row.score_a is not None and row.model_a != row.model_b]
    if not valid:
        return {"models": {name: _unrated(name) for name in names}, "residuals": None, "style": None}
    a = np.array([number[row.model_a] for row in valid], dtype=np.int64)
    b = np.array([number[row.model_b] for row in valid], dtype=np.int64)
    scores = np.array([row.score_a for row in valid], dtype=np.float64)
    prompts: dict[str, int] = {}
    clusters = np.array([prompts.setdefault(row.prompt, len(prompts)) for row in valid], dtype=np.int64)
    ratings = rate(a, b, scores, len(names), clusters=clusters)
    rated = [model for model in ratings.models if model is not None]
    if any(model.prior for model in rated):
        notes.append("Some model never won or never lost: ratings use a weak prior (standard deviation 400 points).")
    if len({model.island for model in rated}) > 1:
        notes.append("The models are not all linked by comparisons: ratings of different islands cannot be compared.")
    return {
        "models": {
            name: _unrated(name) if model is None else {"model": name, **vars(model)}
            for name, model in zip(names, ratings.models, strict=True)
        },
        "residuals": _residuals(ratings, names),
        "style": _style(valid, a, b, scores, clusters, names, ratings),
    }


def _unrated(name: str) -> Row:
    return {
        "model": name,
        "rating": None,
        "interval": None,
        "comparisons": 0,
        "ranks": None,
        "reason": "no comparisons",
    }


def _residuals(ratings: Ratings, names: Sequence[str]) -> Row:
    """Pairs that the ratings do not describe, beside how many of them chance alone would flag."""
    flagged = [residual for residual in ratings.residuals if abs(residual.z) > SUSPICIOUS_Z]
    return {
        "checked": len(ratings.residuals),
        "expected_by_chance": 2 * float(ndtr(-SUSPICIOUS_Z)) * len(ratings.residuals),
        "flagged": [{**vars(r), "a": names[r.a], "b": names[r.b]} for r in flagged],
    }


def _style(
    rows: Sequence[Outcome],
    a: np.ndarray[Any, np.dtype[np.int64]],
    b: np.ndarray[Any, np.dtype[np.int64]],
    scores: np.ndarray[Any, np.dtype[np.float64]],
    clusters: np.ndarray[Any, np.dtype[np.int64]],
    names: Sequence[str],
    ratings: Ratings,
) -> Row | None:
    """Ratings with style held equal, on the rows that have the covariates; None where that cannot be fitted."""
    if any(model is None or model.prior or model.island != 0 for model in ratings.models) or len(names) < 3:
        return None
    if not all(row.length_a is not None and row.length_b is not None for row in rows):
        return None
    features = {"length": [(row.length_a or 0.0, row.length_b or 0.0) for row in rows]}
    for name in sorted({name for row in rows for name in (*row.style_a, *row.style_b)}):
        features[name] = [(row.style_a.get(name, 0.0), row.style_b.get(name, 0.0)) for row in rows]
    styles = {name: style_difference(*np.array(values).T) for name, values in features.items()}
    styles = {name: column for name, column in styles.items() if column.std() > 0}
    if not styles:
        return None
    try:
        fitted = style_control(a, b, scores, len(names), styles, clusters=clusters)
    except ValueError:
        return None
    order, before = _places(fitted.ratings), _places(fitted.uncontrolled)
    return {
        "coefficients": fitted.coefficients,
        "models": {
            name: {"rating": float(fitted.ratings[i]), "rank": int(order[i]), "rank_change": int(before[i] - order[i])}
            for i, name in enumerate(names)
        },
    }


def _places(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    places = np.empty(len(values), dtype=np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return places
