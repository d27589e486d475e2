"""Where "unusual" becomes "broken": the guards' limits, each with what it was set between."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GuardLimits:
    """Shares are of completions; `above` is added to the initial model's share."""

    # A prompt may ask for repetition, so the initial model's share is free; loops take all or half of the completions.
    repetition_above: float = 0.10
    # A starter's samples chosen for one style keep 83 to 113% of the distinct word pairs, its likeliest third 74%; one
    # text for all prompts leaves a few per cent.
    distinct_least: float = 0.40
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
    # Within one completion: how much of it repeats before it counts as heavily repetitive.
    repeated_words: float = 0.50
    repeated_run: float = 0.40


GUARDS = GuardLimits()
