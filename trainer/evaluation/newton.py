"""Newton's method for the logistic losses of this package: convex, few parameters, quadratic convergence.

The one solver under length_control.py and bradley_terry.py, for one fit or for all rounds of a bootstrap at once.
Leaves out what the parameters mean and whether an optimum exists (a ridge makes it exist).
Legend: R fits solved at once, N rows, K parameters.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
STEPS = 60
TOLERANCE = 1e-12


class NoOptimum(ValueError):
    """The loss has no finite minimum, or the data do not determine it."""


def logistic_fits(
    design: Array, targets: Array, weights: Array, *, ridge: Array, centre: Array | None = None
) -> tuple[Array, Array]:
    """Weighted logistic regressions with soft targets: (parameters [R, K], Hessians [R, K, K] at them).

    design [R or 1, N, K], targets [N] in 0..1, weights [R, N]. Minimises per fit
    sum_i w_i CE(y_i, sigmoid(x_i theta)) + sum_k ridge_k/2 (theta_k - centre_k)^2; no intercept is added.
    """
    rounds, size = len(weights), design.shape[-1]
    middle = np.zeros(size) if centre is None else centre

    def loss(theta: Array) -> Array:
        eta = np.matmul(design, theta[:, :, None])[:, :, 0]
        fit = weights * (np.logaddexp(0.0, eta) - targets * eta)
        return np.asarray(fit.sum(axis=1) + 0.5 * ((theta - middle) ** 2 @ ridge))

    def slope(theta: Array) -> tuple[Array, Array]:
        p = expit(np.matmul(design, theta[:, :, None])[:, :, 0])
        gradient = np.matmul((weights * (p - targets))[:, None, :], design)[:, 0, :] + ridge * (theta - middle)
        curved = design * (weights * p * (1 - p))[:, :, None]
        return gradient, np.matmul(np.swapaxes(curved, 1, 2), design) + np.diag(ridge)

    return minimise(loss, slope, np.tile(middle, (rounds, 1)))


def minimise(
    loss: Callable[[Array], Array], slope: Callable[[Array], tuple[Array, Array]], start: Array
) -> tuple[Array, Array]:
    """R convex problems from `start` [R, K]: losses [R], gradients [R, K] and Hessians [R, K, K] -> (theta, Hessians).

    A step is halved, per problem, until the loss falls by a quarter of what its gradient promises. Raises NoOptimum
    where a Hessian is singular or a problem does not settle in STEPS steps.
    """
    theta = start
    value = loss(theta)
    for _ in range(STEPS):
        gradient, hessian = slope(theta)
        try:
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError as error:
            raise NoOptimum("the data leave a parameter undetermined: its column never varies") from error
        decrement = np.sum(gradient * step, axis=1)  # twice the expected fall of the loss
        if not np.all(np.isfinite(decrement)):
            raise NoOptimum("the fit ran away: there is no finite optimum")
        if np.all(decrement <= TOLERANCE * np.maximum(1.0, value)):
            theta = theta - step  # converges quadratically: this last step leaves rounding only
            return theta, slope(theta)[1]
        length = np.ones(len(theta))
        for _ in range(30):
            tried = loss(theta - length[:, None] * step)
            short = tried > value - length * decrement / 4 + 1e-14 * np.abs(value)
            if not short.any():
                break
            length = np.where(short, length / 2, length)
        theta = theta - length[:, None] * step
        value = tried
    raise NoOptimum(f"the fit has not settled after {STEPS} Newton steps: there is no finite optimum")
