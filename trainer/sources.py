"""Where weights come from, a folder or a hub id, and the digest that identifies them. Free of torch."""

import hashlib
from pathlib import Path

from trainer.manifest import file_digest, is_checkpoint, verify_manifest


def resolve_source(source: str | Path) -> Path:
    """The local folder of `source`; a hub id is fetched into the Hugging Face cache, or found there when offline.

    Raises FileNotFoundError naming the source where it is neither a folder nor an id that can be had.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not _is_hub_id(str(source)):
        raise FileNotFoundError(f"{source} is neither a folder nor a hub id such as 'owner/name'")
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_OFFLINE

    try:
        found = snapshot_download(
            str(source),
            allow_patterns=["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"],
            ignore_patterns=["*/*", "consolidated*"],
            local_files_only=HF_HUB_OFFLINE,
        )
    except Exception as error:
        reason = "it is not in the local cache and HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else str(error)
        raise FileNotFoundError(f"cannot get {source} from the hub: {reason}; give a folder instead") from error
    return Path(found)


def _is_hub_id(source: str) -> bool:
    parts = source.split("/")
    return len(parts) in (1, 2) and all(parts) and not source.startswith((".", "~"))


def source_digest(source: str | Path) -> str:
    """SHA-256 that identifies the weights at `source`: of a checkpoint's manifest, else over its weight files.

    Raises FileNotFoundError where a foreign folder has no safetensors, CorruptCheckpoint for a damaged checkpoint.
    """
    folder = resolve_source(source)
    if is_checkpoint(folder):
        return verify_manifest(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"{folder} has no *.safetensors file; convert its weights with save_pretrained")
    lines = [f"{file_digest(path)}  {path.name}\n" for path in weights]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
