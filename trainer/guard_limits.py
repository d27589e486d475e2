"""Where "unusual" becomes "broken": the guards' limits, each with what it was set between.

Figures of the starter's own held-out samples are made by `python experiments/guard_limits.py` (docs/results.md).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class GuardLimits:
    """Shares are of completions; `above` is added to the initial model's share."""

    # A prompt may ask for repetition, so the initial model's share is free; loops take all or half of the completions.
    repetition_above: float = 0.10
    # Distinct words, word pairs and triples. The starter's own other samples have 104, 105 and 102% of the first ones';
    # those chosen for one style at least 87, 82 and 78%; forty texts for all prompts 34, 23 and 16%.
    distinct_1_least: float = 0.50
    distinct_least: float = 0.40
    distinct_3_least: float = 0.40
    # Self-BLEU, as a share of the way from the initial model's own to 1. The starter's own is .72 (480 completions),
    # of those chosen for one style at most .75; one opening for every reply makes .89, forty texts for all prompts 1.
    self_bleu_way: float = 0.5
    # Words in a row that completions of so many prompts share, where the initial model has written no three of them:
    # none of the starter's other samples and none of one style; a passage at the end of every fifth .19. Added is the
    # initial model's own share of such runs, .05 for the starter.
    memorised_words: int = 8
    memorised_prompts: int = 3
    memorised_above: float = 0.10
    # English only. The starter refuses 3.5% of the held-out prompts, and at most 6.2% where one style is chosen.
    refusals_above: float = 0.10
    # A person who meets one blank reply in fifty notices it; a model that learnt brevity still says something.
    empty_above: float = 0.02
    # Learning to be detailed makes some completions reach the limit; a model that lost its end token always does.
    endless_above: float = 0.10
    # The initial model's samples and the prompts show every script in use; single symbols may still be new.
    foreign_above: float = 0.02
    # Greetings and refusals share texts in a healthy model, and a learnt style makes them share a few more.
    same_text_above: float = 0.10
    # The range of the chosen lengths that counts as usual, as quantiles.
    length_low: float = 0.05
    length_high: float = 0.95
    # Nats per token. Moving wholly to a style that one completion in ten has costs ln 10 = 2.3 nats a completion, about
    # 0.2 a token; a starter with weight noise of half a standard deviation measures 1.1, of one 4.1.
    kl_most: float = 1.0
    # 1% of the initial model's own samples lie below their 1st percentile, 2% of those with other seeds, at most 4% of
    # samples chosen for one style; with weight noise of half a standard deviation 50%.
    unlikely_quantile: float = 0.01
    unlikely_most: float = 0.05
    # In training only: nats per token under the initial model above its own, and the share of its own below which
    # text is too likely. 128 samples of the starter have .39 to .43.
    perplexity_above: float = 1.5
    perplexity_least: float = 0.1
    # Within one completion: how much of it repeats before it counts as heavily repetitive.
    repeated_words: float = 0.50
    repeated_run: float = 0.40


GUARDS = GuardLimits()
