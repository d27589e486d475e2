"""From a score of a whole completion to an advantage per token: KL shaping, missing ends, GAE.

    d      = l - r                                             per token, nats
    k      = d (k1), |d| (abs), d^2/2 (k2), e^-d - 1 + d (k3)  Schulman 2020; `full` is the exact divergence
    rho_t  = -c k_t, plus the score on the last token          Ziegler et al. 2019
    delta  = rho_t + gamma v_{t+1} - v_t                       v after the end is 0
    A_t    = delta_t + gamma lambda A_{t+1}                    Schulman et al. 2016
    G_t    = A_t + v_t                                         before any whitening of A

v_t is read at the position that predicts token t. Completions are padded on the right; every result is 0 at padding.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer.losses.likelihood import keep

KLEstimator = Literal["k1", "abs", "k2", "k3"]


class Advantages(NamedTuple):
    """Each [B, T], without gradient: the advantages, not whitened, and the returns that values are fitted to."""

    advantages: Tensor
    returns: Tensor


def kl_per_token(
    logprobs: Tensor, reference: Tensor, mask: Tensor, *, estimator: KLEstimator = "k1", limit: float | None = None
) -> Tensor:
    """The estimate k of each token's divergence from the reference, [B, T]; nats.

    `limit` clamps k to [-limit, limit] (OpenRLHF: 10). Raises ValueError for an unknown estimator.
    """
    difference = keep(logprobs - reference, mask)
    match estimator:
        case "k1":
            estimate = difference
        case "abs":
            estimate = difference.abs()
        case "k2":
            estimate = difference**2 / 2
        case "k3":
            estimate = torch.expm1(-difference) + difference
        case _:
            raise ValueError(f"KL estimator {estimator!r} is not known; choose from k1, abs, k2, k3")
    return estimate if limit is None else estimate.clamp(-limit, limit)


def full_kl(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """Exact KL(policy : reference) of the next token, nats: [..., V] to [...]; TRL 0.7.1's `full`."""
    logp, logr = logits.log_softmax(dim=-1), reference_logits.log_softmax(dim=-1)
    return (logp.exp() * (logp - logr)).sum(dim=-1)


def shaped_rewards(kl: Tensor, scores: Tensor, mask: Tensor, *, coefficient: float) -> Tensor:
    """-c k per token [B, T] with the score [B] added on each row's last masked-in token.

    LMHP puts the score on the last of a fixed number of positions, even where the text ended before, and TRL's later
    PPO one position after the last token; for those, give a mask that says so. Raises ValueError for an empty row.
    """
    lengths = _lengths(mask)
    at_end = torch.arange(mask.shape[-1], device=mask.device) == (lengths - 1).unsqueeze(-1)
    return keep(-coefficient * kl, mask) + torch.where(at_end, scores.unsqueeze(-1), 0.0)


def penalise_missing_end(
    scores: Tensor, ended: Tensor, *, penalty: float, mode: Literal["replace", "subtract"]
) -> Tensor:
    """Scores [B] where completions that did not end [B] by themselves are marked down.

    `replace` gives them -penalty instead of their score (Ziegler et al. 2019: 1), `subtract` takes the penalty off
    their score (TRL). Raises ValueError for a negative penalty: it would be a reward for not ending.
    """
    if penalty < 0:
        raise ValueError(f"the penalty for a missing end is 0 or more, it is {penalty}")
    missed = torch.full_like(scores, -penalty) if mode == "replace" else scores - penalty
    return torch.where(ended.bool(), scores, missed)


def completion_until_stop(ids: Tensor, stop_id: int, *, start: int = 0, mask: Tensor | None = None) -> Tensor:
    """Mask [B, T] of the tokens up to and with the first stop token at or after position `start`; all without one.

    Within `mask`, if given. LMHP's stop must come at position 16 or later (of 24, counted from 0).
    """
    here = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    stops = (ids == stop_id) & here
    stops[:, :start] = False
    before = stops.cumsum(dim=-1) - stops.long()
    return here & (before == 0)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lam: float = 0.95) -> Advantages:
    """Generalised advantage estimation over rewards, values and mask, each [B, T]; masked-in tokens come first.

    Values at padding are set to 0 first: left as they are, the one after the end leaks a step back. Raises ValueError
    for an empty row.
    """
    _lengths(mask)
    rho, value = keep(rewards, mask).detach(), keep(values, mask).detach()
    after = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=-1)
    deltas = rho + gamma * after - value
    running = torch.zeros_like(deltas[:, 0])
    columns = []
    for step in reversed(range(deltas.shape[-1])):
        running = deltas[:, step] + gamma * lam * running
        columns.append(running)
    advantages = torch.stack(columns[::-1], dim=-1)
    return Advantages(keep(advantages, mask), keep(advantages + value, mask))


def _lengths(mask: Tensor) -> Tensor:
    """Tokens per row, [B]; ValueError where a row has none or they do not come first."""
    lengths = mask.long().sum(dim=-1)
    if bool((lengths == 0).any()):
        raise ValueError(f"row {int((lengths == 0).nonzero()[0])} has no completion token; drop empty completions")
    first = torch.arange(mask.shape[-1], device=mask.device) < lengths.unsqueeze(-1)
    if not torch.equal(first, mask.bool()):
        raise ValueError("completions are to be padded on the right: a token comes after padding")
    return lengths
