"""The app killed or stopped while a trainer runs: real processes, real signals."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from labelled import record_choices
from served import ServedApp

from storage.database import Database
from storage.runs import get_run

pytestmark = pytest.mark.slow

LONG = {"target_margin": 0, "epochs": 40, "batch_size": 4, "max_length": 128}
# choices are made up in the database, so nothing may be triggered by them
FEW = {"gate_prompts": 8, "comparisons_ahead": 1, "max_new_tokens": 8, "auto_train": False}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def app(data_dir: Path, tiny_model_dir: Path) -> Iterator[ServedApp]:
    app = ServedApp.start(data_dir, model=tiny_model_dir, **FEW)
    record_choices(Database.in_directory(data_dir), count=40)
    yield app
    app.stop()


def pid_of(data_dir: Path, run_id: str) -> tuple[int, int]:
    with Database.in_directory(data_dir).read() as session:
        run = get_run(session, run_id)
    assert run.pid is not None
    return run.pid, run.attempt


def test_when_the_app_is_killed_the_trainer_goes_on_and_the_next_app_adopts_it(
    app: ServedApp, data_dir: Path, tiny_model_dir: Path
) -> None:
    run_id = app.call("POST", "/api/v1/training-runs", algorithm="dpo", config=LONG)["id"]
    app.wait_for_run(run_id, "running")
    pid, attempt = pid_of(data_dir, run_id)
    app.kill()
    assert psutil.pid_exists(pid)
    again = ServedApp.start(data_dir, model=tiny_model_dir, **FEW)
    try:
        run = again.wait_for_run(run_id, "succeeded")
        assert run["gate"]["reasons"]
        assert pid_of(data_dir, run_id) == (pid, attempt)
    finally:
        again.stop()


def test_ctrl_c_stops_the_trainer_resumably_and_the_next_start_goes_on(
    app: ServedApp, data_dir: Path, tiny_model_dir: Path
) -> None:
    run_id = app.call("POST", "/api/v1/training-runs", algorithm="dpo", config=LONG)["id"]
    app.wait_for_run(run_id, "running")
    pid, _ = pid_of(data_dir, run_id)
    app.stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    with Database.in_directory(data_dir).read() as session:
        assert get_run(session, run_id).status == "interrupted"
    again = ServedApp.start(data_dir, model=tiny_model_dir, **FEW)
    try:
        assert again.wait_for_run(run_id, "succeeded")["checkpoint_id"] == run_id
    finally:
        again.stop()


def test_another_model_on_the_same_directory_is_refused_in_one_line(
    app: ServedApp, data_dir: Path, tmp_path: Path, tiny_model_dir: Path
) -> None:
    app.stop()
    copy = tmp_path / "other-model"
    shutil.copytree(tiny_model_dir, copy)
    with pytest.raises(AssertionError, match="was begun with"):
        ServedApp.start(data_dir, model=copy, **FEW)
