"""Similarity to a reference text as a judge: the text nearer to it is better; needs prompts with a reference.

`chrf` counts common character n-grams and needs no model; a sentence-transformers folder or hub id compares meanings.
Both are blind to what the reference does not say, and to a "not" that turns it round: for texts with one right answer.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from trainer.evaluation.judges.base import Ask, OnReply, Reading, Reply, Said, invalid, reading_of
from trainer.sources import source_digest

CHRF = "chrf"
ORDER = 6  # longest n-gram, in characters
BETA = 2  # how much more recall counts than precision


class SimilarityJudge:
    """`measure` is chrf, or a sentence-transformers model. Differences of at most `tie_margin` (0..1) are ties."""

    kind = "similarity"
    sees_order = False
    reminders = 0
    chunk = 64

    def __init__(self, measure: str = CHRF, *, tie_margin: float = 0.01) -> None:
        self.measure, self.tie_margin = measure, tie_margin
        self.name = f"similarity:{measure}"

    @cached_property
    def revision(self) -> str:
        return f"{CHRF}{ORDER}-{BETA}" if self.measure == CHRF else source_digest(self.measure)

    def request(self, ask: Ask) -> dict[str, Any]:
        """Raises ValueError where the prompt has no reference."""
        one = ask.comparison
        if one.reference is None:
            raise ValueError("the prompt has no reference text to be similar to; import the prompts with one")
        return {"first": one.first, "second": one.second, "reference": one.reference}

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        for index, ask in enumerate(asks):
            if should_stop():
                return
            one, begun = ask.comparison, time.monotonic()
            reference = one.reference or ""
            first, second = self._similarity(one.first, reference), self._similarity(one.second, reference)
            took = time.monotonic() - begun
            on_reply(index, Reply(scores=(first, second), model=self.revision, latency_s=took))

    def read(self, reply: Reply) -> Reading:
        if reply.scores is None or not all(map(math.isfinite, reply.scores)):
            return invalid(f"the similarities are {reply.scores}, not two numbers")
        apart = reply.scores[0] - reply.scores[1]
        if abs(apart) <= self.tie_margin:
            return reading_of(Said.tie)
        return reading_of(Said.first if apart > 0 else Said.second)

    def _similarity(self, text: str, reference: str) -> float:
        if self.measure == CHRF:
            return chrf(text, reference)
        one, two = self._encoder.encode([text, reference], normalize_embeddings=True)
        return float(one @ two)

    @cached_property
    def _encoder(self) -> Any:
        from sentence_transformers import SentenceTransformer  # torch, only for this measure

        return SentenceTransformer(self.measure, model_kwargs={"use_safetensors": True}, trust_remote_code=False)


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score in 0..1, white space left out, n = 1..6, recall counting twice.

    Precision and recall are averaged over the n for which both texts have n-grams, then combined. 1 for equal texts, 0
    where one is blank. Source: Popovic (2015), chrF: character n-gram F-score for automatic MT evaluation.
    """
    ours, theirs = "".join(text.split()), "".join(reference.split())
    if ours == theirs:
        return 1.0 if ours else 0.0
    longest = min(ORDER, len(ours), len(theirs))
    if longest == 0:
        return 0.0
    precision = recall = 0.0
    for n in range(1, longest + 1):
        a, b = _grams(ours, n), _grams(theirs, n)
        common = (a & b).total()
        precision += common / a.total() / longest
        recall += common / b.total() / longest
    if precision + recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))
