"""What could keep PrefLoop from working here, found before it does: each check with what was seen and what to do.

Nothing is changed and nothing downloaded; a model that is not here yet is only said to be.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from app.serve import take_socket
from app.settings import Settings
from storage.checkpoints import INITIAL, list_checkpoints
from storage.database import Database
from storage.directory import take_directory
from storage.errors import PrefLoopError
from storage.tables import Checkpoint
from trainer.manifest import verify_manifest
from trainer.sources import source_digest

LEAST_FREE_BYTES = 2e9  # a few adapters, logs and samples
PACKAGES = ("torch", "transformers", "trl", "peft", "gradio", "sqlmodel", "sentence-transformers", "apscheduler")
State = Literal["fine", "worth knowing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What a check saw. `remedy` is empty where nothing needs to be done."""

    check: str
    state: State
    seen: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check in turn; the slow ones last."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python,
        _packages,
        _address,
        _folder,
        _space,
        _database,
        _model,
        _device,
        _checkpoints,
    )
    for check in checks:
        name = check.__name__.removeprefix("_")
        try:
            yield check(settings)
        except PrefLoopError as error:
            yield Finding(name, "wrong", error.message, error.hint)
        except (OSError, ValueError, SQLAlchemyError) as error:
            yield Finding(name, "wrong", f"{type(error).__name__}: {error}")


def _python(settings: Settings) -> Finding:
    return Finding("python", "fine", "Python " + ".".join(map(str, sys.version_info[:3])))


def _packages(settings: Settings) -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "wrong", f"missing: {', '.join(missing)}", "Run `make install`.")
    return Finding("packages", "fine", ", ".join(found))


def _address(settings: Settings) -> Finding:
    settings.check()
    take_socket(settings).close()
    return Finding("address", "fine", f"{settings.host}, port {settings.port} is free")


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with tempfile.TemporaryFile(dir=there):
        pass
    if not settings.database_file.exists():
        return Finding("folder", "fine", f"{folder} can be written, and holds no project yet")
    take_directory(folder).close()
    return Finding("folder", "fine", f"{folder} can be written, and no app serves it")


def _space(settings: Settings) -> Finding:
    there = next(path for path in (settings.data_dir, *settings.data_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    seen = f"{free / 1e9:.1f} GB free at {there}"
    if free < LEAST_FREE_BYTES:
        remedy = "Make room, or put the project elsewhere with PREFLOOP_DATA_DIR; a full disk stops training."
        return Finding("space", "worth knowing", seen, remedy)
    return Finding("space", "fine", seen)


def _database(settings: Settings) -> Finding:
    if not settings.database_url and not settings.database_file.exists():
        return Finding("database", "fine", "there is none yet; the first start makes it")
    if told := Database(settings.url).damage():
        return Finding("database", "wrong", told, "Restore a backup: prefloop restore FILE --data-dir FOLDER.")
    return Finding("database", "fine", f"it opens, and has {len(_all_checkpoints(settings))} checkpoints")


def _model(settings: Settings) -> Finding:
    folder = Path(settings.model_source).expanduser()
    if not folder.is_dir():
        seen = f"{settings.model_source} is no folder here; taken for a hub id, it is fetched at the first start"
        return Finding("model", "worth knowing", seen, "Offline, give a folder with PREFLOOP_MODEL.")
    bound = _bound(settings)
    if bound is not None and source_digest(folder) != bound.digest:
        told = f"{settings.initial_model} is not the model that the project was begun with, {bound.source}"
        return Finding("model", "wrong", told, "Start with that model, or name another folder with PREFLOOP_DATA_DIR.")
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return Finding("model", "fine", f"{settings.initial_model}, {size / 1e6:.0f} MB of weights")


def _device(settings: Settings) -> Finding:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding("device", "fine", f"{properties.name}, {properties.total_memory / 1e9:.0f} GB")
    if settings.device.startswith("cuda"):
        remedy = "Install a torch with CUDA, or set PREFLOOP_DEVICE=cpu."
        return Finding("device", "wrong", f"PREFLOOP_DEVICE is {settings.device} and torch sees no GPU", remedy)
    return Finding("device", "fine", "CPU; the starter needs no more, a model of your own may be slow")


def _checkpoints(settings: Settings) -> Finding:
    rows = [row for row in _all_checkpoints(settings) if row.id != INITIAL]
    bad = []
    for row in rows:
        try:
            verify_manifest(settings.data_dir / row.source)
        except (OSError, ValueError) as error:
            bad.append(f"{row.id}: {error}")
    if bad:
        remedy = "It cannot be served; restore its folder from a backup, or promote another checkpoint."
        return Finding("checkpoints", "wrong", "; ".join(bad[:3]), remedy)
    return Finding("checkpoints", "fine", f"{len(rows)} are whole" if rows else "there are none yet")


def _all_checkpoints(settings: Settings) -> list[Checkpoint]:
    """None where there is no database yet, or an older one: the next start brings it up to date."""
    if not settings.database_url and not settings.database_file.exists():
        return []
    database = Database(settings.url)
    try:
        if not database.is_current():
            return []
        with database.read() as session:
            return list_checkpoints(session)
    finally:
        database.close()


def _bound(settings: Settings) -> Checkpoint | None:
    return next((row for row in _all_checkpoints(settings) if row.id == INITIAL), None)
