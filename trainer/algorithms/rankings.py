"""Rankings of a prompt's completions as token ids, and batches of them; for losses that compare K completions at once.

Leaves out the losses (`pro.py`, `reward_model.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainer.examples import Ranking, encode, length_limit
from trainer.policy import Policy
from trainer.reporter import Reporter
from trainer.tensors import pad_rows


@dataclass(frozen=True)
class EncodedRanking:
    """Token ids of a prompt and of its completions, best first, what these are worth, and by how much they differ."""

    prompt: list[int]
    completions: list[list[int]]
    rewards: tuple[float, ...]
    margin: float = 0.0


class RankingCollator:
    """A batch of B rankings of up to K completions: a row for each completion, and for each ranking its `places` [B, K]
    among the rows, `present` [B, K], `rewards` [B, K] and `tokens` [B, K]; and its `margins` [B]."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rankings: Sequence[EncodedRanking]) -> dict[str, Any]:
        widest = max(len(ranking.completions) for ranking in rankings)
        sides = [(ranking.prompt, ids) for ranking in rankings for ids in ranking.completions]
        places = torch.zeros(len(rankings), widest, dtype=torch.long)
        present, rewards, tokens = (torch.zeros(len(rankings), widest) for _ in range(3))
        first = 0
        for row, ranking in enumerate(rankings):
            size = len(ranking.completions)
            places[row, :size] = torch.arange(first, first + size)
            present[row, :size] = 1
            rewards[row, :size] = torch.tensor(ranking.rewards)
            tokens[row, :size] = torch.tensor([float(len(ids)) for ids in ranking.completions])
            first += size
        margins = torch.tensor([ranking.margin for ranking in rankings])
        rows = pad_rows(sides, pad_id=self.pad_id)
        return {**rows, "places": places, "present": present, "rewards": rewards, "tokens": tokens, "margins": margins}


def encoded_rankings(
    rankings: Sequence[Ranking], policy: Policy, *, max_length: int, reporter: Reporter
) -> list[EncodedRanking]:
    """The rankings as token ids; says how many had to be shortened."""
    limit = length_limit(policy.model, max_length)
    made, shortened = [], 0
    for one in rankings:
        prompt, completions, short = encode(policy.tokenizer, one.prompt, list(one.completions), max_length=limit)
        made.append(EncodedRanking(prompt, completions, one.rewards, one.margin))
        shortened += short
    if shortened:
        reporter.log(f"{shortened} of {len(rankings)} rankings were shortened to {limit} tokens")
    return made


def widest(rankings: Sequence[EncodedRanking]) -> int:
    """Tokens of the rows of the longest ranking, all its completions together."""
    return max(sum(len(one.prompt) + len(ids) for ids in one.completions) for one in rankings)
