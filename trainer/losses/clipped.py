"""PPO's two losses on a mini-batch of rollouts (Schulman et al. 2017; for language models Ziegler et al. 2019).

    q        = e^(l_new - l_old)
    policy   = mean max(-A q, -A clip(q; 1-e, 1+e))
    dual     for A < 0 at most -c2 A with c2 > 1                                        Ye et al. 2020
    value    = 0.5 mean max((v - G)^2, (clip(v; v_old - e_v, v_old + e_v) - G)^2)
    total    = policy + c_v value, plus gamma_ptx NLL where supervised text is mixed in

Means are over masked-in tokens of the mini-batch, or per sequence first. All inputs are [B, T].
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer.losses.likelihood import keep, masked_mean, masked_sum

LARGEST_LOG_RATIO = 20.0  # as OpenRLHF: e^20 is far outside any clip, and finite
Aggregation = Literal["token", "sequence"]


class PolicyLoss(NamedTuple):
    """Scalars; all but `loss` without gradient. `clip_fraction` is the share of tokens whose clipped side won,
    `approx_kl` the mean of (l_new - l_old)^2 / 2, `old_kl` of l_old - l_new, both nats; `skipped` is true where the
    mean ratio exceeded its limit and the loss is 0."""

    loss: Tensor
    clip_fraction: Tensor
    approx_kl: Tensor
    old_kl: Tensor
    mean_ratio: Tensor
    skipped: bool


class ValueLoss(NamedTuple):
    """Scalars; `clip_fraction`, the share of tokens whose clipped side won, has no gradient."""

    loss: Tensor
    clip_fraction: Tensor


def ratio(new_logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """q = e^(l_new - l_old) per token, [B, T], 1 at padding; the difference is clamped to +-20 nats."""
    return keep(new_logprobs - old_logprobs, mask).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


def policy_loss(
    new_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip: float = 0.2,
    clip_high: float | None = None,
    dual_clip: float | None = None,
    max_mean_ratio: float | None = None,
    aggregation: Aggregation = "token",
    tokens: Tensor | float | None = None,
) -> PolicyLoss:
    """The clipped surrogate on log-probabilities (nats) and advantages.

    `clip_high` is the upper e where it differs. With `max_mean_ratio` a mini-batch whose mean ratio exceeds it has
    the loss 0 (TRL 0.7.1: 10; it drops the value loss too, which is the caller's). `tokens`, for the token mean, is
    the mean number of tokens per accumulation step (`likelihood.masked_mean`). Raises ValueError for a clip not above
    0, a dual clip not above 1, or an empty mask.
    """
    if not clip > 0 or (clip_high is not None and not clip_high > 0):
        raise ValueError(f"the clip range is above 0, it is {clip} below and {clip_high} above")
    if dual_clip is not None and not dual_clip > 1:
        raise ValueError(f"the dual clip bounds a loss from above and is more than 1, it is {dual_clip}")
    q = ratio(new_logprobs, old_logprobs, mask)
    advantages = keep(advantages, mask)
    plain, clipped = -advantages * q, -advantages * q.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high))
    losses = torch.maximum(plain, clipped)
    if dual_clip is not None:
        losses = torch.where(advantages < 0, torch.minimum(losses, -dual_clip * advantages), losses)
    loss = _aggregate(losses, mask, aggregation, tokens)
    with torch.no_grad():
        difference = keep(new_logprobs - old_logprobs, mask)
        mean_ratio = masked_mean(q, mask)
        skipped = max_mean_ratio is not None and bool(mean_ratio > max_mean_ratio)
        counts = PolicyLoss(
            loss=loss,
            clip_fraction=masked_mean((clipped > plain).to(q.dtype), mask),
            approx_kl=masked_mean(difference**2 / 2, mask),
            old_kl=masked_mean(-difference, mask),
            mean_ratio=mean_ratio,
            skipped=skipped,
        )
    return counts._replace(loss=loss * 0.0) if skipped else counts  # with its graph: other processes wait for gradients


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    clip: float | None = 0.2,
    aggregation: Aggregation = "token",
    tokens: Tensor | float | None = None,
) -> ValueLoss:
    """Squared error to the returns, at least that of a step of `clip` from the old value; None does not clip.

    TRL's later PPO has one more masked-in position here than in the policy loss; the mask says so.
    """
    values, old_values, returns = (keep(tensor, mask) for tensor in (values, old_values, returns))
    if clip is None:
        plain = (values - returns) ** 2 / 2
        return ValueLoss(_aggregate(plain, mask, aggregation, tokens), torch.zeros_like(plain[0, 0]).detach())
    near = torch.minimum(torch.maximum(values, old_values - clip), old_values + clip)
    plain, clipped = (values - returns) ** 2, (near - returns) ** 2
    loss = 0.5 * _aggregate(torch.maximum(plain, clipped), mask, aggregation, tokens)
    return ValueLoss(loss, masked_mean((clipped > plain).to(values.dtype), mask).detach())


def _aggregate(losses: Tensor, mask: Tensor, aggregation: Aggregation, tokens: Tensor | float | None) -> Tensor:
    """Mean over tokens, or over the means of sequences; an empty sequence has none and counts as 0."""
    if aggregation == "token":
        return masked_mean(losses, mask, tokens=tokens)
    return (masked_sum(losses, mask) / mask.sum(dim=-1).clamp(min=1)).mean()
