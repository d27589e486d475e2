"""Bradley-Terry: one strength per model from comparisons between many models, by exact Newton, with its covariance.

P(a beats b) = sigmoid(theta_a - theta_b + x.beta); a tie is half a win and half a loss; x are style covariates, if any
(style.py). Strengths sum to zero. The covariance is the sandwich H^+ M H^+, with the meat M summed over clusters (all
rows of a prompt) where clusters are given, because votes on one prompt are not independent.
Leaves out who is rated at all and what is shown (ratings.py). Assumes transitivity; the residuals test that.
Source: Bradley and Terry (1952); covariance: Huber (1967), clustered: Liang and Zeger (1986).
Legend: M models, N comparisons, C covariates, P distinct pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.special import expit

from trainer.evaluation.connectivity import connectivity
from trainer.evaluation.newton import NoOptimum, minimise

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# One prior for a fit without a finite optimum: strengths are normal with this standard deviation, 400 Elo points.
PRIOR_SD = float(np.log(10.0))
RUNAWAY = 25.0  # logits; odds of 10^11 are no estimate but a loss that falls for ever


@dataclass(frozen=True)
class BradleyTerry:
    """Strengths [M] in logits that sum to zero, `coefficients` [C], and their joint covariances [M + C, M + C].

    `sandwich` is robust (and clustered where clusters were given); `information` is the inverse Hessian, which is too
    wide where ties are common and far too narrow nowhere: the one to fall back on for models with few comparisons.
    """

    strengths: Array
    coefficients: Array
    sandwich: Array
    information: Array


@dataclass(frozen=True)
class _Problem:
    """Comparisons folded to distinct pairs where there are no covariates: a million rows cost what 20,000 pairs do."""

    a: Indices
    b: Indices
    count: Array
    total: Array  # summed scores of a
    x: Array
    models: int

    def logits(self, theta: Array) -> Array:
        return np.asarray(theta[self.a] - theta[self.b] + self.x @ theta[self.models :])


def fit_bradley_terry(
    a: Indices,
    b: Indices,
    scores: Array,
    models: int,
    *,
    clusters: Indices | None = None,
    covariates: Array | None = None,
    ridge: float = 0.0,
    covariate_ridge: float = 0.0,
    weights: Array | None = None,
    repeats: Array | None = None,
) -> BradleyTerry:
    """Fit model numbers a, b [N] with a's score [N] in 0..1; clusters [N] number the clusters from 0.

    repeats [N]: row i stands for r_i independent comparisons that had its score; not together with clusters.
    Minimises sum_i w_i r_i CE(s_i, P_i) + ridge/2 |theta|^2 + covariate_ridge/2 |beta|^2. Raises NoOptimum where that
    has no finite minimum (see connectivity.py; a ridge of 1/PRIOR_SD^2 gives one), ValueError for misshapen input.
    """
    _check(a, b, scores, models, clusters)
    if repeats is not None and (clusters is not None or repeats.shape != a.shape or repeats.min() <= 0):
        raise ValueError("repeats must be one positive number per comparison, without clusters")
    if ridge == 0:
        links = connectivity(a, b, scores, models)
        if len(links.finite) > 1 or not links.finite.all():
            raise NoOptimum("the ratings are not finite or not comparable: not everyone took a point, however indirect")
    rows = np.zeros((len(a), 0)) if covariates is None else covariates
    w = np.ones(len(a)) if weights is None else weights
    r = np.ones(len(a)) if repeats is None else repeats
    problem = _fold(a, b, scores, w * r, rows, models)
    size = models + rows.shape[1]
    penalty = np.concatenate([np.full(models, ridge), np.full(rows.shape[1], covariate_ridge)])
    # sum-zero gauge: a curvature along (1, .., 1), where the loss itself is flat, which leaves every other direction
    gauge = np.zeros((size, size))
    gauge[:models, :models] = 1.0 / models

    def loss(theta: Array) -> Array:
        eta = problem.logits(theta[0])
        value = np.sum(problem.count * np.logaddexp(0.0, eta) - problem.total * eta)
        return np.array([value + 0.5 * penalty @ theta[0] ** 2 + 0.5 * theta[0] @ gauge @ theta[0]])

    def slope(theta: Array) -> tuple[Array, Array]:
        p = expit(problem.logits(theta[0]))
        gradient = _spread(problem, problem.count * p - problem.total) + penalty * theta[0] + gauge @ theta[0]
        return gradient[None], (_curvature(problem, problem.count * p * (1 - p)) + np.diag(penalty) + gauge)[None]

    solved, hessian = minimise(loss, slope, np.zeros((1, size)))
    theta = solved[0]
    if float(np.abs(theta).max()) > RUNAWAY:
        raise NoOptimum(f"a parameter ran away beyond {RUNAWAY:g} logits: a style tells every win")
    inverse = np.linalg.inv(hessian[0])
    along = np.zeros(size)
    along[:models] = 1.0
    if ridge == 0:  # the gauge's own curvature is not information
        inverse = inverse - np.outer(along, along) / models
    # r rows of one residual add r times its square, as sqrt(r) times it does alone
    residuals = w * np.sqrt(r) * (scores - expit(theta[a] - theta[b] + rows @ theta[models:]))
    meat = _meat(a, b, residuals, rows, models, clusters)
    return BradleyTerry(theta[:models], theta[models:], inverse @ meat @ inverse, inverse)


def _fold(a: Indices, b: Indices, scores: Array, weights: Array, rows: Array, models: int) -> _Problem:
    if rows.shape[1]:
        return _Problem(a, b, weights, weights * scores, rows, models)
    low, high = np.minimum(a, b), np.maximum(a, b)
    of_low = np.where(a < b, scores, 1 - scores)
    table = np.bincount(low * models + high, weights=weights, minlength=models * models)  # no sorting of N rows
    keys = np.flatnonzero(table)
    count = table[keys].astype(np.float64)
    total = np.bincount(low * models + high, weights=weights * of_low, minlength=models * models)[keys]
    no_styles = np.zeros((len(keys), 0))
    return _Problem(keys // models, keys % models, count, total.astype(np.float64), no_styles, models)


def _spread(problem: _Problem, row: Array) -> Array:
    """Sum over rows of row_i * (e_a - e_b, x_i): [M + C]."""
    size = problem.models
    strengths = np.bincount(problem.a, row, size) - np.bincount(problem.b, row, size)
    return np.concatenate([strengths, problem.x.T @ row])


def _curvature(problem: _Problem, row: Array) -> Array:
    """Sum over rows of row_i * (e_a - e_b, x_i) outer itself: [M + C, M + C]."""
    size = problem.models
    flat = np.bincount(problem.a * size + problem.b, row, size * size).astype(np.float64).reshape(size, size)
    graph = -(flat + flat.T)
    np.fill_diagonal(graph, -graph.sum(axis=1) + np.diag(graph))
    if not problem.x.shape[1]:
        return graph
    weighted = problem.x * row[:, None]
    cross = np.stack([_spread(problem, column)[:size] for column in weighted.T], axis=1)
    return np.block([[graph, cross], [cross.T, problem.x.T @ weighted]])


def _meat(a: Indices, b: Indices, residuals: Array, rows: Array, models: int, clusters: Indices | None) -> Array:
    """Sum over clusters of their summed score vectors' outer product; each row its own cluster where none are given."""
    if clusters is None and not rows.shape[1]:
        squared = residuals**2
        pairs = _Problem(a, b, squared, squared, rows, models)
        return _curvature(pairs, squared)
    place = np.arange(len(a)) if clusters is None else clusters
    size = int(place.max()) + 1
    scores = csr_array(
        coo_array(
            (np.concatenate([residuals, -residuals]), (np.tile(place, 2), np.concatenate([a, b]))),
            shape=(size, models),
        )
    )
    meat = np.asarray((scores.T @ scores).todense())
    if not rows.shape[1]:
        return meat
    styles = np.stack([np.bincount(place, residuals * column, size) for column in rows.T], axis=1)
    cross = np.asarray(scores.T @ styles)
    return np.block([[meat, cross], [cross.T, styles.T @ styles]])


def _check(a: Indices, b: Indices, scores: Array, models: int, clusters: Indices | None) -> None:
    if not (a.shape == b.shape == scores.shape) or a.ndim != 1 or len(a) == 0:
        raise ValueError(f"ratings need comparisons [N], got shapes {a.shape}, {b.shape} and {scores.shape}")
    if bool(np.any(a == b)):
        raise ValueError("a model cannot be rated by comparisons with itself: leave those out")
    if clusters is not None and (clusters.shape != a.shape or clusters.min() < 0):
        raise ValueError("clusters must be one number from 0 up per comparison")
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= models:
        raise ValueError(f"model numbers must lie in 0..{models - 1}")
    if not bool(np.all((scores >= 0) & (scores <= 1))):
        raise ValueError("a score lies outside 0 (loss) to 1 (win): leave out invalid ones")
