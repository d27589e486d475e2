"""Bottleneck adapters: a small network beside every frozen MLP, in place of updates to its weights.

Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP": with h the hidden state,

    adapter(h) = h + up(activation(down(h)))        up starts at 0, so that adapter(h) = h at first

placed `in` the block, on what the MLP gives, or `instead` of it, on what it is given. In the first place a fresh
adapter changes nothing; in the second the MLP is left out of the pass, so the start is not the base and has much to
relearn. It is a network of its own and cannot be merged into the base's weights. Switched off, the model is its base.
Leaves out LoRA and its kind, and the choice between them (`trainer/adapters.py`).

Shapes: B rows, T tokens, D the hidden size.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SETTINGS, WEIGHTS = "bottleneck.json", "bottleneck.safetensors"
MLP = re.compile(r"\.\d+\.mlp$")  # of a decoder layer, as almost all families name it

Placement = Literal["in", "instead"]
Activation = Literal["relu", "gelu", "silu"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
}


@dataclass(frozen=True)
class BottleneckSettings:
    """The width of the bottleneck, what is between its two layers, and where it stands."""

    size: int = 32
    activation: Activation = "gelu"
    placement: Placement = "in"


class Bottleneck(nn.Module):
    """[B, T, D] to [B, T, D]; float32 whatever the model is in."""

    def __init__(self, width: int, settings: BottleneckSettings) -> None:
        super().__init__()
        self.down = nn.Linear(width, settings.size, dtype=torch.float32)
        self.up = nn.Linear(settings.size, width, dtype=torch.float32)
        self.activation = ACTIVATIONS[settings.activation]
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = self.activation(self.down(hidden.to(self.down.weight.dtype)))
        return hidden + self.up(inner).to(hidden.dtype)


class AdaptedMLP(nn.Module):
    """An MLP of the base with its bottleneck; with `off` it is the MLP alone."""

    def __init__(self, mlp: nn.Module, width: int, settings: BottleneckSettings) -> None:
        super().__init__()
        self.mlp = mlp
        self.bottleneck = Bottleneck(width, settings)
        self.settings = settings
        self.off = False

    def forward(self, hidden: Tensor) -> Tensor:
        if self.off:
            return self.mlp(hidden)
        return self.bottleneck(hidden if self.settings.placement == "instead" else self.mlp(hidden))


def attach_bottleneck(model: Any, settings: BottleneckSettings) -> Any:
    """`model` itself, frozen but for a fresh bottleneck at every MLP. Draws from torch's global generator.

    Raises ValueError for a model without MLPs that take and give hidden states and nothing else.
    """
    model.requires_grad_(False)
    places = [name for name, _ in model.named_modules() if MLP.search(name)]
    if not places:
        raise ValueError(
            f"a bottleneck stands at the MLP of every layer, and {type(model).__name__} has none by that name; "
            "choose the adapter lora"
        )
    for name in places:
        mlp = model.get_submodule(name)
        if len(inspect.signature(mlp.forward).parameters) != 1 or hasattr(mlp, "experts"):
            raise ValueError(
                f"a bottleneck cannot stand at {type(mlp).__name__} of {type(model).__name__}, which is no plain MLP; "
                "choose the adapter lora"
            )
        layer, _, last = name.rpartition(".")
        adapted = AdaptedMLP(mlp, int(model.config.hidden_size), settings)
        adapted.bottleneck.to(model.device)
        setattr(model.get_submodule(layer), last, adapted)
    return model


def adapted_mlps(model: Any) -> list[AdaptedMLP]:
    """Every MLP of the model that has a bottleneck; none in a model without."""
    return [module for module in model.modules() if isinstance(module, AdaptedMLP)]


@contextmanager
def bottleneck_off(model: Any) -> Iterator[None]:
    """The base alone, for a while."""
    adapted = adapted_mlps(model)
    for one in adapted:
        one.off = True
    try:
        yield
    finally:
        for one in adapted:
            one.off = False


def save_bottleneck(model: Any, folder: Path) -> None:
    """Write the settings and the weights of the model's bottlenecks, and nothing of its base."""
    settings = asdict(adapted_mlps(model)[0].settings)
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items() if _ours(name)}
    save_file(weights, folder / WEIGHTS)


def load_bottleneck(model: Any, folder: Path) -> Any:
    """`model` itself, the base, with the bottlenecks that `folder` holds. Raises ValueError where they do not fit."""
    attach_bottleneck(model, BottleneckSettings(**json.loads((folder / SETTINGS).read_text())))
    weights = load_file(folder / WEIGHTS, device=str(model.device))
    wanted = {name for name in model.state_dict() if _ours(name)}
    if wanted != weights.keys():
        raise ValueError(f"{folder / WEIGHTS} has {len(weights)} tensors, and this model needs {len(wanted)} others")
    model.load_state_dict(weights, strict=False)
    return model


def is_bottleneck(folder: Path) -> bool:
    """Whether the adapter checkpoint in `folder` holds bottlenecks."""
    return (folder / SETTINGS).is_file()


def _ours(name: str) -> bool:
    return ".bottleneck." in name
