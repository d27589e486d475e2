"""The app killed or stopped while a trainer runs: real processes, real signals."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
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

SLOW_MACHINE_S = 5  # the interpreter's own end, beside other work


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


def test_ctrl_c_ends_the_app_at_once_and_quietly_with_pages_open_and_clients_waiting(app: ServedApp) -> None:
    def hold(method: str, path: str, **body: Any) -> None:
        with suppress(httpx.HTTPError), httpx.stream(method, app.url + path, json=body or None, timeout=60) as answer:
            begun.release()
            list(answer.iter_raw())

    hello = [{"role": "user", "content": "Hello?"}]
    begun = threading.Semaphore(0)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(hold, "GET", "/gradio_api/heartbeat/a-page")
        pool.submit(hold, "POST", "/v1/chat/completions", messages=hello, max_tokens=200, n=16, stream=True)
        assert begun.acquire(timeout=20) and begun.acquire(timeout=20)
        for _ in range(2):  # one is ready, the other waits while the model is busy
            pool.submit(hold, "POST", "/api/v1/comparisons/next")
        started = time.monotonic()
        app.stop()
        assert time.monotonic() - started < 5 + SLOW_MACHINE_S
    assert app.process.returncode == 0
    assert "Traceback" not in app.log.read_text() and "ERROR" not in app.log.read_text()
