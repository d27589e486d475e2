"""manifest.json: what a checkpoint folder holds, and whether it still does.

The manifest lists every other file with its SHA-256, and for an adapter the base it belongs to; its own
SHA-256 is the checkpoint's digest. Free of torch. Leaves out loading and writing weights (`trainer/policy.py`).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

Kind = Literal["adapter", "full", "reward_model"]

MANIFEST = "manifest.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class CorruptCheckpoint(ValueError):
    """A checkpoint folder is not what its manifest says; the message names the file and the remedy."""


@dataclass(frozen=True)
class Manifest:
    """What manifest.json holds; `files` maps a relative name to the SHA-256 of its content."""

    format: int
    kind: Kind
    base: str | None
    base_digest: str | None
    files: dict[str, str]
    created_at: str


def is_checkpoint(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest. Raises CorruptCheckpoint where it is missing, unreadable, or of another format."""
    path = Path(folder) / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text()))
    except FileNotFoundError:
        corrupt(path, "is missing")
    except (ValueError, TypeError) as error:
        corrupt(path, f"cannot be read ({error})")
    if manifest.format != 1:
        corrupt(path, f"has format {manifest.format}, and this version reads format 1")
    return manifest


def verify_manifest(folder: Path) -> str:
    """The digest of a folder whose files are all as its manifest says.

    Raises CorruptCheckpoint naming the first file that is missing or whose SHA-256 differs.
    """
    for name, expected in read_manifest(folder).files.items():
        path = Path(folder) / name
        if not path.is_file():
            corrupt(path, "is missing")
        found = file_digest(path)
        if found != expected:
            corrupt(path, f"has SHA-256 {found[:12]}… and the manifest says {expected[:12]}…")
    return file_digest(Path(folder) / MANIFEST)


def refuse_pickled_adapter(folder: Path) -> None:
    """Raises CorruptCheckpoint where an adapter has no safetensors: PEFT would then unpickle what else is there."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        corrupt(folder / ADAPTER_WEIGHTS, "is missing, and no other kind of weights is read")


def base_of(folder: Path, *, elsewhere: str | Path | None = None) -> str:
    """The source of the base an adapter folder belongs to: a checkpoint beside it, or the source recorded.

    A recorded source may have moved; where it is now is told by `elsewhere`. Raises CorruptCheckpoint where none is
    recorded.
    """
    base = read_manifest(folder).base
    if base is None:
        corrupt(folder / MANIFEST, "records no base")
    if base.startswith("../"):
        return str(Path(folder).resolve().parent / base.removeprefix("../"))
    return str(elsewhere or base)


def check_base(folder: Path, manifest: Manifest, digest: str) -> None:
    """Raises CorruptCheckpoint where the base at hand is not the one the adapter in `folder` was trained on."""
    if manifest.base_digest != digest:
        corrupt(
            folder,
            f"was trained on a base with digest {str(manifest.base_digest)[:12]}…, and the base has {digest[:12]}…",
        )


def file_digest(path: Path) -> str:
    """SHA-256 of the file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def corrupt(path: Path, problem: str) -> NoReturn:
    raise CorruptCheckpoint(f"{path} {problem}; restore the folder from a backup or serve another checkpoint")
