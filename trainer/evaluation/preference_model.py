"""The preference model: how the gate and the chart predict which of two completions people would choose.

A Bradley-Terry model, linear in frozen features of the initial model: P(a chosen over b) = sigmoid(w.(f(a) - f(b))).
Convex, deterministic, and fitted in milliseconds from twenty pairs on; never a model that a run was optimised against.
Why not a fine-tuned reward model: docs/decisions/preference-model.md.
Legend: P pairs, N completions, F features. It leaves out where pairs come from (trainer/dataset.py) and what a figure
leads to (trainer/gate.py).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trainer.evaluation.statistics import Accuracy, Interval, accuracy

if TYPE_CHECKING:
    pass

Array = NDArray[np.float64]
Item = tuple[list[dict[str, str]], str]  # the prompt's messages and one completion's text

FOLDS = 5
# L2 strengths in units of the mean squared length of a feature difference, so that they mean the same at any F.
STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
# The strength of a model that finds nothing to learn: zero weights, every completion scored alike.
NOTHING_LEARNT = math.inf
# Fewer newer pairs than this say nothing about a change of wishes: with 10, one agreement is still allowed.
NEWER_PAIRS = 10


@dataclass(frozen=True)
class PreferenceModel:
    """A fitted Bradley-Terry head; `weights` [F] apply to unstandardised features and give unit-sd differences."""

    weights: Array
    strength: float

    def score(self, features: Array) -> Array:
        """Features [N, F] -> scores [N]; only differences between scores mean anything."""
        return np.asarray(features @ self.weights)


@dataclass(frozen=True)
class CrossFit:
    """Fold models and how well each ordered the pairs that it had not seen."""

    models: tuple[PreferenceModel, ...]
    out_of_fold_correct: NDArray[np.bool_]

    @property
    def figures(self) -> Accuracy:
        return accuracy([bool(correct) for correct in self.out_of_fold_correct])

    @property
    def accuracy(self) -> float:
        return self.figures.rate

    @property
    def interval(self) -> Interval:
        return self.figures.interval

    @property
    def n(self) -> int:
        return len(self.out_of_fold_correct)

    def score(self, features: Array) -> Array:
        """Mean of the fold models' scores: features [N, F] -> [N]."""
        return np.asarray(features @ np.mean([model.weights for model in self.models], axis=0))


@dataclass(frozen=True)
class WishesCheck:
    """Whether newer choices contradict the earlier preference model; figures are its accuracy on them."""

    changed: bool
    figures: Accuracy | None
    reason: str


def fit(chosen: Array, rejected: Array, groups: Sequence[str]) -> PreferenceModel:
    """Fit to pairs: chosen [P, F] and rejected [P, F] features, groups [P] group keys of their prompts.

    The L2 strength is the one with the least out-of-fold log loss in an inner cross-validation by group key (with
    fewer than two groups the strongest). Where none beats the log loss of a coin, ln 2, the weights are zero: without
    that, labels at random pass the gate's first question in 5 runs of 100, with it in 3, at hardly any loss of power.
    Raises ValueError for empty, misshapen or non-finite input.
    Source: Bradley and Terry (1952), Rank analysis of incomplete block designs, with a Gaussian prior on w.
    """
    _check(chosen, rejected, groups)
    scale = _feature_scale(chosen, rejected)
    differences = (chosen - rejected) / scale
    strength = _choose_strength(differences, groups)
    if strength == NOTHING_LEARNT:
        return PreferenceModel(np.zeros_like(scale), strength)
    weights = _solve(_Rotated.of(differences), strength) / scale
    spread = float(np.sqrt(np.mean(((chosen - rejected) @ weights) ** 2)))
    return PreferenceModel(weights / spread if spread > 0 else weights, strength)


def cross_fit(chosen: Array, rejected: Array, groups: Sequence[str], folds: int = FOLDS, seed: int = 0) -> CrossFit:
    """Fit `folds` models, each without one fold of groups, and order every pair with the model that has not seen it.

    All pairs of one group key lie in one fold. A pair whose scores are equal counts as not correct. Raises ValueError
    as `fit` does, and where there are fewer than two groups.
    """
    _check(chosen, rejected, groups)
    fold_of = assign_folds(groups, folds, seed)
    count = int(fold_of.max()) + 1
    if count < 2:
        raise ValueError(
            f"cross-fitting needs pairs of at least 2 different prompts, got 1 ({groups[0]!r}): label more prompts"
        )
    correct = np.zeros(len(groups), dtype=np.bool_)
    models = []
    for fold in range(count):
        inside, outside = fold_of != fold, fold_of == fold
        model = fit(chosen[inside], rejected[inside], [g for g, keep in zip(groups, inside, strict=True) if keep])
        correct[outside] = model.score(chosen[outside]) > model.score(rejected[outside])
        models.append(model)
    return CrossFit(tuple(models), correct)


def wishes_changed(earlier: CrossFit, chosen: Array, rejected: Array) -> WishesCheck:
    """Whether the model of earlier choices is significantly wrong about newer decided pairs ([P, F] each).

    Changed means: the earlier choices were predictable at all (lower bound > .5, else there is nothing to contradict),
    there are at least NEWER_PAIRS newer pairs, and the model's accuracy on them has an upper 95% Wilson bound < .5.
    A labeller whose wishes stand, whom the model predicts 7 times in 10, is misread so with probability 1.4e-4 at ten
    pairs. Dropping all earlier choices is dear, hence the two-sided bound and the minimum: four pairs could
    already be significant, and four choices are not a change of mind.
    """
    if earlier.interval.low <= 0.5:
        reason = f"The {earlier.n} earlier choices are not predictable, so nothing can contradict them."
        return WishesCheck(False, None, reason)
    if len(chosen) < NEWER_PAIRS:
        return WishesCheck(False, None, f"{len(chosen)} newer pairs are too few to tell (at least {NEWER_PAIRS}).")
    figures = accuracy([bool(right) for right in earlier.score(chosen) > earlier.score(rejected)])
    changed = figures.interval.high < 0.5
    says = "Wishes have changed" if changed else "Wishes stand"
    reason = (
        f"{says}: the preference model of the {earlier.n} earlier choices is right about {figures.right} of the "
        f"{figures.n} newer ones (95% interval {figures.interval.low:.0%} to {figures.interval.high:.0%})."
    )
    return WishesCheck(changed, figures, reason)


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Fold number [P] of each pair: groups in the order of SHA-256(seed, key), each to the fold of fewest pairs."""
    pairs_in = {group: 0 for group in groups}
    for group in groups:
        pairs_in[group] += 1
    ordered = sorted(pairs_in, key=lambda group: hashlib.sha256(f"{seed}\n{group}".encode()).digest())
    load = [0] * min(folds, len(ordered))
    fold_of_group = {}
    for group in ordered:
        fold_of_group[group] = fold = load.index(min(load))
        load[fold] += pairs_in[group]
    return np.array([fold_of_group[group] for group in groups], dtype=np.int64)


@dataclass(frozen=True)
class _Rotated:
    """Differences [P, F] in the basis of their own row space: `rows` [P, R] @ `basis` [R, F], R <= min(P, F).

    An L2 penalty does not notice a rotation, and the optimum lies in the row space: 20 pairs cost a 20 x 20 solve.
    """

    rows: Array
    basis: Array
    unit: float  # mean squared length of a row, the unit of the strengths

    @staticmethod
    def of(differences: Array) -> "_Rotated":
        left, singular, basis = np.linalg.svd(differences, full_matrices=False)
        keep = singular > 1e-10 * max(float(singular[0]), 1e-300)
        rows = left[:, keep] * singular[keep]
        return _Rotated(rows, basis[keep], max(float(np.mean(np.sum(rows**2, axis=1))), 1e-300))


def _solve(rotated: _Rotated, strength: float) -> Array:
    """Weights [F] that minimise sum_i log(1 + exp(-w.d_i)) + strength * unit / 2 * |w|^2."""
    return _newton(rotated.rows, strength * rotated.unit) @ rotated.basis


def _newton(rows: Array, ridge: float, start: Array | None = None, tolerance: float = 1e-10) -> Array:
    """Newton's method with halved steps on the strictly convex ridge logistic loss; rows [P, R] -> weights [R]."""
    weights = np.zeros(rows.shape[1]) if start is None else start
    loss = _loss(rows, weights, ridge)
    for _ in range(100):
        miss = expit(-(rows @ weights))
        gradient = ridge * weights - rows.T @ miss
        hessian = rows.T @ (rows * (miss * (1 - miss))[:, None]) + ridge * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        decrement = float(gradient @ step)  # twice the expected fall of the loss
        if decrement < tolerance * max(1.0, loss):
            return weights - step  # converges quadratically: this last step leaves rounding only
        size = 1.0
        while size > 1e-6 and _loss(rows, weights - size * step, ridge) > loss - size * decrement / 4:
            size /= 2
        weights = weights - size * step
        loss = _loss(rows, weights, ridge)
    return weights


def _loss(rows: Array, weights: Array, ridge: float) -> float:
    return float(np.logaddexp(0.0, -(rows @ weights)).sum() + ridge / 2 * weights @ weights)


def _choose_strength(differences: Array, groups: Sequence[str]) -> float:
    fold_of = assign_folds(groups, FOLDS, seed=1)
    folds = int(fold_of.max()) + 1
    if folds < 2:
        return STRENGTHS[0]
    losses = np.zeros(len(STRENGTHS))
    for fold in range(folds):
        rotated = _Rotated.of(differences[fold_of != fold])
        unseen = differences[fold_of == fold] @ rotated.basis.T
        weights: Array | None = None
        for position, strength in enumerate(STRENGTHS):
            weights = _newton(rotated.rows, strength * rotated.unit, weights, tolerance=1e-4)
            losses[position] += np.logaddexp(0.0, -(unseen @ weights)).sum()
    if losses.min() >= len(groups) * math.log(2):
        return NOTHING_LEARNT
    return STRENGTHS[int(np.argmin(losses))]  # the first of equals is the strongest


def _feature_scale(chosen: Array, rejected: Array) -> Array:
    """Standard deviation [F] of each feature over the training completions; 1 where a feature never varies."""
    scale = np.concatenate([chosen, rejected]).std(axis=0)
    return np.where(scale > 1e-12, scale, 1.0)


def _check(chosen: Array, rejected: Array, groups: Sequence[str]) -> None:
    if chosen.ndim != 2 or chosen.shape != rejected.shape or len(chosen) != len(groups) or len(chosen) == 0:
        raise ValueError(
            f"a preference model needs chosen [P, F], rejected [P, F] and P >= 1 group keys, got shapes "
            f"{chosen.shape}, {rejected.shape} and {len(groups)} keys"
        )
    if not (np.isfinite(chosen).all() and np.isfinite(rejected).all()):
        raise ValueError("features hold NaN or infinite numbers: the initial model's hidden states are not finite")
