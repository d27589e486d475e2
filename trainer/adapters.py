"""Adapters on a model that is to be trained: a fresh LoRA, one that goes on, or none and all weights."""

from pathlib import Path
from typing import Any, Literal

from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from trainer.manifest import verify_manifest


def attach_adapter(model: PreTrainedModel, *, kind: Literal["lora", "full"], rank: int, alpha: int) -> Any:
    """`model` ready to train: a PeftModel with a fresh LoRA on all linear layers, or itself with gradients.

    No dropout in the adapter, so that the start equals the reference exactly. The adapter's initial weights are
    drawn from torch's global generator: seed it first.
    """
    if kind == "full":
        return model.requires_grad_(True)
    return get_peft_model(model, lora_settings(rank=rank, alpha=alpha))


def lora_settings(*, rank: int, alpha: int, task: TaskType = TaskType.CAUSAL_LM) -> LoraConfig:
    """LoRA on all linear layers but the head, without dropout."""
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", task_type=task)


def continue_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """`model`, which must be the adapter's base, with the adapter in `folder` on it, ready to train further."""
    verify_manifest(folder)
    return PeftModel.from_pretrained(model, str(folder), is_trainable=True)
