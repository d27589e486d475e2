"""Which scored completions offline reinforcement learning sees: drawing in proportion to their advantage.

    w_i = max(A_i, 0)          p_i = w_i / sum w          A = R - V_ref, one per completion

`good_priority` draws by p from the preferred completions: the advantage then acts twice, in the draw and in the loss.
`good_random` draws evenly among those with A > 0. `all_priority` is good_priority over preferred and rejected
together. `uniform` is shuffled epochs over everything. Baheti et al. 2023; their sampler is compiled, ignores the
seed, and its check against duplicates in a batch has no effect. Here a generator is given, and a run's whole order is
drawn at once, so that resuming is counting.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Strategy = Literal["good_priority", "good_random", "all_priority", "uniform"]


@dataclass(frozen=True)
class Draws:
    """What can be drawn: places in the data [M], in order, and their probabilities [M], float64, which sum to 1.

    `share` is M over the number of preferred completions: steps are scaled by it (`scaled_steps`).
    """

    places: Tensor
    probabilities: Tensor
    share: float


class NothingBetter(ValueError):
    """No completion is worth more than the reference's own: nothing is left to learn."""


def draws(strategy: Strategy, preferred: Tensor, rejected: Tensor | None = None) -> Draws:
    """The distribution of a strategy over the advantages of the preferred completions [N] and the rejected [N'].

    Places count the preferred first, then the rejected. `all_priority` needs the rejected, `uniform` takes them
    where they are given, the other two leave them out. Raises ValueError where no completion has an advantage
    above 0: there is nothing to learn from.
    """
    if strategy == "all_priority" and rejected is None:
        raise ValueError("all_priority draws from the rejected completions too; their advantages are not given")
    both = rejected is not None and strategy in ("all_priority", "uniform")
    advantages = torch.cat([preferred, rejected]) if both and rejected is not None else preferred
    if strategy == "uniform":
        weights = torch.ones(len(advantages), dtype=torch.float64)
    else:
        weights = advantages.double().clamp(min=0)
        if strategy == "good_random":
            weights = (weights > 0).double()
    places = weights.nonzero().squeeze(-1)
    if not len(places):
        raise NothingBetter(
            f"none of {len(advantages)} completions has an advantage above 0; the reference is as good as the data, "
            "so score better completions or train without a value"
        )
    kept = weights[places]
    return Draws(places, kept / kept.sum(), len(places) / len(preferred))


def pick(distribution: Draws, uniforms: Tensor) -> Tensor:
    """Places for numbers in [0, 1), same shape: the inverse of the cumulative distribution, bounds to the right."""
    index = torch.searchsorted(distribution.probabilities.cumsum(dim=0), uniforms.double(), right=True)
    return distribution.places[index.clamp(max=len(distribution.places) - 1)]


def draw(distribution: Draws, count: int, generator: torch.Generator, *, distinct: int = 1) -> Tensor:
    """`count` places [count], independent and with replacement.

    With `distinct` above 1, each run of that many places (a batch) has no place twice: each is drawn from those that
    the batch does not have yet. Raises ValueError for a batch larger than the number of places.
    """
    if distinct > len(distribution.places):
        raise ValueError(f"a batch of {distinct} distinct completions cannot be drawn from {len(distribution.places)}")
    uniforms = torch.rand(count, dtype=torch.float64, generator=generator)
    if distinct <= 1:
        return pick(distribution, uniforms)
    found = torch.empty(count, dtype=torch.long)
    for step, uniform in enumerate(uniforms.tolist()):
        if step % distinct == 0:
            left = distribution.probabilities.clone()
        cumulative = left.cumsum(dim=0)
        index = int(torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(max=len(left) - 1))
        while left[index] == 0:  # rounding can land on a place that is gone
            index -= 1
        found[step] = distribution.places[index]
        left[index] = 0
    return found


def shuffled_epochs(size: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` places of `size`, [count]: whole permutations one after the other, the last one cut."""
    if size < 1:
        raise ValueError("there is nothing to shuffle: the data are empty")
    epochs = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
    return torch.cat(epochs)[:count] if epochs else torch.empty(0, dtype=torch.long)


def order(
    strategy: Strategy, distribution: Draws, count: int, generator: torch.Generator, *, distinct: int = 1
) -> Tensor:
    """The places of a whole run, [count]: shuffled epochs for `uniform`, draws for the rest."""
    if strategy == "uniform":
        return distribution.places[shuffled_epochs(len(distribution.places), count, generator)]
    return draw(distribution, count, generator, distinct=distinct)


def scaled_steps(steps: int, distribution: Draws, preferred: int) -> int:
    """Steps times the places that are left over the number of preferred completions, rounded down, at least 1.

    In whole numbers; LoL-RL multiplies in floating point and can lose a step. Above `steps` where the rejected are
    drawn too.
    """
    return max(1, steps * len(distribution.places) // preferred)
