"""Losses on pairs against a frozen reference: direct preference optimisation and its relatives.

    u = L(chosen) - L_ref(chosen)        v = L(rejected) - L_ref(rejected)        h = u - v

Each function takes these log-ratios, vectors [B] in nats, and gives the loss per pair, [B]; the batch's loss is their
mean. Reference-free means L_ref = 0, so u = L(chosen). Losses without a reference by design, and the mixing of
several, are in `pairs_without_reference.py` and `pair_mixture.py`. With `lsig` = log sigmoid and `beta` the weight
of the reference:

    sigmoid        -lsig(beta h), smoothed -(1-e) lsig(beta h) - e lsig(-beta h)
    robust         (-(1-e) lsig(beta h) + e lsig(-beta h)) / (1 - 2e)
    hinge          max(0, 1 - beta h)
    ipo_sum        (h - 1/(2 beta))^2
    ipo            (u/n_w - v/n_l - 1/(2 beta))^2
    sigmoid_norm   -lsig(beta (u/n_w - v/n_l))
    exo_pair       q (log q - log(1-e)) + (1-q) (log(1-q) - log e), q = sigmoid(beta h)
    bco_pair       -lsig(beta u) - lsig(-beta v)
    nca_pair       -lsig(beta u) - lsig(-beta u)/2 - lsig(-beta v)/2
    sppo_hard      (u - 1/(2 beta))^2 + (v + 1/(2 beta))^2
    apo_zero       1 - sigmoid(beta u) + sigmoid(beta v)
    apo_down       sigmoid(beta u) + 1 - sigmoid(beta h)
    aot            smoothed sigmoid on sort(L_w - L_l) - sort(L_ref,w - L_ref,l)
    aot_unpaired   smoothed sigmoid on sort(u) - sort(v)
    discopop       -(1-g) lsig(beta h) + g e^(-beta h), g = sigmoid(beta h / tau)
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class PairLoss(NamedTuple):
    """Per pair, each [B]: the loss, and the implicit rewards of both completions without gradient."""

    losses: Tensor
    chosen_rewards: Tensor
    rejected_rewards: Tensor


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> PairLoss:
    """`sigmoid_loss` on four vectors [B] of sequence log-probabilities, in nats."""
    chosen_ratio = chosen - reference_chosen
    rejected_ratio = rejected - reference_rejected
    losses = sigmoid_loss(chosen_ratio - rejected_ratio, beta=beta, label_smoothing=label_smoothing)
    return PairLoss(losses, beta * chosen_ratio.detach(), beta * rejected_ratio.detach())


def sigmoid_loss(margin: Tensor, *, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """DPO (Rafailov et al. 2023, equation 7) on h; conservative DPO (Mitchell 2023) with `label_smoothing` e.

    ln 2 where policy and reference agree. TRL since 0.29 ignores label smoothing here; this honours it.
    """
    _check_smoothing(label_smoothing)
    logits = beta * margin
    return -(1 - label_smoothing) * F.logsigmoid(logits) - label_smoothing * F.logsigmoid(-logits)


def robust_loss(margin: Tensor, *, beta: float, label_smoothing: float) -> Tensor:
    """Robust DPO (Chowdhury et al. 2024, equation 7) on h: unbiased where a share e < 1/2 of the labels is flipped.

    Raises ValueError for e outside [0, 0.5); TRL only warns and divides by 0 or less.
    """
    _check_smoothing(label_smoothing)
    logits = beta * margin
    kept, flipped = (1 - label_smoothing) * F.logsigmoid(logits), label_smoothing * F.logsigmoid(-logits)
    return (flipped - kept) / (1 - 2 * label_smoothing)


def hinge_loss(margin: Tensor, *, beta: float) -> Tensor:
    """SLiC's hinge (Zhao et al. 2023; on log-ratios Liu et al. 2023, equation 4) on h."""
    return torch.relu(1 - beta * margin)


def ipo_loss(margin: Tensor, *, beta: float) -> Tensor:
    """IPO (Azar et al. 2023, equation 17) on h, or on the difference of mean log-ratios per token.

    The paper's results use means (TRL since 0.29, LLaMA-Factory), OpenRLHF and TRL up to 0.28 use sums; the two need
    very different beta, so a run stores which: `ipo` is the means, `ipo_sum` the sums.
    """
    return (margin - 1 / (2 * beta)) ** 2


def exo_pair_loss(margin: Tensor, *, beta: float, label_smoothing: float) -> Tensor:
    """EXO on K = 2 (Ji et al. 2024, equation 16): KL from (sigmoid(beta h), rest) to (1-e, e).

    Raises ValueError for e = 0, where the divergence is infinite; the paper's e is 1e-3.
    """
    _check_smoothing(label_smoothing)
    if label_smoothing == 0:
        raise ValueError("exo_pair needs a label smoothing above 0, at which it is infinite; 0.001 is the paper's")
    log_chosen, log_rejected = F.logsigmoid(beta * margin), F.logsigmoid(-beta * margin)
    return log_chosen.exp() * (log_chosen - math.log1p(-label_smoothing)) + log_rejected.exp() * (
        log_rejected - math.log(label_smoothing)
    )


def discopop_loss(margin: Tensor, *, beta: float, tau: float = 0.05) -> Tensor:
    """DiscoPOP's log-ratio modulated loss (Lu et al. 2024, equation 5) on h.

    g e^(-beta h) is taken as one exponential, so a large negative margin gives its limit 0, not 0 times infinity.
    """
    logits = beta * margin
    modulation = torch.sigmoid(logits / tau)
    exponential = torch.exp(F.logsigmoid(logits / tau) - logits)
    return -(1 - modulation) * F.logsigmoid(logits) + exponential


def bco_pair_loss(chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float) -> Tensor:
    """Binary classifier optimisation on pairs (Jung et al. 2024) on u and v, without the running-mean shift.

    TRL 0.28 subtracted a running mean of rewards, 1.16 does not; this follows 1.16 and keeps no state.
    """
    return -F.logsigmoid(beta * chosen_ratio) - F.logsigmoid(-beta * rejected_ratio)


def nca_pair_loss(chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float) -> Tensor:
    """Noise contrastive alignment on pairs (Chen et al. 2024) on u and v."""
    chosen, rejected = beta * chosen_ratio, beta * rejected_ratio
    return -F.logsigmoid(chosen) - 0.5 * F.logsigmoid(-chosen) - 0.5 * F.logsigmoid(-rejected)


def sppo_hard_loss(chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float) -> Tensor:
    """SPPO (Wu et al. 2024, equation 4.7) on u and v with winning probabilities 1 and 0."""
    target = 1 / (2 * beta)
    return (chosen_ratio - target) ** 2 + (rejected_ratio + target) ** 2


def apo_zero_loss(chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float) -> Tensor:
    """APO-zero (D'Oosterlinck et al. 2024, equation 7) on u and v: the chosen is better than the model's own."""
    return torch.sigmoid(-beta * chosen_ratio) + torch.sigmoid(beta * rejected_ratio)


def apo_down_loss(chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float) -> Tensor:
    """APO-down (D'Oosterlinck et al. 2024, equation 8) on u and v: even the chosen is worse than the model's own."""
    return torch.sigmoid(beta * chosen_ratio) + torch.sigmoid(-beta * (chosen_ratio - rejected_ratio))


def aot_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """AOT on pairs (Melnyk et al. 2024): the policy's margins dominate the reference's, quantile by quantile.

    Four vectors [B]. The B losses belong to quantiles of this batch, not to pairs, so accumulated small batches are
    not one big batch.
    """
    margins = (chosen - rejected).sort().values - (reference_chosen - reference_rejected).sort().values
    return sigmoid_loss(margins, beta=beta, label_smoothing=label_smoothing)


def aot_unpaired_loss(
    chosen_ratio: Tensor, rejected_ratio: Tensor, *, beta: float, label_smoothing: float = 0.0
) -> Tensor:
    """AOT on u and v as two samples (Melnyk et al. 2024); the losses belong to quantiles, as in `aot_loss`."""
    margins = chosen_ratio.sort().values - rejected_ratio.sort().values
    return sigmoid_loss(margins, beta=beta, label_smoothing=label_smoothing)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label smoothing is a share of wrong labels in [0, 0.5), it is {label_smoothing}")
