"""Adapters on a model that is to be trained: LoRA and its kind, bottlenecks, or none and all weights."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from trainer.base_config import AdapterName, AlgorithmConfig
from trainer.bottleneck import (
    BottleneckSettings,
    adapted_mlps,
    attach_bottleneck,
    bottleneck_off,
    is_bottleneck,
    load_bottleneck,
)
from trainer.manifest import is_checkpoint, read_manifest, refuse_pickled_adapter, verify_manifest
from trainer.sources import resolve_source


def attach_adapter(
    model: PreTrainedModel, *, kind: AdapterName, rank: int, alpha: int, bottleneck: BottleneckSettings | None = None
) -> Any:
    """`model` ready to train: with a fresh adapter on all layers, else frozen, or itself with gradients.

    No dropout in the adapter, so that the start equals the reference exactly. The adapter's initial weights are
    drawn from torch's global generator: seed it first.
    """
    if kind == "full":
        return model.requires_grad_(True)
    if kind == "bottleneck":
        return attach_bottleneck(model, bottleneck or BottleneckSettings())
    return get_peft_model(model, lora_settings(rank=rank, alpha=alpha, kind=kind))


def lora_settings(
    *, rank: int, alpha: int, kind: AdapterName = "lora", task: TaskType = TaskType.CAUSAL_LM
) -> LoraConfig:
    """LoRA on all linear layers but the head, without dropout.

    dora trains the lengths of the weights' columns apart from their direction (Liu et al. 2024); rslora scales by
    alpha / sqrt(rank) in place of alpha / rank (Kalajdzievski 2023).
    """
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type=task,
        use_dora=kind == "dora",
        use_rslora=kind == "rslora",
    )


def bottleneck_settings(config: AlgorithmConfig) -> BottleneckSettings:
    """The bottleneck that the config asks for."""
    return BottleneckSettings(config.bottleneck_size, config.bottleneck_activation, config.bottleneck_placement)


def changes_start(config: AlgorithmConfig) -> bool:
    """Whether even a fresh adapter gives another model than its base."""
    return config.adapter == "bottleneck" and config.bottleneck_placement == "instead"


def continue_adapter(model: PreTrainedModel, folder: Path, *, kind: AdapterName) -> Any:
    """`model`, which must be the adapter's base, with the adapter in `folder` on it, ready to train further.

    Raises ValueError where `folder` holds another kind than the run asks for: adapters never stack.
    """
    verify_manifest(folder)
    found = adapter_kind(folder)
    if found != kind:
        raise ValueError(
            f"the run starts from {folder.name}, whose adapter is {found}, and asks for {kind}; adapters never stack, "
            f"so set adapter to {found}, or start_from to initial"
        )
    if found == "bottleneck":
        return load_bottleneck(model, folder)
    refuse_pickled_adapter(folder)
    return PeftModel.from_pretrained(model, str(folder), is_trainable=True)


def adapter_kind(folder: Path) -> AdapterName:
    """What kind of adapter the checkpoint in `folder` holds."""
    if is_bottleneck(folder):
        return "bottleneck"
    settings = json.loads((folder / "adapter_config.json").read_text())
    return "dora" if settings.get("use_dora") else "rslora" if settings.get("use_rslora") else "lora"


def refuse_unmergeable(source: str | Path) -> None:
    """Raises ValueError where the checkpoint at `source` cannot become one whole model."""
    folder = resolve_source(source)
    if is_checkpoint(folder) and read_manifest(folder).kind == "adapter" and is_bottleneck(folder):
        raise ValueError(
            f"{folder.name} is a bottleneck adapter, a network of its own that cannot be merged into a whole model; "
            "set start_from to initial, or train that adapter further with adapter set to bottleneck"
        )


def merged(model: Any) -> Any:
    """A trained model as one whole: a LoRA's update added to its base's weights; full weights as they are."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def adapter_off(model: Any) -> AbstractContextManager[None]:
    """The base under the adapter for a while; raises ValueError where no adapter can be switched off."""
    if isinstance(model, PeftModel):
        return model.disable_adapter()  # type: ignore[no-any-return]
    if adapted_mlps(model):
        return bottleneck_off(model)
    raise ValueError("this model has no adapter to switch off, so its base cannot be the reference")


def parameter_counts(model: Any) -> dict[str, float]:
    """How many numbers are trained and how many there are in all, as metrics."""
    sizes = [(one.numel(), one.requires_grad) for one in model.parameters()]
    trained = sum(size for size, trains in sizes if trains)
    return {"parameters/trainable": float(trained), "parameters/all": float(sum(size for size, _ in sizes))}


def counts_sentence(counts: Mapping[str, float]) -> str:
    """The counts in words."""
    trained, total = counts["parameters/trainable"], counts["parameters/all"]
    return f"{trained:,.0f} of {total:,.0f} parameters are trained ({trained / total:.2%})"
