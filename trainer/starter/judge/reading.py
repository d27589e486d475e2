"""Asks a trained judge: the log-probabilities of A, B and tie as the next token, in one order or in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import torch

from trainer.starter.grammar.item import Message
from trainer.starter.judge.form import VERDICTS, Verdict, fit_judge_messages, flipped
from trainer.starter.sampler import Sampler

Comparison = tuple[Sequence[Mapping[str, Any]], str, str]
"""(the prompt's messages, completion A, completion B)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Log-probabilities of A, B and tie, normalised over the three, and how much of the judge's probability they had."""

    logprobs: tuple[float, float, float]
    mass: float

    @property
    def verdict(self) -> Verdict:
        """The likeliest of the three."""
        return VERDICTS[max(range(3), key=lambda index: self.logprobs[index])]


@dataclass(frozen=True, slots=True)
class Judged:
    """Both orders of one comparison: as given, and with A and B changed."""

    given: Reading
    changed: Reading

    @property
    def consistent(self) -> bool:
        """Whether both orders say the same."""
        return self.given.verdict == flipped(self.changed.verdict)

    @property
    def verdict(self) -> Verdict:
        """The likeliest verdict when the probabilities of both orders are averaged."""
        first, second = ([exp(value) for value in r.logprobs] for r in (self.given, self.changed))
        shares = (first[0] + second[1], first[1] + second[0], first[2] + second[2])
        return VERDICTS[max(range(3), key=lambda index: shares[index])]


class Judge:
    """A judge's folder, ready to read comparisons in batches on one thread."""

    def __init__(self, model_dir: Path) -> None:
        self.sampler = Sampler(model_dir)
        self.limit = int(self.sampler.model.config.max_position_embeddings)
        self.verdict_ids = verdict_ids(self.sampler.tokenizer)

    def _ids(self, comparison: Comparison) -> list[int]:
        def count(messages: list[Message]) -> int:
            return len(self.sampler.ids_of(messages))

        return self.sampler.ids_of(fit_judge_messages(*comparison, count, self.limit - 1))

    @torch.no_grad()
    def read(self, comparisons: Sequence[Comparison]) -> list[Reading]:
        """One reading per comparison, in the order A and B are given."""
        ids = [self._ids(comparison) for comparison in comparisons]
        readings: list[Reading | None] = [None] * len(ids)
        for rows in self.sampler.batches(ids):
            tokens, mask = self.sampler.padded([ids[row] for row in rows])
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.sampler.model(
                input_ids=tokens, attention_mask=mask, position_ids=positions, logits_to_keep=1
            ).logits[:, -1]
            chosen = torch.log_softmax(logits.float(), dim=-1)[:, self.verdict_ids]  # (B, 3)
            for row, three in zip(rows, chosen, strict=True):
                mass = float(three.exp().sum())
                one, two, tie = torch.log_softmax(three, dim=-1).tolist()
                readings[row] = Reading((one, two, tie), mass)
        return [reading for reading in readings if reading is not None]

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judged]:
        """Both orders of each comparison."""
        changed = [(messages, b, a) for messages, a, b in comparisons]
        return [
            Judged(given, other) for given, other in zip(self.read(comparisons), self.read(changed), strict=True)
        ]


def verdict_ids(tokenizer: Any) -> list[int]:
    """The first token of each verdict. Raises ValueError where two of them begin with the same token."""
    ids = [tokenizer(verdict, add_special_tokens=False)["input_ids"][0] for verdict in VERDICTS]
    if len(set(ids)) != len(ids):
        raise ValueError(f"the verdicts {VERDICTS} begin with the tokens {ids}: two are the same.")
    return ids
