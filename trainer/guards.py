"""Guards: is a candidate's text unbroken? Pure functions over sampled completions; style is none of their business.

Each guard compares one figure with one limit and says so in a sentence that a labeller understands. Most are relative
to the initial model on the same prompts, seeds and settings, since what is normal differs between models and languages.
Left out: the limits (trainer/guard_limits.py), guards on texts that are all alike (trainer/collapse_guards.py), what is
measured in one text (trainer/text_measures.py), how samples are made (trainer/evaluation/samples.py), and what a failed
guard leads to (trainer/gate.py; trainer/live_guards.py while a run is under way).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from trainer.collapse_guards import alike, distinct, memorised, same_text
from trainer.guard_limits import GUARDS, GuardLimits
from trainer.guard_results import GuardInputs, GuardResult, Sample
from trainer.text_measures import BROKEN, refuses, repeated_run, repeated_words, script, scripts, used_scripts

__all__ = [
    "GUARDS",
    "GuardInputs",
    "GuardLimits",
    "GuardResult",
    "Sample",
    "is_repetitive",
    "run_guards",
    "trips_guard",
]


def run_guards(
    candidate: GuardInputs,
    initial: GuardInputs,
    limits: GuardLimits = GUARDS,
    *,
    prompts: Sequence[str],
    chosen_lengths: Sequence[int],
) -> list[GuardResult]:
    """Every guard's result for `candidate`, in the order shown to people.

    prompts: the held-out prompts' text, for the scripts they use. chosen_lengths: lengths in characters of the run's
    chosen texts; empty for a run without pairs. Raises ValueError where samples are missing or the two models were
    not sampled on the same prompts.
    """
    _check(candidate, initial, prompts)
    return [
        finite(candidate),
        empty(candidate, initial, limits),
        endless(candidate, initial, limits),
        repetition(candidate, initial, limits),
        distinct(candidate, initial, limits, n=1),
        distinct(candidate, initial, limits),
        distinct(candidate, initial, limits, n=3),
        alike(candidate, initial, limits),
        same_text(candidate, initial, limits),
        memorised(candidate, initial, limits, prompts=prompts),
        refusals(candidate, initial, limits),
        foreign_script(candidate, initial, limits, prompts=prompts),
        length(candidate, initial, limits, chosen_lengths=chosen_lengths),
        kl_to_initial(candidate, limits),
        unlikely(candidate, initial, limits),
    ]


def trips_guard(text: str, limits: GuardLimits = GUARDS) -> str | None:
    """Why one completion is not worth showing to a labeller, or None: the guards that need no second text."""
    if not text.strip():
        return "The completion is empty."
    if is_repetitive(text, limits):
        return "The completion repeats itself."
    if broken := [character for character in text if script(character) == BROKEN]:
        return f"The completion holds a broken character (U+{ord(broken[0]):04X})."
    return None


# --- one guard each ------------------------------------------------------------------------------------------------


def finite(candidate: GuardInputs) -> GuardResult:
    """No NaN and no infinity in log-probabilities, weights or losses."""
    count = candidate.broken_numbers + sum(
        not (math.isfinite(sample.logprob) and math.isfinite(sample.initial_logprob)) for sample in candidate.flat
    )
    reason = f"{count} numbers of the candidate are NaN or infinite (limit 0)."
    return GuardResult("finite", count == 0, float(count), 0.0, reason)


def empty(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of blank completions."""
    return _above_initial(
        "empty", "are empty", candidate, initial, limits.empty_above, lambda sample: not sample.text.strip()
    )


def endless(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of completions that the length limit had to end."""
    return _above_initial(
        "endless", "never end", candidate, initial, limits.endless_above, lambda sample: sample.hit_limit
    )


def repetition(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of completions that mostly repeat themselves."""
    return _above_initial(
        "repetition",
        "repeat themselves",
        candidate,
        initial,
        limits.repetition_above,
        lambda sample: is_repetitive(sample.text, limits),
    )


def refusals(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of completions that refuse, in English."""
    return _above_initial(
        "refusals", "refuse to answer", candidate, initial, limits.refusals_above, lambda sample: refuses(sample.text)
    )


def foreign_script(
    candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits, *, prompts: Sequence[str]
) -> GuardResult:
    """Share of completions with broken characters or a script that neither prompts nor initial model use."""
    known = used_scripts([*prompts, *initial.texts])
    foreign = [scripts(text) - known for text in candidate.texts]
    value = sum(bool(found) for found in foreign) / len(foreign)
    names = Counter(name for found in foreign for name in found)
    found = f" ({', '.join(name.lower() for name, _ in names.most_common(3))})" if names else ""
    reason = (
        f"{value:.1%} of the completions hold letters that neither the prompts nor the initial model use{found} "
        f"(limit {limits.foreign_above:.0%})."
    )
    return GuardResult("foreign_script", value <= limits.foreign_above, value, limits.foreign_above, reason)


def length(
    candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits, *, chosen_lengths: Sequence[int]
) -> GuardResult:
    """Median length in characters, against the usual range of the chosen texts.

    The range includes the middle half of the initial model's lengths: staying near the start, or moving from it
    towards the chosen texts, is never broken. Without chosen texts it is the range of the initial model's texts.
    """
    lengths = [len(text) for text in initial.texts]
    usual = np.quantile(chosen_lengths or lengths, [limits.length_low, limits.length_high])
    start = np.quantile(lengths, [0.25, 0.75])
    low, high = float(min(usual[0], start[0])), float(max(usual[1], start[1]))
    value = float(np.median([len(text) for text in candidate.texts]))
    limit = low if value < float(np.median(lengths)) else high
    source = "chosen" if chosen_lengths else "initial model's"
    reason = (
        f"Half of the completions are longer than {value:.0f} characters; "
        f"the usual range of the {source} texts is {low:.0f} to {high:.0f}."
    )
    return GuardResult("length", low <= value <= high, value, limit, reason)


def kl_to_initial(candidate: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Sampled KL divergence to the initial model in nats per token; exact in expectation at temperature 1."""
    tokens = sum(sample.tokens for sample in candidate.flat)
    value = math.fsum(sample.logprob - sample.initial_logprob for sample in candidate.flat) / max(1, tokens)
    reason = f"The candidate is {value:.2f} nats per token away from the initial model (limit {limits.kl_most:.2f})."
    return GuardResult("kl", value <= limits.kl_most, value, limits.kl_most, reason)  # NaN compares false: fails


def perplexity(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """The initial model's perplexity of the completions, which must stay near that of its own, above and below.

    For completions sampled while a run trains; of those before the gate `unlikely` sees single ones.
    """
    value, own = _nats_per_token(candidate), _nats_per_token(initial)
    low, high = own * limits.perplexity_least, own + limits.perplexity_above
    limit = low if value < own else high
    found, start, bound = (math.exp(min(nats, 50.0)) for nats in (value, own, limit))
    reason = (
        f"The completions have a perplexity of {found:.3g} under the initial model, its own {start:.3g} "
        f"(limit {bound:.3g})."
    )
    return GuardResult("perplexity", low <= value <= high, found, bound, reason)  # NaN compares false: fails


def unlikely(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of completions that the initial model finds less likely, for their length, than nearly all of its own.

    Compared is the mean log-probability per token less the initial model's usual one, times the root of the length:
    means of few tokens scatter more, and a model that learnt brevity must not fail for it. The quantile is noisy
    below some hundred samples; give at least 25 prompts of four.
    """
    own = initial.flat
    usual = math.fsum(sample.initial_logprob for sample in own) / max(1, sum(sample.tokens for sample in own))

    def likelihood(sample: Sample) -> float:
        return (sample.initial_logprob - usual * sample.tokens) / math.sqrt(max(1, sample.tokens))

    threshold = float(np.quantile([likelihood(sample) for sample in own], limits.unlikely_quantile))
    below = [not likelihood(sample) >= threshold for sample in candidate.flat]  # NaN counts as below
    value = sum(below) / len(below)
    reason = (
        f"{value:.1%} of the completions are ones that the initial model would almost never write "
        f"(limit {limits.unlikely_most:.0%})."
    )
    return GuardResult("unlikely", value <= limits.unlikely_most, value, limits.unlikely_most, reason)


# --- what the guards measure ---------------------------------------------------------------------------------------


def is_repetitive(text: str, limits: GuardLimits = GUARDS) -> bool:
    """Whether most word triples occur again, or a unit of up to 40 characters stands four or more times in a row."""
    return repeated_words(text) >= limits.repeated_words or repeated_run(text) >= limits.repeated_run


def _nats_per_token(inputs: GuardInputs) -> float:
    """Minus the mean log-probability of a token under the initial model."""
    tokens = sum(sample.tokens for sample in inputs.flat)
    return -math.fsum(sample.initial_logprob for sample in inputs.flat) / max(1, tokens)


def _above_initial(
    name: str,
    says: str,
    candidate: GuardInputs,
    initial: GuardInputs,
    above: float,
    has: Callable[[Sample], bool],
) -> GuardResult:
    """The guard on the share of completions that have a fault: at most `above` more than the initial model's share."""
    value = sum(map(has, candidate.flat)) / len(candidate.flat)
    limit = min(1.0, sum(map(has, initial.flat)) / len(initial.flat) + above)
    reason = f"{value:.1%} of the completions {says} (limit {limit:.1%})."
    return GuardResult(name, value <= limit, value, limit, reason)


def _check(candidate: GuardInputs, initial: GuardInputs, prompts: Sequence[str]) -> None:
    if not candidate.flat or not initial.flat:
        raise ValueError("guards need at least one sample of each model, got none: sample the held-out prompts first")
    if not len(candidate.samples) == len(initial.samples) == len(prompts):
        raise ValueError(
            f"both models must be sampled on the same prompts, got {len(candidate.samples)} of the candidate, "
            f"{len(initial.samples)} of the initial model and {len(prompts)} prompts"
        )
