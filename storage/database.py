"""One database: its engine, its two kinds of session and its migrations.

`write()` opens its transaction with BEGIN IMMEDIATE on SQLite, so that a read-modify-write can never lose an update;
`read()` never blocks a writer. Both close on exit; `write()` commits, or rolls back on an exception. A full disk, or a
database that another program holds, is Unavailable with its remedy.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlmodel import Session

from storage.errors import Unavailable

BUSY_TIMEOUT_MS = 30_000
ROOM = "Make room on its disk, then do it again; what was acknowledged before is kept."
MENDABLE = (  # how the names of SQLite's errors begin, then code, message, hint
    ("SQLITE_FULL", "disk_full", "Nothing was stored: the database has no room", ROOM),
    ("SQLITE_IOERR", "disk_error", "The database's file cannot be read or written", ROOM),
    (
        "SQLITE_BUSY",
        "database_locked",
        f"Another program has held the database for more than {BUSY_TIMEOUT_MS // 1000} s",
        "End what holds it, a backup or an editor of databases perhaps, then do it again.",
    ),
    (
        "SQLITE_READONLY",
        "database_read_only",
        "Nothing was stored: the database may not be written",
        "Give the user that the app runs as the right to write the data directory and the files in it.",
    ),
    (
        "SQLITE_CANTOPEN",
        "database_missing",
        "The database cannot be opened",
        "See that the data directory is there, and that the app's user may read and write it.",
    ),
)


class Database:
    """Sessions on one URL. Nothing is opened before the first session."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._writing = _open(url)
        self._reading = self._writing.execution_options(write=False)

    @classmethod
    def in_directory(cls, data_dir: Path) -> "Database":
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{data_dir / 'prefloop.sqlite'}")

    @contextmanager
    def write(self) -> Iterator[Session]:
        with _told(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with _told(), Session(self._reading, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Bring the schema to the newest version; a SQLite file with data is copied to `*.before-REVISION` first.

        Foreign keys are off meanwhile (a batch migration rebuilds tables, and cascades would eat their children) and
        checked afterwards. Raises RuntimeError when that check finds orphans.
        """
        if self.is_current():
            return
        engine = _open(self.url, foreign_keys=False)
        try:
            with engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
            if current is not None:
                _back_up(engine, current)
            with engine.begin() as connection:
                config = _alembic(self.url)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                _check_foreign_keys(connection)
        finally:
            engine.dispose()

    def is_current(self) -> bool:
        """Whether the schema is the newest, so that `migrate` has nothing to do."""
        with self._reading.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return current == ScriptDirectory.from_config(_alembic(self.url)).get_current_head()

    def damage(self) -> str:
        """What SQLite finds wrong with its file; empty where nothing is, and for other databases."""
        if self._reading.dialect.name != "sqlite":
            return ""
        try:
            with self._reading.connect() as connection:
                told = connection.exec_driver_sql("PRAGMA quick_check").scalar()
        except DatabaseError as error:
            return str(error.orig)
        return "" if told == "ok" else str(told)

    def close(self) -> None:
        self._writing.dispose()


@contextmanager
def _told() -> Iterator[None]:
    """What people can mend about the database's place is said so; what else SQLite complains of is raised as it is."""
    try:
        yield
    except OperationalError as error:
        told = getattr(error.orig, "sqlite_errorname", "")
        for prefix, code, message, hint in MENDABLE:
            if told.startswith(prefix):
                raise Unavailable(f"{message} ({error.orig}).", hint=hint, code=code) from error
        raise


def _open(url: str, *, foreign_keys: bool = True) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=20, max_overflow=20, pool_pre_ping=True)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        pool_size=20,
        max_overflow=20,
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi: Any, _record: Any) -> None:
        # the driver's own transaction handling does not open one for reads
        dbapi.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            "synchronous=FULL",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _back_up(engine: Engine, revision: str) -> None:
    if engine.url.get_backend_name() != "sqlite" or not engine.url.database:
        return
    path = Path(engine.url.database)
    copy_sqlite(path, path.with_name(f"{path.name}.before-{revision}"))


def copy_sqlite(path: Path, copy: Path) -> None:
    """By SQLite's own means: the file alone lacks what a reader elsewhere keeps in the write-ahead log."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if orphans:
        raise RuntimeError(
            f"The migration left {len(orphans)} rows without their parent (first: {tuple(orphans[0])}); "
            "nothing was changed. Restore the copy beside the database and report this."
        )
