"""Asks a trained judge: the log-probabilities of A, B and tie as the next token, in one order or in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.policy import load_policy
from trainer.prompting import render
from trainer.starter.grammar.item import Message
from trainer.starter.judge.form import VERDICTS, Verdict, fit_judge_messages, flipped

BATCH_POSITIONS = 12_000  # rows times positions of a batch: many short comparisons or few long ones

Comparison = tuple[Sequence[Mapping[str, Any]], str, str]
"""(the prompt's messages, completion A, completion B)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Log-probabilities of A, B and tie, normalised over the three, and how much probability they had together."""

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
        torch.set_num_threads(1)
        policy = load_policy(model_dir, device="cpu")
        self.model: Any = policy.model
        self.tokenizer: Any = policy.tokenizer
        self.limit = int(self.model.config.max_position_embeddings)
        self.verdict_ids = verdict_ids(self.tokenizer)

    def _ids(self, messages: list[Message]) -> list[int]:
        """Control tokens within a completion are text: none may end the question and write a verdict."""
        return render(self.tokenizer, [{"role": m["role"], "content": m["content"]} for m in messages])

    def prompt_ids(self, comparison: Comparison) -> list[int]:
        """The comparison as the judge reads it, with room for the verdict."""
        return self._ids(fit_judge_messages(*comparison, lambda messages: len(self._ids(messages)), self.limit - 1))

    @torch.no_grad()
    def read(self, comparisons: Sequence[Comparison]) -> list[Reading]:
        """One reading per comparison, in the order A and B are given."""
        ids = [self.prompt_ids(comparison) for comparison in comparisons]
        readings: dict[int, Reading] = {}
        for rows in _batches([len(row) for row in ids]):
            tokens, mask = self._padded([ids[row] for row in rows])
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            out = self.model(input_ids=tokens, attention_mask=mask, position_ids=positions, logits_to_keep=1)
            chosen = torch.log_softmax(out.logits[:, -1].float(), dim=-1)[:, self.verdict_ids]  # (B, 3)
            for row, three in zip(rows, chosen, strict=True):
                one, two, tie = torch.log_softmax(three, dim=-1).tolist()
                readings[row] = Reading((one, two, tie), float(three.exp().sum()))
        return [readings[row] for row in range(len(ids))]

    def _padded(self, ids: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Left-padded ids and their mask, each (B, T)."""
        longest = max(len(row) for row in ids)
        pad = self.tokenizer.pad_token_id
        tokens = torch.tensor([[pad] * (longest - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
        return tokens, mask

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judged]:
        """Both orders of each comparison."""
        changed = [(messages, b, a) for messages, a, b in comparisons]
        return [Judged(given, other) for given, other in zip(self.read(comparisons), self.read(changed), strict=True)]


def _batches(lengths: list[int]) -> list[list[int]]:
    """Indices of comparisons of like length, so that little is padded."""
    made: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if not made or (len(made[-1]) + 1) * lengths[index] > BATCH_POSITIONS:
            made.append([])
        made[-1].append(index)
    return made


def verdict_ids(tokenizer: Any) -> list[int]:
    """The first token of each verdict. Raises ValueError where two of them begin with the same token."""
    ids = [tokenizer(verdict, add_special_tokens=False)["input_ids"][0] for verdict in VERDICTS]
    if len(set(ids)) != len(ids):
        raise ValueError(f"the verdicts {VERDICTS} begin with the tokens {ids}: two are the same.")
    return ids
