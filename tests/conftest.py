"""Shared fixtures: a database in a folder of its own, and a tiny model that loads like any other."""

import os
import shutil

# before torch is imported anywhere: one thread per process, no look-ups on the network
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest revision, to copy: migrating once per test would be most of the time."""
    database = Database.in_directory(tmp_path_factory.mktemp("migrated"))
    database.migrate()
    database.close()
    return Path(database.url.removeprefix("sqlite:///"))


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data" / migrated.name)
    database = Database.in_directory(tmp_path / "data")
    yield database
    database.close()


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random model of tests/support/tiny_model.py."""
    from tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("tiny-model"))
