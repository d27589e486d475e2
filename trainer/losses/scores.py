"""Losses of reward models, on the scores s of completions (Bradley and Terry 1952; Ouyang et al. 2022).

    pair       -lsig(s_w - s_l - margin) + c (s_w + s_l)^2
    tie        -lsig(s_w - s_l)/2 - lsig(s_l - s_w)/2
    best of K  -log softmax_k(s)[best]                          Ziegler et al. 2019, K = 4
    ranking    mean of the pair loss over a prompt's C(K,2) ordered pairs, InstructGPT's weighting
    tokens     mean over positions from the first that differs to the longer end, of -lsig(s_w,t - s_l,t)

Each gives the loss per pair or per prompt, [B]. Scores are taken to float32 at least: heads in bfloat16 lose small
margins. Turns of one dialogue are separate pairs with their own prefix; a turn is never scored with later ones in
view, which is the caller's to see to.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def pair_score_loss(
    chosen: Tensor,
    rejected: Tensor,
    *,
    margin: Tensor | None = None,
    tied: Tensor | None = None,
    centring: float = 0.0,
) -> Tensor:
    """Bradley-Terry loss per pair, [B], from both sides' scores [B].

    `margin` [B] is by how much the chosen should lead; OpenRLHF's LogExpLoss takes one and ignores it, this does not.
    `tied` [B] marks pairs without a winner: both sides count one half, without margin. `centring` c keeps scores near
    0, which the first term leaves open.
    """
    chosen, rejected = _float(chosen), _float(rejected)
    lead = chosen - rejected
    loss = -F.logsigmoid(lead if margin is None else lead - margin)
    if tied is not None:
        loss = torch.where(tied.bool(), -(F.logsigmoid(lead) + F.logsigmoid(-lead)) / 2, loss)
    return loss + centring * (chosen + rejected) ** 2


def best_of_k_loss(scores: Tensor, best: Tensor) -> Tensor:
    """-log softmax of the best of K completions per prompt: [B, K] and indices [B] to [B]. K = 2 is the pair loss."""
    return F.cross_entropy(_float(scores), best, reduction="none")


def ranking_loss(
    scores: Tensor,
    ranks: Tensor,
    *,
    present: Tensor | None = None,
    ties: Literal["skip", "half"] = "skip",
    margin: Tensor | None = None,
) -> Tensor:
    """Mean pair loss over the pairs of each prompt, [B], from scores and ranks [B, K]; rank 1 is best.

    All pairs of a prompt stand in one batch element, each prompt has the weight of one (InstructGPT, equation 1): as
    separate examples every completion would be seen K-1 times and be over-fitted in one epoch. Equal ranks are left
    out, or count one half each way. `margin` [B] is by how much the better of two should lead, not of a tie. `present`
    [B, K] is 0 where a prompt has fewer completions. A prompt without a usable pair has the loss 0.
    """
    here = torch.ones_like(ranks, dtype=torch.bool) if present is None else present.bool()
    scores = torch.where(here, _float(scores), 0.0)
    lead = scores.unsqueeze(2) - scores.unsqueeze(1)
    both = here.unsqueeze(2) & here.unsqueeze(1)
    better = (ranks.unsqueeze(2) < ranks.unsqueeze(1)) & both
    weight = better.to(scores.dtype)
    if margin is not None:
        lead = torch.where(better, lead - margin.view(-1, 1, 1), lead)
    if ties == "half":
        equal = (ranks.unsqueeze(2) == ranks.unsqueeze(1)) & both
        weight = weight + 0.5 * (equal & ~torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device))
    return (-F.logsigmoid(lead) * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1)


def diverging_token_loss(
    chosen: Tensor, rejected: Tensor, chosen_ids: Tensor, rejected_ids: Tensor, chosen_end: Tensor, rejected_end: Tensor
) -> Tensor:
    """Pair loss at every position from the first differing token on, mean per pair, [B].

    Scores and ids are [B, S] padded on the right, ends are lengths [B]. From its own end on a text keeps the score of
    its last token: LLaMA-Factory (until July 2024) compares the shorter text, and reads its score, on padding. 0 for
    two equal texts, which LLaMA-Factory compares at their last token.
    """
    chosen, rejected = _float(chosen), _float(rejected)
    place = torch.arange(chosen.shape[1], device=chosen.device).expand_as(chosen)
    last = torch.maximum(chosen_end, rejected_end).unsqueeze(-1)
    inside_both = place < torch.minimum(chosen_end, rejected_end).unsqueeze(-1)
    differs = ((chosen_ids != rejected_ids) | ~inside_both) & (place < last)
    compared = (differs.cumsum(dim=-1) > 0) & (place < last)
    held = [
        side.gather(-1, torch.minimum(place, (end - 1).unsqueeze(-1)))
        for side, end in ((chosen, chosen_end), (rejected, rejected_end))
    ]
    losses = torch.where(compared, -F.logsigmoid(held[0] - held[1]), 0.0)
    return losses.sum(dim=-1) / compared.sum(dim=-1).clamp(min=1)


def pair_accuracy(chosen: Tensor, rejected: Tensor) -> float:
    """Share of pairs [B] whose chosen scores strictly higher; an equal score is an error."""
    return float((chosen > rejected).double().mean())


def _float(scores: Tensor) -> Tensor:
    return scores if scores.dtype == torch.float64 else scores.float()
