"""Any weighted mixture of pair losses by name, on one batch: what the pair trainer calls.

    loss = sum_i weight_i loss_i(batch)

Two variations change what the losses see. f-divergences (Wang et al. 2023, "Beyond Reverse KL") replace each
log-ratio u by f'(e^u): u itself (reverse KL), 1 - e^-u (forward KL), log 2 + lsig(u) (Jensen-Shannon) or
(e^((a-1)u) - 1)/(a-1) (alpha). Only losses of the difference h are defined under them. LD-DPO (Liu et al. 2024)
weighs tokens beyond the shorter length of the pair by alpha in [0, 1], in policy and reference alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses import pairs, pairs_without_reference
from trainer.losses.likelihood import masked_sum
from trainer.losses.names import PairLossName
from trainer.losses.pairs import PairLoss

Divergence = Literal["reverse_kl", "forward_kl", "js", "alpha"]
UNDER_DIVERGENCE = frozenset(
    {"sigmoid", "robust", "hinge", "ipo", "ipo_sum", "sigmoid_norm", "exo_pair", "discopop", "sft"}
)
WITHOUT_REFERENCE = frozenset({"simpo", "cpo", "orpo", "sft"})
LARGEST_EXPONENT = 80.0  # e^80 is far inside float32, whose largest number is e^88.7


class PairLogprobs(NamedTuple):
    """B pairs, each tensor [B]: log-probabilities summed over completion tokens (nats) and token counts.

    `chosen_undiscounted` is the plain sum where LD-DPO has discounted `chosen`; the likelihood terms use it.
    """

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    chosen_undiscounted: Tensor | None = None


@dataclass(frozen=True)
class PairSettings:
    """Everything the losses of a mixture are tuned by; each reads what its equation names.

    `gamma` is SimPO's, `cpo_alpha` weighs CPO's likelihood term, `tau` is DiscoPOP's, `divergence_alpha` the alpha
    divergence's. `mean_tokens` is the mean number of chosen tokens per pair of the whole accumulated batch, for the
    likelihood terms; None takes the batch's own.
    """

    beta: float = 0.1
    label_smoothing: float = 0.0
    reference_free: bool = False
    gamma: float = 0.5
    cpo_alpha: float = 1.0
    tau: float = 0.05
    divergence: Divergence = "reverse_kl"
    divergence_alpha: float = 0.5
    mean_tokens: float | None = None


def pair_loss(
    batch: PairLogprobs, terms: Sequence[tuple[PairLossName, float]], settings: PairSettings | None = None
) -> PairLoss:
    """The weighted sum of the named losses per pair, with implicit rewards beta u and beta v.

    Where no term has a reference the rewards are beta L/n for simpo and orpo, beta L for the rest, as the first term
    has it. Raises ValueError for no terms, an unknown name, or a loss that the divergence is not defined for.
    """
    settings = settings or PairSettings()
    if not terms:
        raise ValueError(f"a pair loss needs at least one term; choose from {', '.join(get_args(PairLossName))}")
    if settings.divergence != "reverse_kl" and (undefined := {name for name, _ in terms} - UNDER_DIVERGENCE):
        raise ValueError(
            f"{', '.join(sorted(undefined))} under {settings.divergence}: the normaliser only cancels in the "
            f"difference of a pair, so choose from {', '.join(sorted(UNDER_DIVERGENCE))}, or reverse_kl"
        )
    losses = torch.stack([weight * _one(name, batch, settings) for name, weight in terms]).sum(dim=0)
    u, v = _reward_ratios(batch, [name for name, _ in terms], settings)
    return PairLoss(losses, settings.beta * u.detach(), settings.beta * v.detach())


def divergence_score(log_ratio: Tensor, divergence: Divergence, alpha: float = 0.5) -> Tensor:
    """f'(e^u) of each log-ratio u, same shape; exponents are capped at 80, inside float32.

    TRL's alpha divergence fails on float64 and loses its digits near alpha = 1; here e^x - 1 is one function.
    """
    if divergence == "reverse_kl" or (divergence == "alpha" and abs(alpha - 1) < 1e-6):
        return log_ratio
    if divergence == "forward_kl":
        return -torch.expm1((-log_ratio).clamp(max=LARGEST_EXPONENT))
    if divergence == "js":
        return F.logsigmoid(log_ratio) + 0.6931471805599453
    return torch.expm1(((alpha - 1) * log_ratio).clamp(max=LARGEST_EXPONENT)) / (alpha - 1)


def length_desensitised(
    chosen: Tensor, rejected: Tensor, chosen_mask: Tensor, rejected_mask: Tensor, *, alpha: float
) -> tuple[Tensor, Tensor]:
    """LD-DPO's sums [B] of both sides' token log-probabilities [B, T]: tokens beyond the shorter length weigh alpha.

    alpha 1 is DPO, 0 compares equal lengths only. The two sides may be padded to different T. Raises ValueError for
    an alpha outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"the weight of the longer side's extra tokens is in [0, 1], it is {alpha}")
    shorter = torch.minimum(chosen_mask.sum(dim=-1), rejected_mask.sum(dim=-1)).unsqueeze(-1)

    def discounted(logprobs: Tensor, mask: Tensor) -> Tensor:
        shared = mask.cumsum(dim=-1) <= shorter
        return masked_sum(torch.where(shared, logprobs, alpha * logprobs), mask)

    return discounted(chosen, chosen_mask), discounted(rejected, rejected_mask)


def _one(name: str, batch: PairLogprobs, settings: PairSettings) -> Tensor:
    """One unweighted loss per pair, [B]."""
    beta, smoothing = settings.beta, settings.label_smoothing
    counts = batch.chosen_tokens, batch.rejected_tokens
    u, v = _ratios(batch, settings)
    s, t = (divergence_score(ratio, settings.divergence, settings.divergence_alpha) for ratio in (u, v))
    match name:
        case "sigmoid":
            return pairs.sigmoid_loss(s - t, beta=beta, label_smoothing=smoothing)
        case "robust":
            return pairs.robust_loss(s - t, beta=beta, label_smoothing=smoothing)
        case "hinge":
            return pairs.hinge_loss(s - t, beta=beta)
        case "ipo_sum":
            return pairs.ipo_loss(s - t, beta=beta)
        case "ipo":
            return pairs.ipo_loss(_per_token(s, t, *counts), beta=beta)
        case "sigmoid_norm":
            return pairs.sigmoid_loss(_per_token(s, t, *counts), beta=beta, label_smoothing=smoothing)
        case "exo_pair":
            return pairs.exo_pair_loss(s - t, beta=beta, label_smoothing=smoothing)
        case "discopop":
            return pairs.discopop_loss(s - t, beta=beta, tau=settings.tau)
        case "bco_pair":
            return pairs.bco_pair_loss(u, v, beta=beta)
        case "nca_pair":
            return pairs.nca_pair_loss(u, v, beta=beta)
        case "sppo_hard":
            return pairs.sppo_hard_loss(u, v, beta=beta)
        case "apo_zero":
            return pairs.apo_zero_loss(u, v, beta=beta)
        case "apo_down":
            return pairs.apo_down_loss(u, v, beta=beta)
        case "aot":
            return pairs.aot_loss(*_sides(batch, settings), beta=beta, label_smoothing=smoothing)
        case "aot_unpaired":
            return pairs.aot_unpaired_loss(u, v, beta=beta, label_smoothing=smoothing)
        case _:
            return _without_reference(name, batch, settings)


def _without_reference(name: str, batch: PairLogprobs, settings: PairSettings) -> Tensor:
    beta, smoothing = settings.beta, settings.label_smoothing
    plain = batch.chosen if batch.chosen_undiscounted is None else batch.chosen_undiscounted
    nll = pairs_without_reference.chosen_nll(plain, batch.chosen_tokens, mean_tokens=settings.mean_tokens)
    sides = batch.chosen, batch.rejected
    counts = batch.chosen_tokens, batch.rejected_tokens
    match name:
        case "sft":
            return nll
        case "simpo":
            return pairs_without_reference.simpo_loss(
                *sides, *counts, beta=beta, gamma=settings.gamma, label_smoothing=smoothing
            )
        case "cpo":
            preference = pairs_without_reference.cpo_loss(*sides, beta=beta, label_smoothing=smoothing)
            return preference + settings.cpo_alpha * nll
        case "orpo":
            return nll + pairs_without_reference.odds_ratio_loss(*sides, *counts, beta=beta)
        case _:
            raise ValueError(f"pair loss {name!r} is not known; choose from {', '.join(get_args(PairLossName))}")


def _sides(batch: PairLogprobs, settings: PairSettings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Policy and reference of both sides; the reference is 0 where there is to be none."""
    references = batch.reference_chosen, batch.reference_rejected
    if settings.reference_free:
        references = torch.zeros_like(batch.chosen), torch.zeros_like(batch.rejected)
    return batch.chosen, batch.rejected, *references


def _ratios(batch: PairLogprobs, settings: PairSettings) -> tuple[Tensor, Tensor]:
    chosen, rejected, reference_chosen, reference_rejected = _sides(batch, settings)
    return chosen - reference_chosen, rejected - reference_rejected


def _per_token(s: Tensor, t: Tensor, chosen_tokens: Tensor, rejected_tokens: Tensor) -> Tensor:
    return s / chosen_tokens.clamp(min=1) - t / rejected_tokens.clamp(min=1)


def _reward_ratios(batch: PairLogprobs, names: Sequence[str], settings: PairSettings) -> tuple[Tensor, Tensor]:
    """What beta is multiplied with to give the rewards that are logged, both sides [B]."""
    if not WITHOUT_REFERENCE.issuperset(names):
        return _ratios(batch, settings)
    if names[0] in ("simpo", "orpo"):
        return batch.chosen / batch.chosen_tokens.clamp(min=1), batch.rejected / batch.rejected_tokens.clamp(min=1)
    return batch.chosen, batch.rejected
