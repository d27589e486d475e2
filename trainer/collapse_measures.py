"""How alike texts are: distinct n-grams, BLEU against each other, long runs of words that many of them share.

Legend: an n-gram is a tuple of n words as `text_measures.words` has them. Leaves out which figure is too much
(trainer/collapse_guards.py).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trainer.text_measures import words

T = TypeVar("T")
Gram = tuple[str, ...]
MOST_WORDS = 4  # BLEU's longest n-gram
TRIPLE = 3


def grams(text: str, n: int) -> list[Gram]:
    """Every n-gram of the text, in order; none where it has fewer words."""
    parts = words(text)
    return list(zip(*(parts[start:] for start in range(n)), strict=False))


def evenly(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items at even distances: what depends on how many there are is compared at equal numbers."""
    return [items[index * len(items) // count] for index in range(count)]


def self_bleu(texts: Sequence[str]) -> float:
    """Mean sentence BLEU of each text with all others as its references, 0 to 1 (Zhu et al. 2018, Texygen).

    Up to four words, fewer for a shorter text; an order without a match counts as half a match, the next as a quarter
    (both as sacrebleu's sentence BLEU does). 0 for fewer than two texts. It rises with the number of texts.
    """
    if len(texts) < 2:
        return 0.0
    parted = [words(text) for text in texts]
    counts = [[Counter(grams(text, n)) for text in texts] for n in range(1, MOST_WORDS + 1)]
    most = [_Most.of(order) for order in counts]
    lengths = sorted(len(parts) for parts in parted)
    return sum(
        _bleu([order[i] for order in counts], most, _brevity(len(parts), lengths)) for i, parts in enumerate(parted)
    ) / len(texts)


@dataclass(frozen=True)
class _Most:
    """Of each n-gram the largest count in one text, and the largest in another: what the others offer to any text."""

    first: dict[Gram, int]
    second: dict[Gram, int]

    @classmethod
    def of(cls, counts: Iterable[Counter[Gram]]) -> "_Most":
        first: dict[Gram, int] = defaultdict(int)
        second: dict[Gram, int] = defaultdict(int)
        for one in counts:
            for gram, count in one.items():
                if count > first[gram]:
                    first[gram], second[gram] = count, first[gram]
                elif count > second[gram]:
                    second[gram] = count
        return cls(first, second)

    def matches(self, own: Counter[Gram]) -> int:
        """How many n-grams of a text are in one of the others, each as often as there."""
        return sum(
            min(count, self.second[gram] if count == self.first[gram] else self.first[gram])
            for gram, count in own.items()
        )


def _bleu(counts: Sequence[Counter[Gram]], most: Sequence[_Most], brevity: float) -> float:
    logs, half = [], 1.0
    for own, others in zip(counts, most, strict=True):
        total = sum(own.values())
        if total == 0:
            break
        matched: float = others.matches(own)
        if matched == 0:
            half /= 2
            matched = half
        logs.append(math.log(matched / total))
    return brevity * math.exp(sum(logs) / len(logs)) if logs and half > 2**-MOST_WORDS else 0.0


def _brevity(length: int, lengths: Sequence[int]) -> float:
    """The penalty of a text shorter than the one of the others nearest in length."""
    others = list(lengths)
    others.remove(length)
    nearest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length >= nearest or length == 0 else math.exp(1 - nearest / length)


def _runs(text: str, n: int) -> list[Gram]:
    """Its n-grams of words that hold a letter or a digit."""
    parts = [word for word in words(text) if word[0].isalnum()]
    return list(zip(*(parts[start:] for start in range(n)), strict=False))


def shared_by_prompts(rows: Iterable[tuple[int, str]], n: int, prompts: int, known: Iterable[str]) -> list[bool]:
    """Of each (prompt's number, completion): does it hold n new words in a row that completions of at least so many
    prompts share?

    New are n-grams without any word triple that one of the `known` texts has: the seam of a known phrase and whatever
    stands beside it is a new n-gram in itself, and nobody's memory.
    """
    had = {triple for text in known for triple in _runs(text, TRIPLE)}
    listed = [
        (prompt, {g for g in _runs(text, n) if not any(g[at : at + TRIPLE] in had for at in range(n - TRIPLE + 1))})
        for prompt, text in rows
    ]
    asked: dict[Gram, set[int]] = defaultdict(set)
    for prompt, found in listed:
        for gram in found:
            asked[gram].add(prompt)
    memorised = {gram for gram, numbers in asked.items() if len(numbers) >= prompts}
    return [not found.isdisjoint(memorised) for _, found in listed]
