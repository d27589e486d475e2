"""Guards against a model that says the same to everything: distinct n-grams, self-BLEU, equal and memorised texts.

Pure functions over samples, like all guards. What is measured is trainer/collapse_measures.py's.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from trainer.collapse_measures import evenly, grams, self_bleu, shared_by_prompts
from trainer.guard_limits import GuardLimits
from trainer.guard_results import GuardInputs, GuardResult

_SAID = {1: "words", 2: "word pairs", 3: "word triples"}
_NAMES = {1: "distinct_1", 2: "distinct", 3: "distinct_3"}


def distinct(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits, *, n: int = 2) -> GuardResult:
    """Distinct n-grams over all completions, relative to the initial model's among equally many n-grams."""
    name, said = _NAMES[n], _SAID[n]
    least = {1: limits.distinct_1_least, 2: limits.distinct_least, 3: limits.distinct_3_least}[n]
    ours = [gram for text in candidate.texts for gram in grams(text, n)]
    theirs = [gram for text in initial.texts for gram in grams(text, n)]
    count = min(len(ours), len(theirs))
    if count == 0:
        # One-word completions have no word pairs; the guards on empty and same texts see whether that is a fault.
        return GuardResult(name, True, 1.0, least, f"There are no {said} to compare.")
    value = len(set(evenly(ours, count))) / len(set(evenly(theirs, count)))
    reason = f"The completions hold {value:.0%} as many different {said} as the initial model's (limit {least:.0%})."
    return GuardResult(name, value >= least, value, least, reason)


def alike(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Self-BLEU: how like each other the completions are, among equally many of both models."""
    count = min(len(candidate.texts), len(initial.texts))
    value, start = self_bleu(evenly(candidate.texts, count)), self_bleu(evenly(initial.texts, count))
    limit = start + limits.self_bleu_way * (1 - start)
    reason = (
        f"The completions are alike by a self-BLEU of {value:.2f}; the initial model's have {start:.2f} "
        f"(limit {limit:.2f})."
    )
    return GuardResult("self_bleu", value <= limit or value <= start, value, limit, reason)


def same_text(candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits) -> GuardResult:
    """Share of completions that are the most common text among those given to different prompts."""
    value = _most_common_share(candidate)
    limit = min(1.0, _most_common_share(initial) + limits.same_text_above)
    reason = f"{value:.0%} of the completions are the same text for different prompts (limit {limit:.0%})."
    return GuardResult("same_text", value <= limit, value, limit, reason)


def memorised(
    candidate: GuardInputs, initial: GuardInputs, limits: GuardLimits, *, prompts: Sequence[str]
) -> GuardResult:
    """Share of completions with a long run of words that completions of other prompts have too.

    Runs that the initial model writes or a prompt holds do not count: a phrase of a learnt style is of the first kind,
    a quotation of the second. Allowed is what the initial model shares itself, and some more. Texts too short for such
    a run are same_text's matter.
    """
    value = _shared(candidate, limits, known=[*prompts, *initial.texts])
    limit = min(1.0, _shared(initial, limits, known=prompts) + limits.memorised_above)
    reason = (
        f"{value:.1%} of the completions share {limits.memorised_words} words in a row with those of other prompts, "
        f"which the initial model does not write (limit {limit:.1%})."
    )
    return GuardResult("memorised", value <= limit, value, limit, reason)


def _shared(inputs: GuardInputs, limits: GuardLimits, *, known: Sequence[str]) -> float:
    """Share of completions with a run that completions of `memorised_prompts` prompts have and no known text."""
    rows = [(prompt, sample.text) for prompt, samples in enumerate(inputs.samples) for sample in samples]
    found = shared_by_prompts(rows, limits.memorised_words, limits.memorised_prompts, known)
    return sum(found) / len(found)


def _most_common_share(inputs: GuardInputs) -> float:
    """Share of completions, over all, of the commonest text that was given to at least two prompts."""
    prompts_of, count_of = defaultdict(set), Counter[str]()
    for prompt, samples in enumerate(inputs.samples):
        for sample in samples:
            text = " ".join(sample.text.casefold().split())
            prompts_of[text].add(prompt)
            count_of[text] += 1
    shared = [count_of[text] for text, prompts in prompts_of.items() if len(prompts) > 1]
    return max(shared, default=0) / len(inputs.flat)
