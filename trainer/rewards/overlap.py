"""Words in common with the reference: BLEU by sacrebleu, ROUGE by rouge-score, and the same text or not.

All are 0 to 1, and None where a prompt has no reference. Free of torch.
"""

import unicodedata
from collections.abc import Callable, Sequence

from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import Reward, RewardSources
from trainer.text_measures import words

Measure = Callable[[str, str], float]
"""(completion, reference) -> 0..1."""


class Overlap:
    """One measure of two texts as a reward."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        return [
            None if reference is None else self._measure(completion, reference)
            for completion, reference in zip(completions, references, strict=True)
        ]


def open_reward(term: terms.Bleu | terms.Rouge | terms.ExactMatch, sources: RewardSources) -> Reward:
    match term:
        case terms.Bleu():
            return Overlap(bleu(term.tokenize))
        case terms.Rouge():
            return Overlap(rouge(term.measure))
        case terms.ExactMatch():
            return Overlap(lambda completion, reference: float(plain(term, completion) == plain(term, reference)))


def bleu(tokenize: str) -> Measure:
    """Sentence BLEU with the effective order, so that a text of three words can reach 1."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True, tokenize=tokenize)
    return lambda completion, reference: min(1.0, metric.sentence_score(completion, [reference]).score / 100)


def rouge(measure: str) -> Measure:
    """F1 of rouge-score, with words of every script: its own tokenizer knows a to z and digits only."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([measure], tokenizer=_Words())
    return lambda completion, reference: float(scorer.score(reference, completion)[measure].fmeasure)


def plain(term: terms.ExactMatch, text: str) -> str:
    """The text without what the term says to ignore, and with single blanks."""
    text = unicodedata.normalize("NFKC", text)
    text = text.casefold() if term.ignore_case else text
    if term.ignore_punctuation:
        text = "".join(" " if unicodedata.category(character)[0] == "P" else character for character in text)
    return " ".join(text.split())


class _Words:
    def tokenize(self, text: str) -> list[str]:
        return spoken(text)


def spoken(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return [word for word in words(text) if any(character.isalnum() for character in word)]
