"""Rare words as a reward: the mean of a completion's tf-idf values.

    mean of the non-zero tf-idf values of the row (length 1), times n / 10 where n < 5 distinct words

Source: LoL-RL (Baheti et al. 2023), code. A row of n words has a mean of at most 1 / sqrt(n), so that one word alone
would always score 1; hence the factor. Counted on completions of the training data, once, so that a completion's value
does not depend on its batch; words that these do not have count nothing. Theirs parts words at blanks and drops those
of one letter; ours knows scripts without blanks and keeps them.
"""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer

from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.overlap import spoken

FEW = 5  # distinct words, below which the value is scaled down
FULL = 10.0


class Diversity:
    """Mean tf-idf of each completion, 0..1. Raises ValueError for texts without any word."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = TfidfVectorizer(analyzer=spoken).fit(texts)

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        rows = self._vectorizer.transform(completions) if completions else []
        return [_value(row.data) for row in rows]


def open_reward(term: terms.Diversity, sources: RewardSources) -> Diversity:
    if not any(spoken(text) for text in sources.texts):
        raise RewardError(
            "The reward diversity has no texts to count words in.",
            hint="Use it where there are completions to learn from, such as people's choices.",
        )
    return Diversity(sources.texts)


def _value(values: Sequence[float]) -> float:
    """Of the non-zero tf-idf values of one row."""
    count = len(values)
    if not count:
        return 0.0
    return float(sum(values)) / count * (count / FULL if count < FEW else 1.0)
