"""A database that cannot be written for the moment: said as such, and nothing lost or half there afterwards."""

import sqlite3
from pathlib import Path

import pytest
from labelled import record_prompts
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, func, select, text

from storage import database as module
from storage.database import Database
from storage.errors import Unavailable
from storage.tables import Prompt


def count(database: Database) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(Prompt)).one()


def limit(session: Session, pages: int) -> None:
    session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_is_said_and_nothing_of_the_write_is_there_until_there_is_room(database: Database) -> None:
    with database.write() as session:
        limit(session, 1)  # SQLite makes it the number of pages there are
    with pytest.raises(Unavailable, match="no room") as refused:
        record_prompts(database, train=2000, heldout=0)
    assert refused.value.code == "disk_full" and "Make room" in refused.value.hint
    assert count(database) == 0
    with database.write() as session:
        limit(session, 2**31)
    record_prompts(database, train=2000, heldout=0)
    assert count(database) == 2000


def test_a_database_held_for_too_long_by_another_program_is_said(
    tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 100)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / migrated.name).write_bytes(migrated.read_bytes())
    database = Database.in_directory(tmp_path / "data")
    other = sqlite3.connect(tmp_path / "data" / migrated.name, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="held the database") as refused:
        record_prompts(database, train=1, heldout=0)
    assert refused.value.code == "database_locked"
    other.execute("ROLLBACK")
    record_prompts(database, train=1, heldout=0)
    assert count(database) == 1
    other.close()
    database.close()


def test_a_mistake_in_a_query_is_no_fault_of_the_disk(database: Database) -> None:
    with pytest.raises(OperationalError), database.read() as session:
        session.connection().execute(text("SELECT * FROM no_such_table"))
