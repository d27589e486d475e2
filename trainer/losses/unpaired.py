"""KTO: learning from single completions marked good or bad (Ethayarajh et al. 2024, equation 8).

    z0   = max(0, sg mean(L' - L'_ref)) over mismatched prompt-completion pairs
    good   w_D (1 - sigmoid(beta (u - z0)))        bad   w_U (1 - sigmoid(beta (z0 - u)))

with u = L - L_ref per example, in nats; the loss is the mean over all examples, good and bad together.
`apo_zero_unpaired` is the same with z0 = 0.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class UnpairedLoss(NamedTuple):
    """Per example, each [B]: the loss, and the implicit reward beta u without gradient."""

    losses: Tensor
    rewards: Tensor


def kto_loss(
    logprobs: Tensor,
    reference: Tensor,
    desirable: Tensor,
    *,
    beta: float,
    baseline: Tensor | float = 0.0,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> UnpairedLoss:
    """KTO on sequence log-probabilities [B] and labels [B] (true is good); `baseline` is z0, without gradient.

    0 as baseline gives `apo_zero_unpaired`. A batch of one class only is fine.
    """
    ratio = logprobs - reference
    good = desirable.bool()
    z0 = baseline.detach() if isinstance(baseline, Tensor) else baseline
    one = torch.ones_like(ratio)
    sign = torch.where(good, one, -one)
    weight = torch.where(good, desirable_weight * one, undesirable_weight * one)
    losses = weight * torch.sigmoid(-beta * sign * (ratio - z0))
    return UnpairedLoss(losses, beta * ratio.detach())


def kto_baseline(mismatched: Tensor, reference_mismatched: Tensor) -> Tensor:
    """z0, a scalar without gradient: the mean log-ratio [N] of mismatched pairs, at least 0.

    Over several processes, average the log-ratios of all before this clamp. It is a noisy estimate of the KL, biased
    upwards by the clamp.
    """
    return (mismatched - reference_mismatched).mean().clamp(min=0).detach()


def mismatched(prompts: Sequence[Hashable]) -> list[tuple[int, int]]:
    """(place of a prompt, place of a completion of another prompt), one for each place that has such a completion.

    TRL rotates completions by one inside the batch: neighbours that share a prompt, as the two sides of a pair do,
    are then no mismatch at all. Here equal prompts are put side by side and rotated past. Raises ValueError where all
    prompts are equal.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(place)
    if len(groups) < 2:
        raise ValueError(f"{len(prompts)} examples of one prompt cannot be mismatched; draw batches of several prompts")
    order = [place for group in groups.values() for place in group]
    shift = max(map(len, groups.values()))
    rotated = order[shift % len(order) :] + order[: shift % len(order)]
    return sorted((a, b) for a, b in zip(order, rotated, strict=True) if prompts[a] != prompts[b])


def balanced_weights(desirable: int, undesirable: int) -> tuple[float, float]:
    """(w_D, w_U) that bring w_D n_D / (w_U n_U) into [1, 4/3] by raising one weight above 1 (KTO, section 4.2).

    (1, 1) where it is there already or one class is empty.
    """
    if not desirable or not undesirable:
        return 1.0, 1.0
    ratio = desirable / undesirable
    if ratio < 1:
        return 1 / ratio, 1.0
    return 1.0, max(1.0, ratio / (4 / 3))
