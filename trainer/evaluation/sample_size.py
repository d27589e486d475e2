"""How many prompts a fixed plan needs, before the first verdict: one look, a given difference, a given power.

Normal approximation. Soft scores need fewer; a plan that looks more than once needs more (SEQUENTIAL_FACTOR).
"""

import math
from statistics import NormalDist

# of betting_log_e looked at after every prompt, against one look; simulated in the tests of the gate
SEQUENTIAL_FACTOR = 1.9


def prompts_needed(
    score: float, *, tie_rate: float = 0.0, power: float = 0.8, alpha: float = 0.05, factor: float = 1.0
) -> int:
    """Prompts to tell a true mean `score` from .5, two-sided at `alpha`, where a share `tie_rate` of verdicts is tied.

    n = ceil(factor (z_alpha s0 + z_power s1)^2 / d^2), d = score - .5, s0^2 = (1 - t)/4, s1^2 = s0^2 - d^2.
    factor: SEQUENTIAL_FACTOR for the sequential rule, whose greatest n this then is.
    Raises ValueError where the score is .5 or cannot be reached with so many ties.
    """
    if not 0 <= tie_rate < 1 or not 0 < power < 1 or not 0 < alpha < 1:
        raise ValueError(f"tie rate, power and alpha must be shares, got {tie_rate}, {power} and {alpha}")
    gap = abs(score - 0.5)
    if not 0 < gap <= (1 - tie_rate) / 2:
        raise ValueError(f"a score of {score} with {tie_rate:.0%} ties cannot be told from .5 by any number of prompts")
    null = math.sqrt((1 - tie_rate) / 4)
    other = math.sqrt(max(0.0, null**2 - gap**2))
    normal = NormalDist()
    needed = ((normal.inv_cdf(1 - alpha / 2) * null + normal.inv_cdf(power) * other) / gap) ** 2
    return math.ceil(factor * needed - 1e-9)


def detectable_score(n: int, *, power: float = 0.8, alpha: float = 0.05, factor: float = 1.0) -> float | None:
    """The least true mean above .5, to .001, that `n` prompts find with `power`; None where even 1 is missed.

    The inverse of `prompts_needed`.
    """
    if n < 1:
        raise ValueError(f"a plan needs at least one prompt, got {n}")
    found = [s for s in range(501, 1001) if prompts_needed(s / 1000, power=power, alpha=alpha, factor=factor) <= n]
    return found[0] / 1000 if found else None


def half_width(n: int, *, score: float = 0.5, tie_rate: float = 0.0, confidence: float = 0.95) -> float:
    """Half the width of the plain interval of n prompts at a mean `score`: z sqrt((score(1-score) - t/4) / n)."""
    if n < 1:
        raise ValueError(f"a plan needs at least one prompt, got {n}")
    variance = score * (1 - score) - tie_rate / 4
    if variance < 0:
        raise ValueError(f"a score of {score} cannot be reached with {tie_rate:.0%} ties")
    return NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance / n)


def shrunk_by_noise(score: float, accuracy: float) -> float:
    """The score seen through a judge that is right with probability `accuracy`, both ways: .5 + (2q-1)(s-.5)."""
    if not 0 <= score <= 1 or not 0 <= accuracy <= 1:
        raise ValueError(f"score and accuracy must lie in 0..1, got {score} and {accuracy}")
    return 0.5 + (2 * accuracy - 1) * (score - 0.5)
