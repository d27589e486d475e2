"""Copying, built in before training: a first layer that looks at the token before, a second that finds the same token.

Left to emerge, copying took more than 2.6M tokens or never came (docs/starter-log.md); built in, repeats are copied
after 0.2M. It is only a start: every weight goes on learning. The circuit is the induction head of Olsson et al.,
"In-context Learning and Induction Heads", 2022, written into a Llama's rotary attention.

In layer 0 every head attends one position back: all embeddings share a direction, from which query and key take
vectors whose rotations agree at a distance of one. It writes the token before, turned by an orthogonal matrix.
In layer 1 the query is the token itself and the key the turned token before, in the slow frequencies, which distance
hardly rotates: so it attends to what followed the same token earlier, and writes that.
"""

import torch
from torch import Tensor

from trainer.starter.network import Parameters, Shape, rotations

SHARED = 0.28  # length of the embeddings' shared part: about that of their own part
BACK = 1.5  # length of the vectors that agree one position back
SAME = 2.2  # scale of query and key that compare tokens
FAST, SLOW_FROM = 4, 10  # frequencies that tell neighbours apart; the first that compares tokens
WRITE_BEFORE, WRITE_NEXT = 0.05, 0.1  # scales of what the two layers write


@torch.no_grad()
def build_in_copying(parameters: Parameters, shape: Shape, seed: int) -> None:
    """Overwrite the attention of layers 0 and 1 and add the shared part to the embeddings; needs two layers."""
    generator = torch.Generator().manual_seed(seed + 1)
    size, half = shape.width // shape.heads, shape.width // shape.heads // 2

    def orthogonal() -> Tensor:
        return torch.nn.init.orthogonal_(torch.empty(shape.width, shape.width), generator=generator)

    shared = torch.randn(shape.width, generator=generator)
    shared /= shared.norm()

    def without_shared(matrix: Tensor) -> Tensor:
        return matrix - torch.outer(matrix @ shared, shared)

    parameters["model.embed_tokens.weight"].add_(SHARED * shared)
    here = torch.zeros(size)
    here[: min(FAST, half)] = BACK / min(FAST, half) ** 0.5
    before = _one_back(here, shape)
    turn, reading = orthogonal(), orthogonal()
    _write(
        parameters,
        layer=0,
        q=torch.outer(here.repeat(shape.heads), shared),
        k=torch.outer(before.repeat(shape.heads), shared),
        v=without_shared(reading),
        o=WRITE_BEFORE * turn @ reading.T,
    )
    slow = torch.zeros(size)
    slow[min(SLOW_FROM, half - 1) : half] = slow[half + min(SLOW_FROM, half - 1) :] = 1.0
    compared = without_shared(orthogonal() * slow.repeat(shape.heads)[:, None])
    reading = orthogonal()
    _write(parameters, layer=1, q=SAME * compared, k=SAME * compared @ turn.T, v=reading, o=WRITE_NEXT * reading.T)


def _one_back(vector: Tensor, shape: Shape) -> Tensor:
    """The key whose product with the query `vector` is largest one position before it."""
    cos, sin = (table[1] for table in rotations(shape))
    left, right = vector.chunk(2)
    return vector * cos + torch.cat((-right, left)) * sin


def _write(parameters: Parameters, *, layer: int, q: Tensor, k: Tensor, v: Tensor, o: Tensor) -> None:
    for name, matrix in (("q", q), ("k", k), ("v", v), ("o", o)):
        parameters[f"model.layers.{layer}.self_attn.{name}_proj.weight"].copy_(matrix)
