"""RLOO and GRPO: advantages from K completions of each prompt, no value network.

    RLOO   A_i = R_i - mean of the others' R, with R <- R - beta sum_t m (l_old - r) before    Ahmadian et al. 2024
           loss_b = max(-A q, -A clip(q; 1-e, 1+e)), q = e^(L_new - L_old) of the sequence
    GRPO   A_i = (R_i - mean) / (std + 1e-4), std of the group, the batch, or none             Shao et al. 2024
           token loss as PPO's, + beta (e^(r - l) - (r - l) - 1), the KL times q where it is corrected

These are what TRL computes, as an oracle for runs that go through it. Rewards are [N], the K of a prompt next to each
other. A reward of NaN (no reward function had one) is left out of baselines and spreads and has the advantage 0.
"""

from typing import Literal

import torch
from torch import Tensor

from trainer.losses.clipped import LARGEST_LOG_RATIO
from trainer.losses.likelihood import keep, masked_sum

EPSILON = 1e-4
GroupLoss = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo"]


def rloo_advantages(rewards: Tensor, *, group_size: int, standardised: bool = False) -> Tensor:
    """Leave-one-out advantages [N]; standardised over the batch by its mean and unbiased deviation if asked for.

    Raises ValueError for a group of 1 or rewards that are no whole groups.
    """
    grouped = _grouped(rewards, group_size)
    others = (~grouped.isnan()).sum(dim=-1, keepdim=True) - 1
    advantages = (grouped - (grouped.nansum(dim=-1, keepdim=True) - grouped) / others).flatten()
    if standardised:
        advantages = (advantages - advantages.nanmean()) / (_deviation(advantages) + EPSILON)
    return advantages.nan_to_num(nan=0.0)


def grpo_advantages(rewards: Tensor, *, group_size: int, scale: Literal["group", "batch", "none"] = "group") -> Tensor:
    """Advantages [N] over the group's mean; a group of equal rewards has 0 everywhere and gives no gradient."""
    grouped = _grouped(rewards, group_size)
    centred = grouped - grouped.nanmean(dim=-1, keepdim=True)
    if scale == "group":
        centred = centred / (_deviation(grouped) + EPSILON)
    elif scale == "batch":
        centred = centred / (_deviation(grouped.reshape(1, -1)) + EPSILON)
    return centred.flatten().nan_to_num(nan=0.0)


def sequence_kl_penalty(
    rewards: Tensor, old_logprobs: Tensor, reference: Tensor, mask: Tensor, *, beta: float
) -> Tensor:
    """RLOO's rewards [N] less beta times the sequence's sum of l_old - r (k1), from [N, T] log-probabilities."""
    return rewards - beta * masked_sum(old_logprobs - reference, mask)


def rloo_loss(
    new_logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """Clipped loss per sequence, [B], with the ratio of whole completions; advantages are [B]."""
    q = _exp(masked_sum(new_logprobs - old_logprobs, mask))
    return torch.maximum(-advantages * q, -advantages * q.clamp(1 - clip, 1 + clip))


def grpo_loss(
    new_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    kind: GroupLoss = "dapo",
    level: Literal["token", "sequence"] = "token",
    clip: float = 0.2,
    clip_high: float | None = None,
    reference: Tensor | None = None,
    beta: float = 0.0,
    corrected_kl: bool = True,
    max_tokens: int | None = None,
    tokens: Tensor | float | None = None,
) -> Tensor:
    """The loss of a batch, a scalar, from log-probabilities [B, T] and advantages [B].

    `kind` sets the mean: `grpo` per sequence then batch, `bnpo` over the batch's tokens, `dapo` over `tokens` of the
    accumulated batch, `dr_grpo` over B times `max_tokens`; `cispo` is -sg(min(q, clip_high)) A l over `tokens`, its
    clip_high (TRL: 5) a ratio, not a distance from 1. `level` sequence takes the ratio of mean log-probabilities
    (GSPO). Raises ValueError where `dr_grpo` lacks max_tokens, `cispo` its cap, or the KL its reference.
    """
    difference = keep(new_logprobs - old_logprobs, mask)
    lengths = mask.sum(dim=-1).clamp(min=1)
    log_q = difference if level == "token" else (difference.sum(dim=-1) / lengths).unsqueeze(-1)
    q, gain = _exp(log_q), advantages.unsqueeze(-1)
    if kind == "cispo":
        if clip_high is None:
            raise ValueError("cispo caps the ratio at clip_high, which is not given; TRL's is 5")
        losses = -q.clamp(max=clip_high).detach() * gain * keep(new_logprobs, mask)
    else:
        losses = torch.maximum(-gain * q, -gain * q.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high)))
    if beta:
        if reference is None:
            raise ValueError("beta weighs the KL to a reference, whose log-probabilities are not given")
        gap = keep(reference - new_logprobs, mask)
        kl = torch.expm1(gap) - gap
        losses = losses + beta * (kl * q if corrected_kl else kl)
    total = keep(losses.expand_as(difference), mask)
    if kind == "grpo":
        return (total.sum(dim=-1) / lengths).mean()
    if kind == "dr_grpo":
        if max_tokens is None:
            raise ValueError("dr_grpo divides by max_tokens, the longest completion that is generated; it is not given")
        return total.sum() / (len(total) * max_tokens)
    return total.sum() / (mask.sum().clamp(min=1) if kind == "bnpo" or tokens is None else tokens)


def _grouped(rewards: Tensor, group_size: int) -> Tensor:
    if group_size < 2 or rewards.numel() % group_size:
        raise ValueError(f"{rewards.numel()} rewards are no whole groups of {group_size}; a group has 2 or more")
    return rewards.view(-1, group_size)


def _deviation(values: Tensor) -> Tensor:
    """Unbiased standard deviation of each row without its NaN, [..., 1]; NaN for fewer than 2 numbers."""
    count = (~values.isnan()).sum(dim=-1, keepdim=True)
    squares = (values - values.nanmean(dim=-1, keepdim=True)).pow(2).nansum(dim=-1, keepdim=True)
    return (squares / (count - 1)).sqrt()


def _exp(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()
