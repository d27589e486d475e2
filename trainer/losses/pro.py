"""PRO: a whole ranking of K completions per prompt (Song et al. 2023, "Preference Ranking Optimization").

Completions best first, R their rewards (raw scores of a reward model), a = L / n their mean token log-probability.
For k = 1..K-1, with gaps d_kj = R_k - R_j for j > k and D_k = max_j d_kj:

    term_k = log(1e-10 + e^(a_k D_k) + sum_{j>k} e^(a_j d_kj)) - a_k D_k
    loss   = sum_k term_k + w (K-1)^2 (-L_sft)

per prompt, mean over prompts; L_sft is the token sum of the completion that is also learnt as it is. The gaps act as
a temperature per pair, so this is not the Plackett-Luce loss. The original and LoL-RL's port take their sums by a
prompt mask shifted by one too much or too little; sums here come from `likelihood.completion_logprobs`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

FLOOR = 1e-10


class ProLoss(NamedTuple):
    """Per prompt: the loss [B], its K-1 ranking terms [B, K-1], and the weighted likelihood term [B]."""

    losses: Tensor
    ranking_terms: Tensor
    sft: Tensor


def pro_loss(
    logprobs: Tensor,
    tokens: Tensor,
    rewards: Tensor,
    *,
    sft_weight: float = 0.05,
    sft_index: Tensor | None = None,
    present: Tensor | None = None,
    forward_gaps_only: bool = False,
) -> ProLoss:
    """PRO on summed log-probabilities (nats), token counts and rewards, each [B, K], best first.

    `sft_index` [B] is the completion learnt as it is, by default the best. `present` [B, K] is 0 where a prompt has
    fewer than K completions, which then stand last. A gap is negative where the ranking contradicts the rewards, and
    its term pushes the wrong way; `forward_gaps_only` takes such gaps as 0, so that they push nowhere.
    Raises ValueError for K < 2.
    """
    width = logprobs.shape[-1]
    if width < 2:
        raise ValueError(f"a ranking needs at least 2 completions of a prompt, there is {width}")
    here = torch.ones_like(logprobs, dtype=torch.bool) if present is None else present.bool()
    mean = torch.where(here, logprobs / tokens.clamp(min=1), 0.0)
    scores = torch.where(here, rewards, 0.0)
    ranking = torch.stack(
        [_term(mean[:, k:], scores[:, k:], here[:, k:], forward_gaps_only) for k in range(width - 1)], dim=-1
    )
    index = torch.zeros(len(logprobs), dtype=torch.long, device=logprobs.device) if sft_index is None else sft_index
    learnt = logprobs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
    sft = -sft_weight * (here.sum(dim=-1) - 1).to(learnt.dtype) ** 2 * learnt
    return ProLoss(ranking.sum(dim=-1) + sft, ranking, sft)


def _term(mean: Tensor, rewards: Tensor, here: Tensor, forward_gaps_only: bool) -> Tensor:
    """The first of the completions [B, J] against those after it, [B]; 0 where none is after it."""
    gaps = rewards[:, :1] - rewards[:, 1:]
    if forward_gaps_only:
        gaps = gaps.clamp(min=0)
    widest = gaps.masked_fill(~here[:, 1:], -torch.inf).max(dim=-1).values
    any_after = here[:, 1:].any(dim=-1)
    best = mean[:, 0] * torch.where(any_after, widest, 0.0)
    others = torch.where(here[:, 1:], mean[:, 1:] * gaps, -torch.inf)
    floor = torch.full_like(best, FLOOR).log()
    total = torch.cat([floor.unsqueeze(-1), best.unsqueeze(-1), others], dim=-1).logsumexp(dim=-1)
    return torch.where(any_after, total - best, 0.0)
