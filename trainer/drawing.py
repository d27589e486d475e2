"""How a token is drawn from logits: greedy, or by temperature and nucleus, with random numbers of the row's own.

Shapes: B rows, V vocabulary. Leaves out: where the logits come from (`trainer/decoding.py`).
"""

from collections.abc import Sequence

import torch


class NonFiniteLogits(ArithmeticError):
    """The model's output is not a number: its weights are broken."""


def uniforms(limits: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
    """(B, longest limit): each row's random numbers, all drawn before the first step from the row's own generator."""
    numbers = torch.zeros(len(limits), max(limits), dtype=torch.float32)
    for row, (limit, seed) in enumerate(zip(limits, seeds, strict=True)):
        generator = torch.Generator().manual_seed(seed % 2**64)
        numbers[row, :limit] = torch.rand(limit, generator=generator, dtype=torch.float32)
    return numbers


def draw(
    logits: torch.Tensor, *, temperature: torch.Tensor, top_p: torch.Tensor, uniform: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token per row, by inverting the cumulative distribution at the row's uniform number.

    logits (B, V) float32; temperature, top_p, uniform (B,), uniform in [0, 1). Returns the tokens (B,) and their
    log-probabilities at temperature 1 (B,). The distribution is walked in the order of the vocabulary, which rounding
    cannot change. Raises NonFiniteLogits.
    """
    total = logits.logsumexp(-1)
    if not torch.isfinite(total).all():
        raise NonFiniteLogits("The model's logits are not finite; the checkpoint is broken. Serve another one.")
    greedy = temperature == 0
    if greedy.all():
        tokens = logits.argmax(-1)
    else:
        above = logits - logits.amax(-1, keepdim=True)  # first, so that a low temperature cannot overflow
        probabilities = (above / torch.where(greedy, 1.0, temperature)[:, None]).softmax(-1)
        if (top_p < 1).any():
            probabilities = nucleus(probabilities, top_p)
        tokens = invert(probabilities, uniform)
        if greedy.any():
            tokens = torch.where(greedy, logits.argmax(-1), tokens)
    return tokens, logits.gather(-1, tokens[:, None]).squeeze(-1) - total


def nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero outside the smallest set of most likely tokens whose mass reaches top_p (Holtzman et al. 2020,
    arXiv 1904.09751, section 3.1). (B, V), (B,) -> (B, V), not normalised; a row with top_p 1 stays as it is."""
    descending = probabilities.sort(-1, descending=True).values
    before = descending.cumsum(-1) - descending  # the mass of all more likely tokens
    kept = (before < top_p[:, None]).sum(-1, keepdim=True)
    least = descending.gather(-1, kept - 1)
    inside = (probabilities >= least) | (top_p >= 1)[:, None]
    return torch.where(inside, probabilities, 0.0)


def invert(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The first token whose cumulative weight is above uniform times the whole. (B, V), (B,) -> (B,) int64.
    A token of weight 0 is never chosen."""
    cumulative = weights.cumsum(-1)
    whole = cumulative[:, -1:]
    # uniform * whole can round up to whole, which no token is above
    target = torch.minimum(uniform[:, None] * whole, torch.nextafter(whole, torch.zeros_like(whole)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)
