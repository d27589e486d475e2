"""Models and tokenizers on disk: load a policy or a reward model, write a checkpoint folder.

A checkpoint folder is one of three kinds, told by its manifest.json: `adapter` (PEFT files or a bottleneck, and the
tokenizer, with a reference to the base they belong to), `full` (a causal language model) and `reward_model` (a sequence
classifier with one score). A folder appears under its name only when complete: it is written beside it, its
manifest last, synced, then renamed. Weights are safetensors only; nothing here unpickles, and no code that
comes with a model is run. Leaves out: where weights come from (`trainer/sources.py`), verifying a folder
(`trainer/manifest.py`), adapters in training (`trainer/adapters.py`), and which checkpoint is served.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from trainer.bottleneck import adapted_mlps, is_bottleneck, load_bottleneck, save_bottleneck
from trainer.manifest import (
    MANIFEST,
    Kind,
    Manifest,
    base_of,
    check_base,
    file_digest,
    is_checkpoint,
    read_manifest,
    refuse_pickled_adapter,
    verify_manifest,
)
from trainer.sources import resolve_source, source_digest

# a marker that somebody typed is no turn: a space before its name keeps it apart from the template's own
_PLAIN = "| trim | replace('\\n\\nHuman:', '\\n\\n Human:') | replace('\\n\\nAssistant:', '\\n\\n Assistant:')"
PLAIN_TEMPLATE = (
    "{%- if bos_token %}{{ bos_token }}{% endif -%}"
    "{%- for message in messages -%}"
    f"{{%- set text = message['content'] {_PLAIN} -%}}"
    "{%- if message['role'] == 'system' -%}{{ text }}"
    "{%- elif message['role'] == 'assistant' -%}{{ '\\n\\nAssistant:' }}"
    "{% generation %}{{ ' ' + text }}{{ eos_token }}{% endgeneration %}"
    "{%- else -%}{{ '\\n\\nHuman: ' + text }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '\\n\\nAssistant:' }}{%- endif -%}"
)
PLAIN_STOP = ("\n\nHuman:",)
# said, not left out: unasked, transformers asks at a terminal whether a model's own code may run
SAFELY: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Policy:
    """A causal language model in eval mode, its tokenizer, and the digest of the weights it was read from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


@dataclass(frozen=True)
class RewardModel:
    """A sequence classifier with one score, in eval mode, its tokenizer, and the digest of its folder."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


# ---------------------------------------------------------------------------------------------- loading


def load_policy(
    source: str | Path,
    *,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    base: str | Path | None = None,
) -> Policy:
    """The policy at `source`: one of our checkpoint folders, any causal-LM folder, or a hub id.

    An adapter is merged onto its base; a bottleneck, which cannot be, stands in it. The base is the checkpoint beside
    it, where the manifest names one, else `base` where given (the initial model may lie elsewhere by now), else what
    is recorded; it must have the digest that the adapter was trained on. Float32 on a CPU and bfloat16 on CUDA,
    unless `dtype` is given.
    Raises CorruptCheckpoint where a file is not what the manifest says, FileNotFoundError where there is none.
    """
    folder = resolve_source(source)
    manifest = read_manifest(folder) if is_checkpoint(folder) else None
    if manifest is not None and manifest.kind == "reward_model":
        raise ValueError(f"{folder} holds a reward model, not a policy; open it with load_reward_model")
    if manifest is not None and manifest.kind == "adapter":
        return _load_adapted(folder, manifest, device=device, dtype=dtype, base=base)
    digest = source_digest(folder)
    target = pick_device(device)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype or default_dtype(target), **SAFELY)
    return Policy(model.to(target).eval(), load_tokenizer(folder), digest)


def _load_adapted(
    folder: Path,
    manifest: Manifest,
    *,
    device: str,
    dtype: torch.dtype | None,
    base: str | Path | None,
) -> Policy:
    digest = verify_manifest(folder)
    under = load_policy(base_of(folder, elsewhere=base), device=device, dtype=dtype)
    check_base(folder, manifest, under.digest)
    if is_bottleneck(folder):
        return Policy(load_bottleneck(under.model, folder).eval(), load_tokenizer(folder), digest)
    refuse_pickled_adapter(folder)
    merged: Any = PeftModel.from_pretrained(under.model, str(folder)).merge_and_unload()
    return Policy(merged.eval(), load_tokenizer(folder), digest)


def in_memory(policy: Policy) -> Policy:
    """The same policy with nothing mapped from its files: one truncated or written over later would end the process
    (SIGBUS) or change the weights. The processes of runs do without: it takes a second time the memory for a moment."""
    model: Any = policy.model
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()
    return policy


def load_reward_model(folder: str | Path, *, device: str = "auto") -> RewardModel:
    """The reward model in one of our checkpoint folders, float32, eval mode. Raises CorruptCheckpoint."""
    path = Path(folder)
    manifest = read_manifest(path)
    if manifest.kind != "reward_model":
        raise ValueError(f"{path} holds a checkpoint of kind {manifest.kind!r}; a reward model is needed")
    digest = verify_manifest(path)
    model: Any = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, **SAFELY)
    return RewardModel(model.to(pick_device(device)).eval(), load_tokenizer(path), digest)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer at `source`, padding on the left, with a pad token and a chat template.

    A tokenizer without a template gets the plain "Human: ... Assistant:" one, whose turns end at `PLAIN_STOP`.
    """
    folder = resolve_source(source)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ValueError(f"the tokenizer of {source} has no end-of-text token; set eos_token in its config")
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def pick_device(device: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and "LOCAL_RANK" in os.environ:  # one of several processes: each has a device of its own
            device = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(device)


def default_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


# ---------------------------------------------------------------------------------------------- writing


def save_checkpoint(
    folder: Path,
    *,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    kind: Kind,
    base: str | None = None,
    base_digest: str | None = None,
) -> str:
    """Write the checkpoint `folder` and return its digest; the folder appears complete or not at all.

    An `adapter` takes a PeftModel, or a model with bottlenecks, and needs `base` and `base_digest`. A base that is a
    checkpoint beside the folder is recorded by its name, so that both can be moved together. Raises FileExistsError
    where the folder is there already: a checkpoint is never changed.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists and checkpoints are never overwritten; choose another name")
    if kind == "adapter" and (base is None or base_digest is None):
        raise ValueError("an adapter checkpoint needs base and base_digest: without its base it cannot be loaded")
    partial = folder.with_name(folder.name + ".tmp")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        if kind == "adapter" and adapted_mlps(model):
            save_bottleneck(model, partial)
        else:
            if kind == "adapter":
                model.peft_config["default"].base_model_name_or_path = base
            model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        _seal(partial, kind, None if base is None else _portable(base, folder), base_digest)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # on a full disk half a checkpoint would keep it full
        raise
    partial.replace(folder)
    _sync(folder.parent)
    return file_digest(folder / MANIFEST)


def _seal(partial: Path, kind: Kind, base: str | None, base_digest: str | None) -> None:
    """Write the manifest of what is in the folder, and all of it to the disk."""
    (partial / "README.md").unlink(missing_ok=True)  # PEFT's model card template, filled with blanks
    manifest = Manifest(
        format=1,
        kind=kind,
        base=base,
        base_digest=base_digest,
        files={path.relative_to(partial).as_posix(): file_digest(path) for path in _files(partial)},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n")
    for path in [*_files(partial), partial / MANIFEST, partial]:
        _sync(path)


def _portable(base: str, folder: Path) -> str:
    path = Path(base)
    return f"../{path.name}" if path.is_dir() and path.resolve().parent == folder.resolve().parent else base


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
