"""Strategies that go by the texts alone: the first two, the least alike, the same content in different manner."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from app.selection.judged import Judged
from app.selection.seen import Seen
from trainer.evaluation.features import surface
from trainer.prompting import Messages
from trainer.text_measures import words


def plain(messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
    """The first two: what the model gives."""
    return (0, 1)


def least_alike(messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
    """The two that share the least of their runs of three characters (Jaccard distance)."""
    runs = [_runs(text) for text in texts]
    return best_pair(len(texts), lambda a, b: 1 - _jaccard(runs[a], runs[b]))


class SameContent:
    """The two that say the same in the most different manner, so that a choice is about style, not about a fact.

    Content words are those that few prompts' completions use, weighed by their inverse document frequency over the
    prompts seen so far: "Paris" is content, "of course" is not, in whatever language. Score of two texts: the content
    they share over that of the one with less of it, times the distance of what a reader sees at a glance (`surface`),
    each feature in units of its standard deviation over the completions so far.
    """

    def __init__(self) -> None:
        self._seen = Seen()

    def __call__(self, messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
        scales = self._seen.take(texts)
        said = [set(words(text)) for text in texts]
        looks = np.array([surface(text) for text in texts]) / scales.spread
        return best_pair(
            len(texts), lambda a, b: scales.shared(said[a], said[b]) * float(np.linalg.norm(looks[a] - looks[b]))
        )


def best_pair(count: int, score: Callable[[int, int], float]) -> tuple[int, int]:
    """The first of the pairs of 0..count-1 with the highest score."""
    return max(combinations(range(count), 2), key=lambda pair: score(*pair))


def _runs(text: str) -> set[str]:
    lowered = text.lower()
    return {lowered[i : i + 3] for i in range(max(1, len(lowered) - 2))}


def _jaccard(a: set[str], b: set[str]) -> float:
    """Jaccard index; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0
