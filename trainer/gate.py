"""The gate: may a candidate replace the served checkpoint?

Two questions, with the rule written down before the first figure (gate_plan.py). Is it unbroken: every guard holds, and
the quality judge's where there is one. Did it learn what people want: (a) the choices are predictable by cross-fitting,
and (b) the preference model of these choices, or a judge that agrees with these people, prefers the candidate's
completions of held-out prompts to the served checkpoint's.
Pure: it takes figures and returns a decision with reasons; sampling and scoring are trainer/worker.py's, what else was
seen on the way is gate_report.py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.statistics import Accuracy, Interval, WinRate
from trainer.gate_options import Rule
from trainer.gate_rules import ALPHA, Finding, find
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
    preference: Finding | None  # question (b), candidate against served; None where not measured

    @property
    def win_rate(self) -> WinRate | None:
        """Candidate against served; None where not measured."""
        return self.preference.rate if self.preference else None


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
    rule: Rule = Rule.fixed,
    quality: Finding | None = None,
    unjudged: str = "",
) -> GateDecision:
    """Promote, reject, or leave the served checkpoint in place.

    guards: of the candidate. accuracy: the cross-fitted preference model's on the run's n_pairs decided pairs, None
    where it could not be measured. scores: per held-out prompt the candidate's score against the served checkpoint, in
    the plan's order, None where there is nothing to compare. quality: what the quality judge's scores show about
    QUALITY_LEAST, None without a judge. unjudged: why a judge that was asked for cannot be counted, empty otherwise.

    Reject if a guard fails or the scores' mean is shown to be < .5; promote if the accuracy's lower bound is > .5 on at
    least 20 decided pairs and the mean is shown to be > .5; else, and without the verdicts of a judge that was asked
    for, inconclusive. Raises ValueError without guards or where the accuracy is not of n_pairs pairs.
    """
    if not guards:
        raise ValueError("a decision needs the guards' results, got none: run the guards first")
    if accuracy is not None and accuracy.n != n_pairs:
        raise ValueError(f"the accuracy is of {accuracy.n} pairs but the run has {n_pairs} decided pairs")
    results = [*guards] if quality is None else [*guards, _quality_guard(quality)]
    preferred = find(scores, rule) if scores else None
    broken = [result.reason for result in results if not result.passed]
    predictable, choices = _question_choices(accuracy, n_pairs)
    preference = _question_preference(preferred)
    learned, worse = preferred is not None and preferred.above, preferred is not None and preferred.below
    if broken:
        outcome, reasons = GateOutcome.reject, broken
    elif worse:
        outcome, reasons = GateOutcome.reject, [preference]
    elif predictable and learned and not unjudged:
        outcome, reasons = GateOutcome.promote, [f"All {len(results)} guards hold.", choices, preference]
    else:
        undecided = [reason for holds, reason in ((predictable, choices), (learned, preference)) if not holds]
        outcome, reasons = GateOutcome.inconclusive, [*undecided, *([unjudged] if unjudged else [])]
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


def _question_preference(preferred: Finding | None) -> str:
    """(b) in a sentence: whether the candidate is preferred, disliked, or neither is shown."""
    if preferred is None:
        return "The candidate's completions of held-out prompts were not compared with the served ones."
    rate = preferred.rate
    figures = f"{rate.rate:.0%} on {rate.n} held-out prompts ({_shown(preferred)})"
    if preferred.above:
        return f"The candidate is preferred to the served checkpoint: {figures}."
    if preferred.below:
        return f"The served checkpoint is preferred to the candidate, whose win rate is {figures}."
    needed = "the interval must lie above 50%"
    if preferred.rule is Rule.sequential:
        needed = f"the evidence must reach {1 / preferred.alpha:.0f} to 1"
    return f"The candidate's win rate against the served checkpoint is {figures}; {needed}."


def _quality_guard(quality: Finding) -> GuardResult:
    rate = quality.rate
    says = f"The quality judge's win rate for the candidate is {rate.rate:.0%} on {rate.n} prompts; "
    if quality.rule is Rule.sequential:
        value, limit = quality.evidence or 0.0, 1 / ALPHA
        says += f"the evidence that it is above {quality.least:.0%} is {value:.3g} to 1 (limit {limit:.0f})."
    else:
        value, limit = rate.interval.low, quality.least
        says += f"its lower bound is {value:.1%} (limit {limit:.0%})."
    if not quality.above and rate.interval.high >= 0.5:
        says += " It may be as good: more held-out prompts would tell."
    return GuardResult("quality", quality.above, value, limit, says)


def _shown(finding: Finding) -> str:
    """What stands behind the answer: the interval of the one look, or the evidence of the test that went on."""
    if finding.rule is Rule.fixed:
        return _range(finding.rate.interval)
    if finding.below:
        return f"against it after {finding.settled_at} prompts, by the sequential test"
    after = f" after {finding.settled_at} prompts" if finding.settled_at else ""
    return f"evidence {finding.evidence or 0.0:.3g} to 1{after}, by the sequential test"


def _range(interval: Interval) -> str:
    near = any(f"{bound:.1%}" == "50.0%" for bound in (interval.low, interval.high))  # the digit that decides is shown
    return f"95% interval {interval.low:.{3 if near else 1}%} to {interval.high:.{3 if near else 1}%}"
