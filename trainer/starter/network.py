"""The starter's network: a Llama, written out so that one CPU thread trains it fast.

Parameters carry the names of `LlamaForCausalLM`, so that saving them is exporting them. Attention is written out
(product, float32 softmax, product): in bfloat16 on a CPU that is faster than the fused kernel's backward pass.
Shapes: B rows, T tokens, D width, H heads, V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.starter.tokenizer import MAX_POSITIONS, VOCABULARY

EPSILON = 1e-6
ROPE_THETA = 10_000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the network; the vocabulary is that of the tokenizer it is trained with."""

    width: int = 192
    layers: int = 6
    heads: int = 4
    hidden: int = 512
    vocabulary: int = VOCABULARY
    positions: int = MAX_POSITIONS


Parameters = dict[str, torch.nn.Parameter]


def create_parameters(shape: Shape, seed: int) -> Parameters:
    """Freshly drawn parameters in float32; outputs into the residual stream start smaller."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(rows: int, columns: int, scale: float) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.randn(rows, columns, generator=generator) * scale)

    d, out_scale = shape.width, 0.02 / (2 * shape.layers) ** 0.5
    parameters: Parameters = {"model.embed_tokens.weight": drawn(shape.vocabulary, d, 0.02)}
    for layer in range(shape.layers):
        at = f"model.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj"):
            parameters[f"{at}self_attn.{name}.weight"] = drawn(d, d, 0.02)
        parameters[f"{at}self_attn.o_proj.weight"] = drawn(d, d, out_scale)
        parameters[f"{at}mlp.gate_proj.weight"] = drawn(shape.hidden, d, 0.02)
        parameters[f"{at}mlp.up_proj.weight"] = drawn(shape.hidden, d, 0.02)
        parameters[f"{at}mlp.down_proj.weight"] = drawn(d, shape.hidden, out_scale)
        for name in ("input_layernorm", "post_attention_layernorm"):
            parameters[f"{at}{name}.weight"] = torch.nn.Parameter(torch.ones(d))
    parameters["model.norm.weight"] = torch.nn.Parameter(torch.ones(d))
    return parameters


def rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position, each (positions, D/H)."""
    size = shape.width // shape.heads
    frequencies = 1.0 / ROPE_THETA ** (torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.outer(torch.arange(shape.positions, dtype=torch.float32), frequencies)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions for x (B, H, T, D/H), as Llama pairs the halves."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def forward(
    parameters: Parameters,
    shape: Shape,
    ids: Tensor,
    positions: Tensor,
    documents: Tensor,
    cos: Tensor,
    sin: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """Logits (B, T, V) in float32.

    ids, positions, documents are (B, T): a token sees earlier tokens of its own document only, so rows can be packed.
    Products run in `dtype`; the residual stream, norms and softmax in float32.
    """
    rows, tokens = ids.shape
    heads, size = shape.heads, shape.width // shape.heads
    cos, sin = cos[positions].unsqueeze(1), sin[positions].unsqueeze(1)  # (B, 1, T, D/H)
    seen = (documents.unsqueeze(2) == documents.unsqueeze(1)) & torch.ones(tokens, tokens, dtype=torch.bool).tril()
    bias = torch.zeros(seen.shape).masked_fill(~seen, -1e9).unsqueeze(1)  # (B, 1, T, T)

    def product(x: Tensor, name: str) -> Tensor:
        return F.linear(x.to(dtype), parameters[name].to(dtype))

    x = F.embedding(ids, parameters["model.embed_tokens.weight"])
    for layer in range(shape.layers):
        at = f"model.layers.{layer}."
        h = _norm(x, parameters[f"{at}input_layernorm.weight"])
        q, k, v = (
            product(h, f"{at}self_attn.{name}_proj.weight").view(rows, tokens, heads, size).transpose(1, 2)
            for name in "qkv"
        )
        q = (_rotate(q.float(), cos, sin) * size**-0.5).to(dtype)
        k = _rotate(k.float(), cos, sin).to(dtype)
        scores = (q @ k.transpose(-1, -2)).float() + bias
        mixed = (torch.softmax(scores, dim=-1).to(dtype) @ v).transpose(1, 2).reshape(rows, tokens, shape.width)
        x = x + product(mixed, f"{at}self_attn.o_proj.weight").float()
        h = _norm(x, parameters[f"{at}post_attention_layernorm.weight"])
        gate = F.silu(product(h, f"{at}mlp.gate_proj.weight").float())
        x = x + product(gate * product(h, f"{at}mlp.up_proj.weight").float(), f"{at}mlp.down_proj.weight").float()
    x = _norm(x, parameters["model.norm.weight"])
    return F.linear(x.to(dtype), parameters["model.embed_tokens.weight"].to(dtype)).float()


def weighted_loss(logits: Tensor, targets: Tensor, weights: Tensor, marked: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats, averaged with one weight per target; logits (B, T, V), the others (B, T).

    Second, without gradient: the plain mean over the targets whose weight is `marked`, NaN if there are none.
    """
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    flat = weights.flatten()
    chosen = (flat == marked).float()
    return (each * flat).sum() / flat.sum().clamp(min=1.0), (each.detach() * chosen).sum() / chosen.sum()
