"""Style covariates: how much of a rating is length, lists, headers or bold rather than content.

Bradley-Terry with features x of both texts beside the strengths; the rating with the style terms at zero is what a
model would have if everyone wrote alike. An association, not a cause: good texts may need length.
Source: LMArena's style control (Li et al. 2024), with the features it uses, and without its penalty by default.
Legend: N comparisons, C covariates, M models.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trainer.evaluation.bradley_terry import fit_bradley_terry
from trainer.evaluation.ratings import CENTRE, POINTS
from trainer.evaluation.statistics import Interval

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Coefficient:
    """Logits per standard deviation of the style difference, with its interval; above 0: more of it wins."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class StyleControlled:
    """Ratings [M] with style and without, and what each covariate is worth."""

    ratings: Array
    uncontrolled: Array
    coefficients: Mapping[str, Coefficient]


def style_difference(a: Array, b: Array) -> Array:
    """Counts of a and b [N] -> (a - b) / (a + b + 1): in -1..1, and 0 where neither has any."""
    return np.asarray((a - b) / (a + b + 1))


def style_control(
    a: Indices,
    b: Indices,
    scores: Array,
    models: int,
    styles: Mapping[str, Array],
    *,
    clusters: Indices | None = None,
    ridge: float = 0.0,
    covariate_ridge: float = 0.0,
    confidence: float = 0.95,
) -> StyleControlled:
    """Ratings of connected models with `styles`, name -> difference [N], standardised here over the comparisons.

    Raises ValueError for a style that never varies, NoOptimum where the fit does not exist (models not connected, or
    a style that tells the models apart).
    """
    columns = []
    for name, column in styles.items():
        spread = float(column.std())
        if not spread > 0:
            raise ValueError(f"style {name!r} is the same in every comparison: leave it out")
        columns.append((column - column.mean()) / spread)
    plain = fit_bradley_terry(a, b, scores, models, ridge=ridge)
    fitted = fit_bradley_terry(
        a,
        b,
        scores,
        models,
        clusters=clusters,
        covariates=np.stack(columns, axis=1),
        ridge=ridge,
        covariate_ridge=covariate_ridge,
    )
    errors = np.sqrt(np.diag(fitted.sandwich)[models:])
    half = float(ndtri(0.5 + confidence / 2)) * errors
    named = {
        name: Coefficient(float(value), Interval(float(value - h), float(value + h)))
        for name, value, h in zip(styles, fitted.coefficients, half, strict=True)
    }
    return StyleControlled(CENTRE + POINTS * fitted.strengths, CENTRE + POINTS * plain.strengths, named)
