"""Muon for the matrices, AdamW for the embedding and the norms.

Muon (Jordan, 2024): the momentum of a matrix is replaced by its nearest orthogonal matrix, found with five steps of a
quintic Newton-Schulz iteration; matrices of one shape are treated together.
"""

from collections import defaultdict

import torch
from torch import Tensor

from trainer.starter.network import Parameters

DECAY = 0.01
COMPARING_DECAY = 0.1  # of query and key: keeps attention from saturating


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """(N, rows, columns) to about the nearest orthogonal ones, in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16()
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon:
    """Momentum .95 with Nesterov's look-ahead; state is one momentum per matrix."""

    def __init__(self, parameters: Parameters, momentum: float = 0.95) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.by_shape: dict[torch.Size, list[str]] = defaultdict(list)
        for name, p in parameters.items():
            self.by_shape[p.shape].append(name)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update with the gradients as they are."""
        for shape, names in self.by_shape.items():
            updates = []
            for name in names:
                gradient = self.parameters[name].grad
                assert gradient is not None, name
                velocity = self.velocity[name].mul_(self.momentum).add_(gradient)
                updates.append(gradient + self.momentum * velocity)
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for name, update in zip(names, orthogonalise(torch.stack(updates)).float(), strict=True):
                decay = COMPARING_DECAY if "q_proj" in name or "k_proj" in name else DECAY
                self.parameters[name].mul_(1 - rate * decay).add_(update, alpha=-rate * scale)

    def state_dict(self) -> dict[str, Tensor]:
        """The momenta by parameter name."""
        return self.velocity

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the momenta of `state_dict`."""
        for name, velocity in state.items():
            self.velocity[name].copy_(velocity)


def split_parameters(parameters: Parameters) -> tuple[Parameters, list[torch.nn.Parameter]]:
    """(matrices for Muon, the rest for AdamW)."""
    matrices = {name: p for name, p in parameters.items() if p.ndim == 2 and "embed" not in name}
    return matrices, [p for name, p in parameters.items() if name not in matrices]
