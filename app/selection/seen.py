"""What the completions so far were like: which words are content, how much each visible feature varies."""

import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.features import surface
from trainer.text_measures import words

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scales:
    """A snapshot to compare one prompt's completions with.

    rarity    word of these completions -> 1 for one that a single prompt among very many has, 0 for one that all have
    spread    [S] standard deviation of each feature of `surface` over the completions; 1 for one that never varied
    commonest words of the most prompts, the commonest first
    """

    rarity: dict[str, float]
    spread: Array
    commonest: tuple[str, ...]

    def shared(self, one: set[str], two: set[str]) -> float:
        """How much of the content of the text with less of it is in the other one too, in 0..1."""
        both, first, second = (sum(self.rarity[word] for word in part) for part in (one & two, one, two))
        return both / min(first, second) if min(first, second) > 0 else 1.0


class Seen:
    """Counts over all completions that a strategy was given. Safe to call from several threads."""

    def __init__(self, commonest: int = 0) -> None:
        """`commonest` words are told by each snapshot."""
        self._commonest = commonest
        self._prompts = 0
        self._prompts_with: Counter[str] = Counter()
        self._count, self._sum, self._squares = 0, np.zeros(len(surface(""))), np.zeros(len(surface("")))
        self._lock = threading.Lock()

    def take(self, texts: Sequence[str]) -> Scales:
        """Count one prompt's completions as well."""
        said = set().union(*(words(text) for text in texts))
        looks = np.array([surface(text) for text in texts])
        with self._lock:
            self._prompts += 1
            self._prompts_with.update(said)
            self._count += len(looks)
            self._sum += looks.sum(axis=0)
            self._squares += (looks**2).sum(axis=0)
            by_count = sorted(self._prompts_with.items(), key=lambda item: (-item[1], item[0]))
            return Scales(
                {word: self._rarity(word) for word in said},
                self._spread(),
                tuple(word for word, _ in by_count[: self._commonest]),
            )

    def _rarity(self, word: str) -> float:
        """Inverse document frequency, in 0..1."""
        return math.log((self._prompts + 1) / (self._prompts_with[word] + 1)) / math.log(self._prompts + 1)

    def _spread(self) -> Array:
        variance = self._squares / self._count - (self._sum / self._count) ** 2
        return np.sqrt(np.where(variance > 1e-9, variance, 1.0))
