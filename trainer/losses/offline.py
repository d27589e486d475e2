"""Offline reinforcement learning from a fixed set of scored completions: one weighted likelihood, eight names.

    loss_b = sum_t m c (-l)          with the weights c [B, T] detached; mean over sequences

Baheti et al. 2023, "Leftover Lunch: Advantage-based Offline RL for Language Models". With R the reward of the
completion, V the reference's value of the prompt, A+ = max(0, R - V) and w = clip(e^(L - L_ref); 1-eps, 1+eps):

    nll              c = 1
    wbc              c = R                                  weighted behaviour cloning
    reward_gold      c = R max(sg e^l, 0.1)                 after GOLD (Pang and He 2021), which has no R
    r_lol            c = R w
    r_lol_kl         c = R - beta,   plus beta (L - L_ref) as the loss shows it
    a_lol            c = A+ w
    a_lol_ref_free   c = A+
    a_lol_seq        c = A+ clip(e^(l - r); 1-eps, 1+eps)   a ratio per token
    a_lol_kl         c = A+ - beta,  plus beta (L - L_ref) as the loss shows it

The clip bounds a weight and is no PPO clip: it never stops a gradient. eps is 0.9 in the authors' HH runs, that is
[0.1, 1.9], and off in their others. Where they write 0.0 for off, which for a_lol_seq clamps every ratio to 1, off
is None here. The KL variants penalise no divergence: they subtract a constant from the weight, and an example with a
weight below 0 is pushed down without bound. `log_ratio_floor` is the guard against that.

Leaves out where V comes from (`trainer/reference_value.py`) and which examples are drawn
(`trainer/advantage_sampling.py`).
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from trainer.losses.likelihood import keep

OfflineName = Literal[
    "nll", "wbc", "reward_gold", "r_lol", "r_lol_kl", "a_lol", "a_lol_ref_free", "a_lol_seq", "a_lol_kl"
]
NEEDS_REFERENCE = frozenset({"r_lol", "r_lol_kl", "a_lol", "a_lol_seq", "a_lol_kl"})
NEEDS_VALUE = frozenset({"a_lol", "a_lol_ref_free", "a_lol_seq", "a_lol_kl"})
LARGEST_LOG_RATIO = 50.0  # an unclipped ratio stays finite in float32


class OfflineBatch(NamedTuple):
    """B scored completions of up to T tokens, as they are stored, with the policy's log-probabilities.

    `logprobs`, `mask` and `reference_logprobs` are [B, T] (nats), `rewards` in [0, R_max] and the reference's `values`
    are [B]; each name needs only some of them. The reference's may be sums over completions, [B], for all but
    a_lol_seq, which has a ratio per token.
    """

    logprobs: Tensor
    mask: Tensor
    rewards: Tensor | None = None
    reference_logprobs: Tensor | None = None
    values: Tensor | None = None


class OfflineLoss(NamedTuple):
    """`losses` [B]; the rest without gradient: `weights` c [B, T], `log_ratio` L - L_ref and `advantages` R - V, both
    [B] or None where the loss has no reference or value, and `guarded` [B], true where the floor stopped a push."""

    losses: Tensor
    weights: Tensor
    log_ratio: Tensor | None
    advantages: Tensor | None
    guarded: Tensor


def offline_loss(
    name: OfflineName,
    batch: OfflineBatch,
    *,
    clip: float | None = 0.9,
    kl_beta: float = 0.0,
    gold_floor: float = 0.1,
    log_ratio_floor: float = -torch.inf,
) -> OfflineLoss:
    """The loss per sequence of the named method; equations in the module docstring.

    `clip` is eps or None for no clipping; `kl_beta` is beta of the KL variants, `gold_floor` the least probability of
    Reward-GOLD. `log_ratio_floor` (nats, KL variants): an example whose weight is negative is no longer pushed down
    once L - L_ref is at or below it; -inf is the authors' loss, +inf drops such examples. Raises ValueError for an
    unknown name, a missing input, or a setting out of bounds.
    """
    _check(name, batch, clip, kl_beta)
    mask = batch.mask.to(batch.logprobs.dtype)
    logprobs = keep(batch.logprobs, batch.mask)
    fixed = logprobs.detach()
    reference = _reference(batch)
    total = None if reference is None else reference if reference.dim() == 1 else reference.sum(dim=-1)
    advantages = _advantages(name, batch)
    gain = _gain(name, batch, advantages, fixed)
    log_ratio = None if total is None else fixed.sum(dim=-1) - total
    guarded = torch.zeros(len(logprobs), dtype=torch.bool, device=logprobs.device)
    constant: Tensor | float = 0.0
    if name == "reward_gold":
        weights = gain.unsqueeze(-1) * fixed.exp().clamp(min=gold_floor)
    elif name not in NEEDS_REFERENCE:
        weights = gain.unsqueeze(-1)
    else:
        assert reference is not None and total is not None and log_ratio is not None
        if name == "a_lol_seq":
            weights = gain.unsqueeze(-1) * _ratio(fixed - reference, clip)
        elif name in ("r_lol", "a_lol"):
            weights = (gain * _ratio(log_ratio, clip)).unsqueeze(-1)
        else:
            full = gain - kl_beta
            guarded = (full < 0) & (log_ratio <= log_ratio_floor)
            pushed = torch.where(guarded, torch.zeros_like(full), full)
            # the value is the equation's whether guarded or not; only the gradient is withheld
            constant = -(full - pushed) * fixed.sum(dim=-1) - kl_beta * total
            weights = pushed.unsqueeze(-1)
    weights = weights * mask
    return OfflineLoss((-weights * logprobs).sum(dim=-1) + constant, weights, log_ratio, advantages, guarded)


def _reference(batch: OfflineBatch) -> Tensor | None:
    """The reference's log-probabilities as they are given, with 0 on padding."""
    given = batch.reference_logprobs
    if given is None:
        return None
    return (given if given.dim() == 1 else keep(given, batch.mask)).detach()


def _advantages(name: str, batch: OfflineBatch) -> Tensor | None:
    """R - V as it is, [B]; None for methods without a value."""
    if name not in NEEDS_VALUE:
        return None
    assert batch.rewards is not None and batch.values is not None
    return (batch.rewards - batch.values).detach()


def _gain(name: str, batch: OfflineBatch, advantages: Tensor | None, logprobs: Tensor) -> Tensor:
    """What a completion is worth, [B]: 1, R or A+. LoL-RL's ref-free script forgets the clamp of A+."""
    if advantages is not None:
        return advantages.clamp(min=0).to(logprobs.dtype)
    if name == "nll":
        return torch.ones(len(logprobs), dtype=logprobs.dtype, device=logprobs.device)
    assert batch.rewards is not None
    return batch.rewards.detach().to(logprobs.dtype)


def _ratio(log_ratio: Tensor, clip: float | None) -> Tensor:
    """clip(e^x; 1-eps, 1+eps); unclipped, x stops at 50 so that the ratio stays finite."""
    ratio = log_ratio.clamp(max=LARGEST_LOG_RATIO).exp()
    return ratio if clip is None else ratio.clamp(1 - clip, 1 + clip)


def _check(name: str, batch: OfflineBatch, clip: float | None, kl_beta: float) -> None:
    if name not in get_args(OfflineName):
        raise ValueError(f"offline loss {name!r} is not known; choose from {', '.join(get_args(OfflineName))}")
    missing = {
        "rewards": batch.rewards is None and name != "nll",
        "reference_logprobs": batch.reference_logprobs is None and name in NEEDS_REFERENCE,
        "values": batch.values is None and name in NEEDS_VALUE,
    }
    if any(missing.values()):
        raise ValueError(f"{name} needs {', '.join(field for field, lacks in missing.items() if lacks)} of the batch")
    if name == "a_lol_seq" and batch.reference_logprobs is not None and batch.reference_logprobs.dim() == 1:
        raise ValueError("a_lol_seq has a ratio per token, so its reference_logprobs are [B, T]; sums [B] were given")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is the half width of the ratio's interval and above 0, it is {clip}; None is off")
    if kl_beta < 0:
        raise ValueError(f"kl_beta weighs a penalty and is 0 or more, it is {kl_beta}")
