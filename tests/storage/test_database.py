"""The database: times, concurrent writers, migrations, and nothing that only SQLite knows."""

import io
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Index, Table, exc, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel, select

import storage.tables
from storage.database import Database
from storage.settings import get_setting, record_setting
from storage.tables import Labeller, Preference, Prompt

MIGRATIONS = Path(storage.tables.__file__).parent / "migrations"


def alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url)
    return config


def test_times_come_back_in_utc_whatever_zone_they_went_in(database: Database) -> None:
    there = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=5)))
    with database.write() as session:
        session.add(Labeller(id="ann", created_at=there))
    with database.read() as session:
        back = session.get_one(Labeller, "ann").created_at
    assert (back, back.tzinfo) == (there, UTC)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(exc.StatementError, match="no time zone"), database.write() as session:
        session.add(Labeller(id="ann", created_at=datetime(2026, 1, 2)))


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        record_setting(session, "schedule", {"every": 40})
        raise RuntimeError("power cut")
    with database.read() as session:
        assert get_setting(session, "schedule") == {}


def test_eight_threads_that_read_and_write_back_lose_nothing(database: Database) -> None:
    rounds, errors = 25, []

    def work() -> None:
        try:
            for _ in range(rounds):
                with database.write() as session:
                    count = get_setting(session, "counter").get("n", 0)
                    record_setting(session, "counter", {"n": count + 1})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert (errors, get_setting(session, "counter")) == ([], {"n": 8 * rounds})


def test_a_reader_is_not_held_up_by_an_open_writer(database: Database) -> None:
    with database.write() as writer:
        record_setting(writer, "schedule", {"every": 40})
        with database.read() as reader:
            assert get_setting(reader, "schedule") == {}


def test_every_connection_has_the_safe_settings(database: Database) -> None:
    with database.read() as session:
        values = [
            session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert values == ["wal", 1, 2]


def test_a_row_without_its_parent_is_refused(database: Database) -> None:
    with pytest.raises(exc.IntegrityError), database.write() as session:
        session.execute(
            text(
                "INSERT INTO conversation_turn (conversation_id, role, text, created_at) "
                "VALUES ('x', 'user', '', '2026-01-01')"
            )
        )


def test_migrations_from_nothing_make_the_tables_the_code_declares(tmp_path: Path) -> None:
    database = Database.in_directory(tmp_path)
    database.migrate()
    database.close()
    command.check(alembic(database.url))  # raises where tables and migrations differ


def test_migrating_twice_changes_nothing_and_makes_no_backup(tmp_path: Path) -> None:
    database = Database.in_directory(tmp_path)
    database.migrate()
    database.migrate()
    database.close()
    assert list(tmp_path.glob("*.before-*")) == []


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic("sqlite://")).get_heads()) == 1


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A revision after the newest that rebuilds the table most rows hang on."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory.from_config(alembic("sqlite://")).get_current_head()
    (folder / "versions" / "9999_rebuild.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = {head!r}\n\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('prompt', recreate='always') as batch:\n"
        "        batch.add_column(sa.Column('note', sa.String(), nullable=True))\n"
    )
    monkeypatch.setattr("storage.database._alembic", _pointing_at(folder))
    return str(head)


def _pointing_at(folder: Path) -> Callable[[str], Config]:
    def make(url: str) -> Config:
        config = alembic(url)
        config.set_main_option("script_location", str(folder))
        return config

    return make


def _with_data(folder: Path, revision: str, compare: Callable[[Database], None]) -> Database:
    database = Database.in_directory(folder)
    command.upgrade(alembic(database.url), revision)
    compare(database)
    return database


def _one_choice(database: Database) -> None:
    """Written without the tables' classes, as an older version of the code would have left it."""
    path = database.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        moment = "2026-01-01 00:00:00.000000"
        connection.execute(
            "INSERT INTO prompt "
            "(id, digest, messages, group_key, opening, split, tags, source, offered, created_at) VALUES "
            """(1, 'd', '[{"role": "user", "content": "Hi"}]', 'hi', 'o', 'train', '[]', 'starter', 1, ?)""",
            (moment,),
        )
        for number, words in ((1, "Hello."), (2, "Go away.")):
            connection.execute(
                "INSERT INTO completion (id, prompt_id, text, created_at) VALUES (?, 1, ?, ?)", (number, words, moment)
            )
        connection.execute(
            "INSERT INTO comparison (id, prompt_id, left_id, right_id, purpose, state, generation, created_at) "
            "VALUES ('c', 1, 1, 2, 'train', 'decided', 0, ?)",
            (moment,),
        )
        connection.execute("INSERT INTO labeller (id, name, created_at) VALUES ('ann', '', ?)", (moment,))
        connection.execute(
            "INSERT INTO preference (id, client_id, comparison_id, prompt_id, labeller_id, choice, purpose, imported, "
            "left_length, right_length, created_at) VALUES (1, 'x', 'c', 1, 'ann', 'left', 'train', 0, 6, 8, ?)",
            (moment,),
        )
    connection.close()


def _opened(database: Database) -> None:
    """Opened once, so that the file keeps a write-ahead log."""
    with database.read() as session:
        session.execute(text("SELECT count(*) FROM prompt"))


def test_the_first_schema_with_data_in_it_reaches_the_newest_and_keeps_every_row(tmp_path: Path) -> None:
    database = _with_data(tmp_path, "0001", _one_choice)
    database.migrate()
    with database.read() as session:
        assert session.exec(select(Prompt)).one().messages == [{"role": "user", "content": "Hi"}]
        assert session.exec(select(Preference)).one().choice == "left"
    database.close()
    command.check(alembic(database.url))


def test_a_migration_that_rebuilds_a_parent_table_keeps_its_children_and_the_old_file(
    tmp_path: Path, next_revision: str
) -> None:
    database = _with_data(tmp_path / "data", next_revision, _one_choice)
    database.migrate()
    with database.read() as session:
        assert session.execute(text("SELECT note FROM prompt")).all() == [(None,)]
        assert session.exec(select(Preference)).one().choice == "left"
    database.close()
    backup = tmp_path / "data" / f"prefloop.sqlite.before-{next_revision}"
    with sqlite3.connect(backup) as old:
        columns = [row[1] for row in old.execute("PRAGMA table_info(prompt)")]
        assert old.execute("SELECT choice FROM preference").fetchall() == [("left",)]
    old.close()
    assert "note" not in columns


def test_the_copy_made_before_a_migration_has_all_rows_though_another_process_is_reading(
    tmp_path: Path, next_revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database.BUSY_TIMEOUT_MS", 100)
    database = _with_data(tmp_path / "data", next_revision, _opened)
    reader = sqlite3.connect(tmp_path / "data" / "prefloop.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM prompt").fetchone()
    _one_choice(database)
    database.migrate()
    with sqlite3.connect(tmp_path / "data" / f"prefloop.sqlite.before-{next_revision}") as copy:
        assert copy.execute("SELECT choice FROM preference").fetchall() == [("left",)]
    copy.close()
    reader.close()
    database.close()


def test_a_migration_that_orphans_rows_is_undone(tmp_path: Path, next_revision: str) -> None:
    version = tmp_path / "migrations" / "versions" / "9999_rebuild.py"
    version.write_text(version.read_text() + "    op.execute('DELETE FROM completion')\n")
    database = _with_data(tmp_path / "data", next_revision, _one_choice)
    with pytest.raises(RuntimeError, match="without their parent"):
        database.migrate()
    database.close()
    with sqlite3.connect(tmp_path / "data" / "prefloop.sqlite") as after:
        assert after.execute("SELECT count(*) FROM completion").fetchone() == (2,)
        assert after.execute("SELECT version_num FROM alembic_version").fetchone() == (next_revision,)
    after.close()


def _tables() -> list[Table]:
    return SQLModel.metadata.sorted_tables


@pytest.mark.parametrize("table", _tables(), ids=lambda table: table.name)
def test_every_table_can_be_made_in_postgresql(table: Table) -> None:
    dialect = postgresql.dialect()
    assert f"CREATE TABLE {table.name}" in str(CreateTable(table).compile(dialect=dialect))
    for index in table.indexes:
        assert str(CreateIndex(index).compile(dialect=dialect))


def test_the_uniqueness_rules_keep_their_conditions_in_postgresql() -> None:
    partial = {i.name: i for table in _tables() for i in table.indexes if i.dialect_kwargs}
    assert set(partial) >= {"one_standing_preference", "one_active_run"}
    for name, condition in (("one_standing_preference", "withdrawn_at IS NULL"), ("one_active_run", "status IN")):
        index: Index = partial[name]
        ddl = str(CreateIndex(index).compile(dialect=postgresql.dialect()))
        assert "UNIQUE" in ddl and f"WHERE {condition}" in ddl


def test_every_migration_can_be_written_out_for_postgresql() -> None:
    out = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
    with Operations.context(context):
        for revision in reversed(list(ScriptDirectory.from_config(alembic("sqlite://")).walk_revisions())):
            revision.module.upgrade()
    assert out.getvalue().count("CREATE TABLE") >= len(_tables())
    assert "PRAGMA" not in out.getvalue()
