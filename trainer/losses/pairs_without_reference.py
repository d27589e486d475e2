"""Losses on pairs that need no reference: SimPO, CPO and ORPO, with the likelihood terms they add.

With L and n a completion's summed log-probability (nats) and token count, w chosen, l rejected, a = L_w/n_w and
b = L_l/n_l:

    simpo   -lsig(beta (a - b) - gamma)                      Meng et al. 2024, equation 6
    cpo     -lsig(beta (L_w - L_l)) + alpha NLL_w            Xu et al. 2024, equation 3
    orpo    NLL_w - beta lsig(lo(a) - lo(b)), lo(p) = p - log(1 - e^p)    Hong et al. 2024, equations 4 to 7

All inputs are vectors [B], all results the loss per pair, [B]. NLL_w, `chosen_nll`, is the same as the `sft` term
that other pair losses are mixed with.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses.pairs import sigmoid_loss


def chosen_nll(chosen: Tensor, chosen_tokens: Tensor, *, mean_tokens: Tensor | float | None = None) -> Tensor:
    """Per pair -L_w / mean n_w: their mean is the mean over all chosen tokens of the batch, as in TRL.

    `mean_tokens` is the mean n_w of the whole accumulated batch, by default of this one. Only completion tokens
    count: TRL's ORPO counts the prompt's too.
    """
    return -chosen / (chosen_tokens.to(chosen.dtype).mean() if mean_tokens is None else mean_tokens)


def simpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float,
    gamma: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """SimPO; gamma is the target reward margin. TRL writes beta (h - gamma/beta), the same number."""
    margin = _mean(chosen, chosen_tokens) - _mean(rejected, rejected_tokens) - gamma / beta
    return sigmoid_loss(margin, beta=beta, label_smoothing=label_smoothing)


def cpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """CPO's preference term on sums; add `cpo_alpha` times `chosen_nll` (TRL's alpha is 1)."""
    return sigmoid_loss(chosen - rejected, beta=beta, label_smoothing=label_smoothing)


def odds_ratio_loss(
    chosen: Tensor, rejected: Tensor, chosen_tokens: Tensor, rejected_tokens: Tensor, *, beta: float
) -> Tensor:
    """ORPO's odds-ratio term -beta lsig(lo(a) - lo(b)); add `chosen_nll` for the whole loss.

    A completion that the policy is certain of has a = 0 and infinite odds: `log1mexp` stops at the smallest gap its
    type can tell from 1, so loss and gradient stay finite.
    """
    a, b = _mean(chosen, chosen_tokens), _mean(rejected, rejected_tokens)
    return -beta * F.logsigmoid((a - log1mexp(a)) - (b - log1mexp(b)))


def log1mexp(logprob: Tensor) -> Tensor:
    """log(1 - e^p) for p <= 0, exact near 0 and far from it (Maechler 2012); p is taken to be at most -eps."""
    safe = logprob.clamp(max=-torch.finfo(logprob.dtype).eps)
    near = safe > -0.6931471805599453
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, safe, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, safe))),
    )


def _mean(logprob: Tensor, tokens: Tensor) -> Tensor:
    """Per token; an empty completion has 0."""
    return logprob / tokens.clamp(min=1)
