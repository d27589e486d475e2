"""Takes a trained model over into a network with more layers and more tokens, without changing what it says.

A new layer goes on top and writes nothing into the residual stream at first (Chen, Goodfellow and Shlens, "Net2Net",
2016): it can read what the trained layers made of every earlier token. A new token begins as the mean of its parts.
"""

import json
from collections.abc import Mapping

import torch
from tokenizers import Tokenizer
from torch import Tensor

from trainer.starter.network import Parameters

EMBEDDINGS = "model.embed_tokens.weight"
WRITES = ("o_proj.weight", "down_proj.weight")


@torch.no_grad()
def take_over(parameters: Parameters, given: Mapping[str, Tensor], tokenizer: Tokenizer) -> None:
    """Copy the weights `given` into `parameters`; `tokenizer` is the larger one, with the ids of the one before.

    Raises ValueError, naming the parameter, where a layer of another width is given, or more layers than there are.
    """
    given = {**given, EMBEDDINGS: _with_new_tokens(given[EMBEDDINGS].float(), tokenizer)}
    depth = sum(name.endswith("input_layernorm.weight") for name in given)
    known = {name for name in parameters if not _is_above(name, depth)}
    wrong = {name for name in known | set(given) if _shape(given, name) != _shape(parameters, name)}
    if wrong:
        raise ValueError(f"the weights' {min(wrong)} does not fit this network.")
    for name, p in parameters.items():
        if name in known:
            p.copy_(given[name].float())
        elif name.endswith(WRITES):
            p.zero_()


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _is_above(name: str, depth: int) -> bool:
    parts = name.split(".")
    return parts[1] == "layers" and int(parts[2]) >= depth


def _with_new_tokens(rows: Tensor, tokenizer: Tokenizer) -> Tensor:
    """The embeddings with one row more for every token that has none: the mean of the two it is merged from."""
    ids = tokenizer.get_vocab()
    every = list(rows)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    for left, right in merges:
        if ids[left + right] == len(every):
            every.append((every[ids[left]] + every[ids[right]]) / 2)
    return torch.stack(every)
