"""Tests that stay valid however often they are looked at while verdicts arrive.

A plain 95% bound looked at every ten prompts promotes an equal model in 28% of runs. An e-value is at least 20 with
probability at most 1/20 in all of time if the new model is no better (Ville 1939), under any stopping rule. Three
rules: a mixture over win rates above .5 (wins and losses; ties and flips do not move it), Wald's test between .5 and a
win rate worth having, and a betting martingale for soft scores. What a crossing leads to is trainer/gate.py's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaln

from trainer.evaluation.statistics import Interval

PRIOR = 10.0  # Beta(10, 10): expects win rates of .4 to .6, as between checkpoints of one line
MAX_BET = 1.0  # half of what could lose everything at a score of 0


class Decision(StrEnum):
    """Of a sequential test so far."""

    better = "better"
    not_better = "not_better"
    undecided = "undecided"


def log_e_value(wins: int, losses: int, prior: float = PRIOR) -> float:
    """Natural log of the e-value against "the win rate of decided prompts is at most .5".

    E = B(c+w, c+l) P[Beta(c+w, c+l) > 1/2] / (B(c, c)/2) * 2^(w+l), the mean likelihood ratio over p > .5.
    """
    _counts(wins, losses)
    with np.errstate(divide="ignore"):  # so many losses that no chance is left: no evidence at all
        above = float(np.log(betaincc(prior + wins, prior + losses, 0.5)))
    ratio = float(betaln(prior + wins, prior + losses) - betaln(prior, prior))
    return ratio + above + math.log(2) * (1 + wins + losses)


def e_value_decision(wins: int, losses: int, alpha: float = 0.05) -> Decision:
    """`better` once E >= 1/alpha; this test never accepts the opposite (see `anytime_interval` for futility)."""
    return Decision.better if log_e_value(wins, losses) >= -math.log(alpha) else Decision.undecided


def anytime_interval(wins: int, losses: int, *, alpha: float = 0.05, prior: float = PRIOR) -> Interval:
    """Win rates of decided prompts not yet refuted, valid at every look: B(c+w,c+l)/B(c,c) < p^w (1-p)^l / alpha.

    Its upper end below .5 + the least difference that matters is a reason to stop for futility.
    Source: Robbins (1970), Statistical methods related to the law of the iterated logarithm.
    """
    from scipy.optimize import brentq  # slow to import, and judged evaluations import this file without needing it

    _counts(wins, losses)
    decided = wins + losses
    if decided == 0:
        return Interval(0.0, 1.0)
    mixed = float(betaln(prior + wins, prior + losses) - betaln(prior, prior)) + math.log(alpha)

    def refuted(p: float) -> float:
        likelihood = wins * math.log(p) if wins else 0.0
        return mixed - likelihood - (losses * math.log1p(-p) if losses else 0.0)

    best = wins / decided
    tiny = 1e-12
    low = 0.0 if not wins or refuted(tiny) < 0 else float(brentq(refuted, tiny, min(best, 1 - tiny)))
    high = 1.0 if not losses or refuted(1 - tiny) < 0 else float(brentq(refuted, max(best, tiny), 1 - tiny))
    return Interval(low, high)


@dataclass(frozen=True)
class SPRT:
    """Wald's test of p = .5 against p = `p1`: `llr` between `lower` (not better) and `upper` (better)."""

    llr: float
    lower: float
    upper: float
    decision: Decision


def sprt(wins: int, losses: int, *, p1: float, alpha: float = 0.05, beta: float = 0.1) -> SPRT:
    """llr = w log(2 p1) + l log(2 (1 - p1)); upper = log((1 - beta)/alpha), lower = log(beta/(1 - alpha)).

    The first crossing counts: feed verdicts one by one and stop. Right where a least worthwhile p1 was fixed before.
    Source: Wald (1945), Sequential tests of statistical hypotheses.
    """
    _counts(wins, losses)
    if not 0.5 < p1 < 1 or not 0 < alpha < 1 or not 0 < beta < 1:
        raise ValueError(f"p1 must lie in (.5, 1), alpha and beta in (0, 1), got {p1}, {alpha} and {beta}")
    llr = wins * math.log(2 * p1) + losses * math.log(2 * (1 - p1))
    upper, lower = math.log((1 - beta) / alpha), math.log(beta / (1 - alpha))
    decision = Decision.better if llr >= upper else Decision.not_better if llr <= lower else Decision.undecided
    return SPRT(llr, lower, upper, decision)


def betting_log_e(scores: Sequence[float], least: float = 0.5) -> NDArray[np.float64]:
    """Running log e-value [n] against "the mean score is at most `least`", for scores in 0..1, soft ones too, in order.

    E_t = prod (1 + b_i (s_i - least)) with bets from earlier scores only: b = clip(g / (v + g^2), 0, MAX_BET); g and v
    are the regularised running mean of s - least and variance of s. Valid however the scores are distributed.
    Source: Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting (aGRAPA).
    """
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 1 or not bool(np.all((s >= 0) & (s <= 1))):
        raise ValueError("betting needs scores in 0 (loss) to 1 (win), in their order: leave out invalid ones")
    if not 0 < least < 1:
        raise ValueError(f"betting is against a mean between 0 and 1, got {least}")
    seen = np.arange(1, len(s) + 1)
    mean = (least + np.cumsum(s)) / (seen + 1)
    variance = (0.25 + np.cumsum((s - mean) ** 2)) / (seen + 1)
    gain = np.concatenate([[0.0], mean[:-1] - least]) if len(s) else mean
    spread = np.concatenate([[0.25], variance[:-1]]) if len(s) else variance
    bets = np.clip(gain / (spread + gain**2), 0.0, MAX_BET)
    return np.asarray(np.cumsum(np.log1p(bets * (s - least))))


def _counts(wins: int, losses: int) -> None:
    if wins < 0 or losses < 0:
        raise ValueError(f"wins and losses cannot be negative, got {wins} and {losses}")
