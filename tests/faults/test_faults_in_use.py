"""Faults that strike a served project while people label, a run is under way and checkpoints change.

After each: no acknowledged preference lost or doubled, every run in a true state, the served model whole. Real
processes, real signals, one app for all of it. The soak is the same at 60 random moments each.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults import SETTINGS, FaultProject, campaign, table, within
from served import free_port
from small_disk import SmallDisk, small_disk
from tiny_model import ASCII, make_tiny_model

from storage.runs import queue_run
from storage.tables import ACTIVE, FINAL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = 6
SOAK_ROUNDS = 60
SLOW_MACHINE_S = 5  # the interpreter's own end, beside other work
LATE_S = 30


@pytest.fixture(scope="module")
def readable_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all bytes a random one says nothing that can be compared."""
    return make_tiny_model(tmp_path_factory.mktemp("readable") / "model", ASCII)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("faults") / "disk", mib=256) as disk:
        yield disk


@pytest.fixture(scope="module")
def project(disk: SmallDisk, readable_model: Path) -> Iterator[FaultProject]:
    project = FaultProject.begin(disk.folder / "data", readable_model)
    yield project
    project.end()


def labelling_goes_on(project: FaultProject) -> None:
    before = len(project.labeller.acknowledged)
    assert not within(LATE_S, lambda: [] if len(project.labeller.acknowledged) > before + 1 else ["no more choices"])


@pytest.mark.parametrize("kind", ["trainer", "both"])
def test_after_kill_9_at_a_random_moment_nothing_is_lost_doubled_or_untrue(project: FaultProject, kind: str) -> None:
    (one,) = campaign(project, kind, rounds=1, seed=SEED, longest_s=5)
    assert one.wrong == []
    labelling_goes_on(project)


def test_an_app_that_sleeps_and_wakes_goes_on_as_if_nothing_had_been(project: FaultProject) -> None:
    project.app.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    project.app.process.send_signal(signal.SIGCONT)
    labelling_goes_on(project)
    assert project.check() == []


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_a_locked_database_is_waited_for_while_pages_are_read(project: FaultProject, seconds: int) -> None:
    other = sqlite3.connect(project.data_dir / "prefloop.sqlite", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    held, told = time.monotonic(), project.labeller.told.copy()
    while time.monotonic() - held < seconds:
        assert httpx.get(f"{project.app.url}/api/v1/training-runs", timeout=1.5).status_code == 200
        time.sleep(0.2)
    other.execute("ROLLBACK")
    other.close()
    labelling_goes_on(project)
    assert project.check() == []
    assert set(project.labeller.told - told) == {200, 201}, "it was not waited for"


def test_a_full_disk_is_told_and_choices_go_on_once_there_is_room(project: FaultProject, disk: SmallDisk) -> None:
    with sqlite3.connect(project.data_dir / "prefloop.sqlite", timeout=30) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else a while is written into the room that the log has
    other.close()
    refused = project.labeller.told[503]
    disk.fill(project.app.process.pid)
    try:
        assert not within(LATE_S, lambda: [] if project.labeller.told[503] > refused else ["it was not told"])
        told = httpx.post(f"{project.app.url}/api/v1/training-runs", json={"algorithm": "dpo"}).json()["error"]
        assert told["code"] in ("disk_full", "disk_error") and "Make room" in told["hint"]
        assert httpx.get(f"{project.app.url}/readyz").status_code == 200
        assert project.say("served") == project.solo[project.app.call("GET", "/readyz")["checkpoint_id"]]
    finally:
        disk.free()
    labelling_goes_on(project)
    assert project.check() == []


def test_a_run_whose_stored_settings_are_corrupted_fails_with_the_value(project: FaultProject) -> None:
    cancel_runs(project)
    config = {"learning_rate": "fast"}
    with project.database.write() as session:
        run_id = queue_run(
            session, algorithm="dpo", config=config, trigger="person", started_because="test", automatic=False
        ).id
    assert not within(60, lambda: [] if state(project, run_id) in FINAL else ["it goes on"])
    told = project.app.call("GET", f"/api/v1/training-runs/{run_id}")
    assert told["status"] == "failed" and "learning_rate" in told["error"] and "fast" in told["error"]


def state(project: FaultProject, run_id: str) -> str:
    return next(run.status for run in project.runs() if run.id == run_id)


def cancel_runs(project: FaultProject) -> None:
    """The machine is left to what is tried."""
    for run in project.runs():
        if run.status not in FINAL:
            with suppress(AssertionError):
                project.app.call("POST", f"/api/v1/training-runs/{run.id}/cancel")
    assert not within(60, lambda: [run.id for run in project.runs() if run.status in ACTIVE])


def refused_start(project: FaultProject, **settings: Any) -> str:
    """The one line that another app says, which does not start."""
    given = {f"PREFLOOP_{name.upper()}": str(value) for name, value in {**SETTINGS, **settings}.items()}
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env={**os.environ, "PREFLOOP_MODEL": str(project.model), **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_a_second_app_on_the_directory_and_one_on_a_taken_port_are_refused_and_the_first_goes_on(
    project: FaultProject, tmp_path: Path
) -> None:
    told = refused_start(project, data_dir=project.data_dir, port=free_port())
    assert "Another app serves" in told
    port = int(project.app.url.rpartition(":")[2])
    assert f"port {port}: Address already in use" in refused_start(project, data_dir=tmp_path / "other", port=port)
    assert not (tmp_path / "other").exists()
    labelling_goes_on(project)


def test_sigterm_with_pages_open_ends_the_app_within_seconds_and_the_next_one_has_it_all(project: FaultProject) -> None:
    cancel_runs(project)
    begun = threading.Semaphore(0)

    def hold(method: str, path: str, **body: Any) -> None:
        with suppress(httpx.HTTPError), httpx.stream(method, project.app.url + path, json=body or None) as answer:
            begun.release()
            list(answer.iter_raw())

    with ThreadPoolExecutor(3) as pool:
        for page in ("one", "two"):
            pool.submit(hold, "GET", f"/gradio_api/heartbeat/{page}")
        hello = [{"role": "user", "content": "Hello?"}]
        pool.submit(hold, "POST", "/v1/chat/completions", messages=hello, max_tokens=200, n=16, stream=True)
        assert all(begun.acquire(timeout=20) for _ in range(3))
        started = time.monotonic()
        project.app.process.send_signal(signal.SIGTERM)
        project.app.process.wait(timeout=60)
    assert time.monotonic() - started < 5 + SLOW_MACHINE_S
    assert "Traceback" not in project.app.log.read_text()[-2000:]
    assert project.choices_wrong() == []
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(project.app.url.rpartition(":")[2])))


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_kill_9_of_trainer_app_and_both_at_60_random_moments_each(tmp_path: Path, readable_model: Path) -> None:
    project = FaultProject.begin(tmp_path / "data", readable_model, waiting=20_000)
    try:
        rounds = [
            one
            for kind in ("trainer", "app", "both")
            for one in campaign(project, kind, rounds=SOAK_ROUNDS, seed=SEED, longest_s=12)
        ]
        print("\n" + table(rounds, project))
        assert [one for one in rounds if one.wrong] == []
    finally:
        project.end()
