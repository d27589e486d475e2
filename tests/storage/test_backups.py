"""Backups: made while choices are recorded, restored whole or not at all."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import func, select

from storage.backups import LIST, back_up, restore
from storage.database import Database
from storage.directory import LOCK, take_directory
from storage.errors import Conflict, Invalid
from storage.preferences import record_labeller, record_preference
from storage.tables import Choice, Preference

Make = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A data directory with a database, a checkpoint, a run and what need not be kept."""
    folder = tmp_path / "data"
    Database.in_directory(folder).migrate()
    for name in (
        "checkpoints/dpo-0001/adapter.safetensors",
        "runs/dpo-0001/plan.json",
        "runs/dpo-0001/log",
        "runs/dpo-0001/work/checkpoint-5/optimizer.pt",
        "samples/first.json",
        "checkpoints/dpo-0002.tmp/half.safetensors",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_cannot_be_made_again_is_there_after_restoring(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "again")
    assert files(tmp_path / "again") == {
        "prefloop.sqlite",
        "checkpoints/dpo-0001/adapter.safetensors",
        "runs/dpo-0001/plan.json",
        "runs/dpo-0001/log",
    }
    kept = "checkpoints/dpo-0001/adapter.safetensors"
    assert (tmp_path / "again" / kept).read_bytes() == (project / kept).read_bytes()


def test_every_choice_acknowledged_before_is_in_a_backup_made_while_people_choose(
    database: Database, compare: Make, tmp_path: Path
) -> None:
    comparisons = [compare(f"{number}?") for number in range(300)]
    acknowledged: list[int] = []
    stop = threading.Event()

    def choose() -> None:
        for number, comparison in enumerate(comparisons):
            with database.write() as session:
                record_preference(
                    session, comparison_id=comparison, labeller_id="a", choice=Choice.left, client_id=f"{number:032x}"
                )
            acknowledged.append(number)
            if stop.is_set():
                return

    with database.write() as session:
        record_labeller(session, labeller_id="a")
    person = threading.Thread(target=choose)
    person.start()
    while len(acknowledged) < 10 and person.is_alive():
        pass
    elsewhere = tmp_path / "elsewhere"
    before = len(acknowledged)
    back_up(tmp_path / "data", elsewhere / "backup.tar")
    after = len(acknowledged) + 1  # one may be written and not yet counted
    stop.set()
    person.join()
    restore(elsewhere / "backup.tar", elsewhere / "again")
    with Database.in_directory(elsewhere / "again").read() as session:
        assert 10 <= before <= session.exec(select(func.count()).select_from(Preference)).one() <= after


def test_nothing_is_written_over(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "backup.tar")
    with pytest.raises(Conflict, match="exists"):
        back_up(project, tmp_path / "backup.tar")
    with pytest.raises(Conflict, match="not empty"):
        restore(tmp_path / "backup.tar", project)


def test_a_folder_that_an_app_has_only_locked_once_counts_as_empty(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "backup.tar")
    take_directory(tmp_path / "again").close()
    restore(tmp_path / "backup.tar", tmp_path / "again")
    assert "prefloop.sqlite" in files(tmp_path / "again")


def test_a_folder_that_an_app_serves_is_not_restored_into(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "backup.tar")
    with take_directory(tmp_path / "again"):
        with pytest.raises(Conflict, match="serves"):
            restore(tmp_path / "backup.tar", tmp_path / "again")
    assert files(tmp_path / "again") == {LOCK}


def test_no_app_can_begin_in_a_folder_while_it_is_restored(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "backup.tar")
    take_directory(tmp_path / "again").close()

    def begin(done: int, of: int) -> None:
        with pytest.raises(Conflict, match="serves"):
            take_directory(tmp_path / "again")

    restore(tmp_path / "backup.tar", tmp_path / "again", on_progress=begin)
    take_directory(tmp_path / "again").close()


def test_a_folder_without_a_project_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no project"):
        back_up(tmp_path, tmp_path / "backup.tar")
    assert list(tmp_path.iterdir()) == []


def _changed(whole: bytes) -> bytes:
    return whole.replace(b"content of runs/dpo-0001/plan", b"Content of runs/dpo-0001/plan")


def _half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _no_tar(whole: bytes) -> bytes:
    return b"some text"


@pytest.mark.parametrize("damage", [_changed, _half, _no_tar])
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    project: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "backup.tar"
    back_up(project, file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(Invalid, match=r"damaged|not a backup"):
        restore(file, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".again*"))


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-it", "listed-by-nobody"])
def test_a_file_that_leads_out_or_is_not_listed_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        sums = {} if name == "listed-by-nobody" else {name: hashlib.sha256(b"x").hexdigest()}
        for member, text in ((name, b"x"), (LIST, json.dumps({"format": 1, "sha256": sums}).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    with pytest.raises(Invalid):
        restore(tmp_path / "evil.tar", tmp_path / "deep" / "again")
    assert not (tmp_path / "deep" / "outside").exists() and not (tmp_path / "deep" / "again").exists()


def test_a_link_in_a_backup_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("prefloop.sqlite")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(Invalid):
        restore(tmp_path / "evil.tar", tmp_path / "again")
