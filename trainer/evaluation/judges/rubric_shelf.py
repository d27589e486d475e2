"""Where rubrics lie: those that come with PrefLoop, and the project's own in its data directory, with every version.

    DATA_DIR/rubrics/NAME.toml                    the project's own, before a packaged one of the same name
    DATA_DIR/rubrics/versions/NAME@DIGEST.toml    every version that was saved or judged by, never changed

A packaged rubric is never written to: saving one makes a copy. Files appear whole or not at all.
"""

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from trainer.evaluation.judges.rubric import Rubric, RubricError
from trainer.evaluation.judges.rubric_text import NAME, NAMING, parse_rubric

PACKAGED = Path(__file__).parents[1] / "rubrics"
FOLDER = "rubrics"  # in the data directory
LEAST_DIGEST = 8  # characters that name a version
_PIN = re.compile(rf"({NAME.pattern})@([0-9a-f]{{{LEAST_DIGEST},64}})")

Origin = Literal["packaged", "project", "version", "file"]


@dataclass(frozen=True)
class Shelved:
    """A rubric as it lies somewhere: `text` is the whole file, remarks included."""

    rubric: Rubric
    text: str
    origin: Origin

    @property
    def pin(self) -> str:
        """NAME@DIGEST, which `find` gives this very version for as long as it is kept."""
        return f"{self.rubric.name}@{self.rubric.digest}"


@dataclass(frozen=True)
class Version:
    digest: str
    saved_at: datetime


class RubricShelf:
    """The rubrics of one project; without a data directory, those that come with PrefLoop."""

    def __init__(self, data_dir: Path | None = None) -> None:
        self._own = None if data_dir is None else data_dir / FOLDER

    def names(self) -> list[str]:
        """All, by name, those that cannot be read too."""
        folders = [PACKAGED, *([self._own] if self._own else [])]
        return sorted({file.stem for folder in folders for file in folder.glob("*.toml") if NAME.fullmatch(file.stem)})

    def is_packaged(self, name: str) -> bool:
        return (PACKAGED / f"{name}.toml").is_file()

    def path(self, name: str) -> Path | None:
        """The file of a name: the project's own, else the packaged one."""
        if not NAME.fullmatch(name):
            return None
        folders = [*([self._own] if self._own else []), PACKAGED]
        return next((path for folder in folders if (path := folder / f"{name}.toml").is_file()), None)

    def find(self, source: str | Path) -> Shelved:
        """A name, NAME@DIGEST, or a file. Raises RubricError naming the file and its faults."""
        if (named := self.named(str(source))) is not None:
            return named
        path = Path(source)
        if not path.is_file():
            known = ", ".join(self.names())
            raise RubricError(f"There is no rubric {str(source)[:200]!r}; give a file, or one of {known}.")
        return _shelved(path, "file")

    def named(self, source: str) -> Shelved | None:
        """By a name or NAME@DIGEST alone, never a path; None where there is none. Raises RubricError."""
        if (path := self.path(source)) is not None:
            return _shelved(path, "packaged" if path.parent == PACKAGED else "project")
        pinned = _PIN.fullmatch(source)
        return self._version(pinned[1], pinned[2]) if pinned else None

    def versions(self, name: str) -> list[Version]:
        """Those that are kept, newest first."""
        if self._own is None or not NAME.fullmatch(name):
            return []
        files = (self._own / "versions").glob(f"{name}@*.toml")
        found = [
            Version(file.stem.partition("@")[2], datetime.fromtimestamp(file.stat().st_mtime, UTC)) for file in files
        ]
        return sorted(found, key=lambda one: one.saved_at, reverse=True)

    def save(self, text: str) -> Shelved:
        """Make the text the project's rubric of the name that it gives, and keep this version. Raises FaultyRubric."""
        shelved = Shelved(parse_rubric(text), text, "project")
        assert self._own is not None
        if self.path(shelved.rubric.name) is not None:
            self.keep(self._readable(shelved.rubric.name))
        self.keep(shelved)
        _write(self._own / f"{shelved.rubric.name}.toml", text)
        return shelved

    def keep(self, shelved: Shelved | None) -> None:
        """Keep this version, so that verdicts made with it can show it for ever. A kept one stays as it is."""
        if self._own is None or shelved is None:
            return
        path = self._own / "versions" / f"{shelved.pin}.toml"
        if not path.is_file():
            _write(path, shelved.text)

    def _readable(self, name: str) -> Shelved | None:
        try:
            return self.find(name)
        except RubricError:  # somebody edited the file: it was never judged by, and is about to be replaced
            return None

    def _version(self, name: str, digest: str) -> Shelved:
        """A kept version, or one that is in use, by the beginning of its digest."""
        kept = [one.digest for one in self.versions(name) if one.digest.startswith(digest)]
        if len(kept) == 1 and self._own is not None:
            return _shelved(self._own / "versions" / f"{name}@{kept[0]}.toml", "version")
        for path in (self.path(name), PACKAGED / f"{name}.toml"):
            if path is not None and path.is_file():
                shelved = _shelved(path, "packaged" if path.parent == PACKAGED else "project")
                if shelved.rubric.digest.startswith(digest):
                    return shelved
        known = ", ".join(one.digest[:LEAST_DIGEST] for one in self.versions(name)[:10]) or "none"
        raise RubricError(f"There is no version {digest!r} of the rubric {name!r}; kept are {known}.")


def read_rubric(source: str | Path, data_dir: Path | None = None) -> Rubric:
    """The rubric of a name, NAME@DIGEST or file. Raises RubricError."""
    return RubricShelf(data_dir).find(source).rubric


def _shelved(path: Path, origin: Origin) -> Shelved:
    try:
        text = path.read_text(encoding="utf-8")
        rubric = parse_rubric(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RubricError(f"{path} cannot be read as a rubric: {error}.") from error
    except RubricError as error:
        error.args = (f"{path} is not a rubric: {error}.",)
        raise
    if origin in ("packaged", "project") and rubric.name != path.stem:
        raise RubricError(f"{path} sets the name {rubric.name!r}; make it {path.stem!r} ({NAMING}).")
    return Shelved(rubric, text, origin)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, made = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(made).chmod(0o644)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
