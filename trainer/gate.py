"""The gate: may a candidate replace the served checkpoint?

Two questions, with the rule written down before the first figure. Is it unbroken: every guard holds, and the quality
judge's where there is one. Did it learn what people want: (a) the choices are predictable by cross-fitting, and (b) the
preference model of these choices prefers the candidate's completions of held-out prompts to the served checkpoint's.
Pure: it takes figures and returns a decision with reasons; sampling and scoring are trainer/worker.py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.statistics import Accuracy, Interval, WinRate, win_rate
from trainer.guards import GuardResult

# With fewer decided pairs no accuracy short of 15 in 20 tells a labeller's wish from chance.
DECIDED_PAIRS = 20
# The quality judge allows a candidate to be this little worse than the served checkpoint, so that style may win.
QUALITY_LEAST = 0.45


class GateOutcome(StrEnum):
    promote = "promote"
    reject = "reject"
    inconclusive = "inconclusive"


@dataclass(frozen=True)
class GateDecision:
    """The outcome, with the reasons shown to people and the figures behind them."""

    outcome: GateOutcome
    reasons: list[str]
    guards: list[GuardResult]
    preference_accuracy: Accuracy | None  # out-of-fold accuracy of the preference model; None where not measured
    win_rate: WinRate | None  # candidate against served by the preference model; None where not measured


def pairing_scores(candidate_scores: NDArray[np.float64], baseline_scores: NDArray[np.float64]) -> list[float]:
    """Per prompt the share of all pairings that the candidate wins, equal scores counting .5.

    Preference-model scores of the candidate's [P, S] and the baseline's [P, T] samples -> P shares. Raises ValueError
    where the prompts differ in number, a side has no samples, or a score is NaN.
    """
    if candidate_scores.ndim != 2 or baseline_scores.ndim != 2 or len(candidate_scores) != len(baseline_scores):
        raise ValueError(
            f"pairing needs scores [prompts, samples] of the same prompts, got shapes {candidate_scores.shape} and "
            f"{baseline_scores.shape}"
        )
    if candidate_scores.size == 0 or baseline_scores.size == 0:
        raise ValueError("pairing needs at least one prompt and one sample a side, got none: sample the prompts first")
    if np.isnan(candidate_scores).any() or np.isnan(baseline_scores).any():
        raise ValueError("a preference-model score is NaN: check the completions' features")
    ours, theirs = candidate_scores[:, :, None], baseline_scores[:, None, :]
    won = (ours > theirs) + 0.5 * (ours == theirs)
    return [float(share) for share in won.mean(axis=(1, 2))]


def decide(
    guards: Sequence[GuardResult],
    accuracy: Accuracy | None,
    scores: Sequence[float] | None,
    n_pairs: int,
    *,
    quality: WinRate | None = None,
) -> GateDecision:
    """Promote, reject, or leave the served checkpoint in place.

    guards: of the candidate. accuracy: the cross-fitted preference model's on the run's n_pairs decided pairs, None
    where it could not be measured. scores: per held-out prompt the candidate's share of pairings won, None where there
    is nothing to compare. quality: the quality judge's win rate against the served checkpoint, None without a judge.

    Reject if a guard fails or the win rate's upper bound is < .5; promote if the accuracy's lower bound is > .5 on at
    least 20 decided pairs and the win rate's lower bound is > .5; else inconclusive. Raises ValueError without guards
    or where the accuracy is not of n_pairs pairs.
    """
    if not guards:
        raise ValueError("a decision needs the guards' results, got none: run the guards first")
    if accuracy is not None and accuracy.n != n_pairs:
        raise ValueError(f"the accuracy is of {accuracy.n} pairs but the run has {n_pairs} decided pairs")
    results = [*guards] if quality is None else [*guards, _quality_guard(quality)]
    preferred = win_rate(scores) if scores else None
    broken = [result.reason for result in results if not result.passed]
    predictable, choices = _question_choices(accuracy, n_pairs)
    learned, worse, preference = _question_preference(preferred)
    if broken:
        outcome, reasons = GateOutcome.reject, broken
    elif worse:
        outcome, reasons = GateOutcome.reject, [preference]
    elif predictable and learned:
        outcome, reasons = GateOutcome.promote, [f"All {len(results)} guards hold.", choices, preference]
    else:
        undecided = [reason for holds, reason in ((predictable, choices), (learned, preference)) if not holds]
        outcome, reasons = GateOutcome.inconclusive, undecided
    return GateDecision(outcome, reasons, results, accuracy, preferred)


def _question_choices(accuracy: Accuracy | None, n_pairs: int) -> tuple[bool, str]:
    """(a): are the choices predictable? With the sentence that says why or why not."""
    if n_pairs < DECIDED_PAIRS:
        return False, f"There are {n_pairs} decided pairs; the gate needs at least {DECIDED_PAIRS}."
    if accuracy is None:
        return False, (
            f"No preference model could be checked on the {n_pairs} decided pairs: they need at least two prompts."
        )
    figures = f"{accuracy.right} of {n_pairs} decided pairs ({accuracy.rate:.0%}, {_range(accuracy.interval)})"
    if accuracy.interval.low > 0.5:
        return True, f"The choices follow a pattern: a model that had not seen them foretells {figures}."
    return False, (
        f"The choices show no reliable pattern yet: a model that had not seen them foretells {figures}; "
        f"the interval must lie above 50%. More choices, or more consistent ones, may settle it."
    )


def _question_preference(preferred: WinRate | None) -> tuple[bool, bool, str]:
    """(b): is the candidate preferred, is it disliked, and the sentence that says so."""
    if preferred is None:
        return False, False, "The candidate's completions of held-out prompts were not compared with the served ones."
    figures = f"{preferred.rate:.0%} on {preferred.n} held-out prompts ({_range(preferred.interval)})"
    if preferred.interval.low > 0.5:
        return True, False, f"The candidate is preferred to the served checkpoint: {figures}."
    if preferred.interval.high < 0.5:
        return False, True, f"The served checkpoint is preferred to the candidate, whose win rate is {figures}."
    undecided = f"The candidate's win rate against the served checkpoint is {figures}; the interval must lie above 50%."
    return False, False, undecided


def _quality_guard(quality: WinRate) -> GuardResult:
    low = quality.interval.low
    reason = (
        f"The quality judge's win rate for the candidate is {quality.rate:.0%} on {quality.n} prompts; "
        f"its lower bound is {low:.1%} (limit {QUALITY_LEAST:.0%})."
    )
    return GuardResult("quality", low > QUALITY_LEAST, low, QUALITY_LEAST, reason)


def _range(interval: Interval) -> str:
    near = any(f"{bound:.1%}" == "50.0%" for bound in (interval.low, interval.high))  # the digit that decides is shown
    return f"95% interval {interval.low:.{3 if near else 1}%} to {interval.high:.{3 if near else 1}%}"
