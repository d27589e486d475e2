"""By which rule per-prompt scores become an answer: is their mean shown to lie above a limit, or below it?

`fixed`: one look at the planned number of prompts, by the interval of the win rate. `sequential`: a bet on every prompt
in turn; valid however often it is looked at, so it may stop as soon as it is decided. The canary's test
is a third, of hard choices that come one by one. Leaves out what an answer leads to (gate.py). Free of torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.sequential import betting_log_e, log_e_value
from trainer.evaluation.statistics import WinRate, win_rate
from trainer.gate_options import Rule

ALPHA = 0.05  # two-sided for the fixed rule, of each side for the sequential one
ANY_RATE = 1.0  # a prior that expects nothing: what people find worse may be much worse


@dataclass(frozen=True)
class Finding:
    """What the scores show about the limit `least`. `rate` is always the plain win rate with its one-look interval.

    Of the sequential rule: `evidence` is the greatest e-value so far that the mean lies above `least` (1/alpha decides)
    and `settled_at` the number of prompts after which either side was decided.
    """

    rule: Rule
    least: float
    alpha: float
    rate: WinRate
    above: bool
    below: bool
    evidence: float | None = None
    settled_at: int | None = None

    @property
    def settled(self) -> bool:
        return self.above or self.below


def find(scores: Sequence[float], rule: Rule = Rule.fixed, *, least: float = 0.5, alpha: float = ALPHA) -> Finding:
    """Per-prompt scores (1 win, 0 loss, any share between), in the order of the plan, against `least`.

    Fixed: above where the n_eff-Wilson interval at confidence 1 - alpha lies above `least`, below where it lies below.
    Sequential: whichever e-value reaches 1/alpha first. Raises ValueError where there are no scores or one lies
    outside 0..1.
    """
    rate = win_rate(scores, confidence=1 - alpha)
    if rule is Rule.fixed:
        return Finding(rule, least, alpha, rate, rate.interval.low > least, rate.interval.high < least)
    up, down = log_evidence(scores, least)
    risen, fallen = _first(up, alpha), _first(down, alpha)
    above = risen is not None and (fallen is None or risen < fallen)
    below = fallen is not None and not above
    settled_at = risen if above else fallen
    return Finding(rule, least, alpha, rate, above, below, math.exp(min(float(up.max()), 700.0)), settled_at)


def log_evidence(scores: Sequence[float], least: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Natural logs of both e-values after each prompt: that the mean lies above `least`, and that it lies below.

    Of the sequential rule; whichever first reaches log(1/alpha) is the answer. Raises ValueError like `find`.
    """
    return betting_log_e(scores, least), betting_log_e([1 - score for score in scores], 1 - least)


def shown_worse(scores: Sequence[float], alpha: float = ALPHA) -> bool:
    """Whether people's choices so far show that more of the decided ones are lost than won; ties say nothing.

    For choices that are looked at after each one, for as long as people make them: wrong in at most `alpha` of all such
    sequences (Ville). A mixture over every win rate below .5 finds a clear loser soonest: seven losses in a row.
    """
    wins, losses = sum(score > 0.5 for score in scores), sum(score < 0.5 for score in scores)
    return log_e_value(losses, wins, prior=ANY_RATE) >= -math.log(alpha)


def _first(log_e: NDArray[np.float64], alpha: float) -> int | None:
    """After how many prompts the e-value first was at least 1/alpha; None where it never was."""
    crossed = np.flatnonzero(log_e >= -math.log(alpha))
    return int(crossed[0]) + 1 if len(crossed) else None
