"""Which two of several completions of one prompt people compare: replaceable strategies on the texts alone.

A strategy takes the prompt's messages and two or more texts, all different, and gives the indices of the two to show.
Which moves the model most per label is measured by `experiments/selection.py`; the figures are in docs/results.md.
Only comparisons for training are selected; those for evaluation are single samples.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.features import surface
from trainer.prompting import Messages
from trainer.text_measures import words

Selection = Callable[[Messages, Sequence[str]], tuple[int, int]]


def plain(messages: Messages, texts: Sequence[str]) -> tuple[int, int]:
    """The first two: what the model gives."""
    return (0, 1)


def least_alike(messages: Messages, texts: Sequence[str]) -> tuple[int, int]:
    """The two that share the least of their runs of three characters (Jaccard distance)."""
    runs = [_runs(text) for text in texts]
    return _best(len(texts), lambda a, b: 1 - _shared(runs[a], runs[b]))


class SameContent:
    """The two that say the same in the most different manner, so that a choice is about style, not about a fact.

    Content words are those that few prompts' completions use, weighed by their inverse document frequency over the
    prompts seen so far: "Paris" is content, "of course" is not, in whatever language. Score of two texts: the content
    they share over that of the one with less of it, times the distance of what a reader sees at a glance (`surface`),
    each feature in units of its standard deviation over the completions so far. Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._prompts = 0
        self._prompts_with: Counter[str] = Counter()
        self._surfaces = Moments(len(surface("")))
        self._counting = threading.Lock()

    def __call__(self, messages: Messages, texts: Sequence[str]) -> tuple[int, int]:
        said = [set(words(text)) for text in texts]
        looks = np.array([surface(text) for text in texts])
        with self._counting:
            self._prompts += 1
            self._prompts_with.update(set().union(*said))
            self._surfaces.take(looks)
            weight = {word: self._rarity(word) for word in set().union(*said)}
            looks = looks / self._surfaces.spread()

        def score(a: int, b: int) -> float:
            shared, *both = (sum(weight[word] for word in part) for part in (said[a] & said[b], said[a], said[b]))
            same = shared / min(both) if min(both) > 0 else 1.0
            return same * float(np.linalg.norm(looks[a] - looks[b]))

        return _best(len(texts), score)

    def _rarity(self, word: str) -> float:
        """1 for a word of one prompt among very many, 0 for a word of every prompt."""
        return math.log((self._prompts + 1) / (self._prompts_with[word] + 1)) / math.log(self._prompts + 1)


class Moments:
    """Running mean and variance of rows of features."""

    def __init__(self, width: int) -> None:
        self._count, self._sum, self._squares = 0, np.zeros(width), np.zeros(width)

    def take(self, rows: NDArray[np.float64]) -> None:
        """Count these rows [N, width] as well."""
        self._count += len(rows)
        self._sum += rows.sum(axis=0)
        self._squares += (rows**2).sum(axis=0)

    def spread(self) -> NDArray[np.float64]:
        """Standard deviation [width]; 1 for a feature that never varied."""
        variance = self._squares / self._count - (self._sum / self._count) ** 2
        return np.sqrt(np.where(variance > 1e-9, variance, 1.0))


SELECTIONS: Mapping[str, Callable[[], Selection]] = {
    "plain": lambda: plain,
    "least_alike": lambda: least_alike,
    "same_content": SameContent,
}
"""Name -> a new strategy of that name."""


def _best(count: int, score: Callable[[int, int], float]) -> tuple[int, int]:
    """The first of the pairs with the highest score."""
    return max(combinations(range(count), 2), key=lambda pair: score(*pair))


def _runs(text: str) -> set[str]:
    lowered = text.lower()
    return {lowered[i : i + 3] for i in range(max(1, len(lowered) - 2))}


def _shared(a: set[str], b: set[str]) -> float:
    """Jaccard index; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0
