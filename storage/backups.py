"""A data directory in one file, made while the app runs, and back again.

A tar of all that cannot be made again: the databases, each copied by SQLite's own means, then checkpoints, plans,
logs and rubrics; what only saves time (samples) or an unfinished run (its saves) is left out, such a run begins anew.
Its last member has the SHA-256 of every other one. Checkpoint folders never change and their rows come after them, so
that whatever the copied database names is there. Leaves out PostgreSQL, which has its own tools.
"""

import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from storage.database import copy_sqlite
from storage.directory import LOCK, take_directory
from storage.errors import Conflict, Invalid

LIST = "backup.json"
FORMAT = 1
_REMADE = ("samples",)
_BESIDE = ("-wal", "-shm", "-journal")
Progress = Callable[[int, int], None]
"""(files done, all files)."""


def back_up(data_dir: Path, file: Path, *, on_progress: Progress | None = None) -> int:
    """Write the backup of `data_dir` to `file`, which appears complete or not at all; the number of files in it.

    Raises Invalid where there is no project, Conflict where the file is there already.
    """
    if not (data_dir / "prefloop.sqlite").exists():
        raise Invalid(f"There is no project in {data_dir}.", hint="Name its folder with --data-dir.")
    if file.exists():
        raise Conflict(f"{file} exists, and nothing is written over.", hint="Name a file that is not there yet.")
    partial = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    sums: dict[str, str] = {}
    try:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder, tarfile.open(partial, "w") as tar:
            sources = _databases(data_dir, Path(folder)) | _files(data_dir)
            for done, (name, path) in enumerate(sources.items(), start=1):
                if (digest := _add(tar, name, path)) is not None:
                    sums[name] = digest
                if on_progress is not None:
                    on_progress(done, len(sources))
            _add_text(tar, LIST, json.dumps({"format": FORMAT, "made_at": _now(), "sha256": sums}, indent=1))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return len(sums)


def restore(file: Path, data_dir: Path, *, on_progress: Progress | None = None) -> int:
    """Make `data_dir` of a backup; the number of files. Nothing is there unless everything is whole.

    The lock that an app has left there counts for nothing, unless one still holds it. Raises Conflict then, and where
    the folder has something else in it; Invalid for a file that is no backup, or a damaged one.
    """
    there = [path.name for path in data_dir.iterdir()] if data_dir.exists() else []
    if there not in ([], [LOCK]):
        raise Conflict(f"{data_dir} is not empty, and nothing is written over.", hint="Name another with --data-dir.")
    with take_directory(data_dir) if there else nullcontext():
        return _restore(file, data_dir, on_progress)


def _restore(file: Path, data_dir: Path, on_progress: Progress | None) -> int:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=data_dir.parent, prefix=f".{data_dir.name}."))
    try:
        sums = _extract(file, partial)
        for done, (name, digest) in enumerate(sums.items(), start=1):
            if not (partial / name).is_file() or _digest(partial / name) != digest:
                raise Invalid(f"{file} is damaged: {name} is not what was backed up.", hint="Restore an older backup.")
            if on_progress is not None:
                on_progress(done, len(sums))
        _check(partial / "prefloop.sqlite", file)
        partial.chmod(0o755)
        if (data_dir / LOCK).exists():  # goes along, still held: only an empty folder can be replaced
            (data_dir / LOCK).replace(partial / LOCK)
        partial.replace(data_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(sums)


def _databases(data_dir: Path, folder: Path) -> dict[str, Path]:
    """Copies of the databases in the directory, as they are at this moment."""
    copies = {path.name: folder / path.name for path in sorted(data_dir.glob("*.sqlite"))}
    for name, copy in copies.items():
        copy_sqlite(data_dir / name, copy)
    return copies


def _files(data_dir: Path) -> dict[str, Path]:
    """Everything else that is kept, by its name in the backup."""
    found = {}
    for path in sorted(data_dir.rglob("*")):
        parts = path.relative_to(data_dir).parts
        remade = parts[0] in _REMADE or parts[0].startswith(".") or (parts[0] == "runs" and "work" in parts[2:3])
        unfinished = any(part.endswith((".tmp", ".part")) for part in parts)
        database = len(parts) == 1 and (path.suffix == ".sqlite" or path.name.endswith(_BESIDE))
        if path.is_file() and not path.is_symlink() and not (remade or unfinished or database):
            found["/".join(parts)] = path
    return found


class _Read:
    """A file whose bytes are summed up as they are read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self.sum = source, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sum.update(data)
        return data


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str | None:
    """The SHA-256 of what was added, which of a log that grows is its beginning; None where the file went away."""
    try:
        with path.open("rb") as source:
            read = _Read(source)
            tar.addfile(tar.gettarinfo(arcname=name, fileobj=source), cast(BinaryIO, read))
    except FileNotFoundError:
        return None
    return read.sum.hexdigest()


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text.encode())
    tar.addfile(info, io.BytesIO(text.encode()))


def _extract(file: Path, folder: Path) -> dict[str, str]:
    """Unpack within the folder and give the sums by name. Links, devices and paths that lead out are refused."""
    try:
        with tarfile.open(file, "r:") as tar:
            tar.extractall(folder, filter="data")
        record = json.loads((folder / LIST).read_text())
        sums = {str(name): str(digest) for name, digest in record["sha256"].items()}
    except FileNotFoundError as error:
        raise Invalid(f"{file} is not a backup of PrefLoop: {error.filename or error} is missing.") from error
    except (tarfile.TarError, OSError, ValueError, KeyError, AttributeError) as error:
        raise Invalid(f"{file} is not a backup of PrefLoop, or is damaged: {error}.") from error
    (folder / LIST).unlink()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if more := sorted(there - sums.keys()):
        raise Invalid(f"{file} has files that its list does not name: {', '.join(more[:3])}.")
    return sums


def _check(database: Path, file: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        told = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if told != "ok":
        raise Invalid(f"The database in {file} is damaged: {told}.", hint="Restore an older backup.")


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
