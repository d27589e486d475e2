"""The clock's run tick with processes that only pretend: launch once, reap the dead, resume twice, tell of stops."""

from pathlib import Path
from typing import Any

import pytest
from labelled import record_choices
from pretended_launcher import FakeLauncher, FakeProcess

from app.runs import Runs
from app.scheduler import Scheduler
from storage.database import Database
from storage.runs import claim_run, finish_run, get_run
from storage.tables import RunStatus, TrainingRun


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()


@pytest.fixture
def runs(database: Database, tmp_path: Path) -> Runs:
    return Runs(database, data_dir=tmp_path, auto_train=True, starter=True)


@pytest.fixture
def scheduler(database: Database, runs: Runs, launcher: FakeLauncher, tmp_path: Path) -> Scheduler:
    return make_scheduler(database, runs, launcher, tmp_path)


def make_scheduler(database: Database, runs: Runs, launcher: FakeLauncher, tmp_path: Path) -> Scheduler:
    unused: Any = type("Unused", (), {"adopt_decisions": None, "watch_canary": None, "refill": None})()
    return Scheduler(database, runs, unused, unused, launcher, data_dir=tmp_path)  # type: ignore[arg-type]


def claim(database: Database, run_id: str, process: FakeProcess) -> None:
    with database.write() as session:
        claim_run(session, run_id, pid=process.pid, process_started_at=process.started_at)


def get(database: Database, run_id: str) -> TrainingRun:
    with database.read() as session:
        return get_run(session, run_id)


def test_enough_choices_start_one_process(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    runs.set_schedule({"new_preferences": 5})
    record_choices(database, count=5)
    scheduler.tick_runs()
    scheduler.tick_runs()
    assert [run_id for run_id, _ in launcher.launched] == ["dpo-0001"]


def test_the_second_run_waits_for_the_first(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    first, second = runs.start(algorithm="dpo"), runs.start(algorithm="sft")
    scheduler.tick_runs()
    claim(database, first.id, launcher.launched[0][1])
    scheduler.tick_runs()
    assert len(launcher.launched) == 1
    with database.write() as session:
        finish_run(session, first.id, attempt=1, status=RunStatus.succeeded)
    scheduler.tick_runs()
    assert launcher.launched[1][0] == second.id


def test_a_killed_run_is_resumed_twice_by_itself_and_then_fails_with_the_reason(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    run = runs.start(algorithm="dpo")
    for attempt in range(3):
        scheduler.tick_runs()
        process = launcher.launched[attempt][1]
        claim(database, run.id, process)
        process.living = False
    scheduler.tick_runs()
    ended = get(database, run.id)
    assert (ended.status, len(launcher.launched)) == (RunStatus.failed, 3)
    assert ended.error is not None and "killed by signal 9" in ended.error


def test_a_process_that_ends_before_it_claims_fails_its_run(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    run = runs.start(algorithm="dpo")
    scheduler.tick_runs()
    launcher.launched[0][1].living = False
    scheduler.tick_runs()
    assert get(database, run.id).status is RunStatus.failed


def test_a_trainer_that_outlived_the_app_is_adopted_and_not_started_again(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database, tmp_path: Path
) -> None:
    run = runs.start(algorithm="dpo")
    scheduler.tick_runs()
    claim(database, run.id, launcher.launched[0][1])
    after_crash = make_scheduler(database, runs, launcher, tmp_path)
    after_crash.tick_runs()
    assert len(launcher.launched) == 1 and get(database, run.id).status is RunStatus.running
    launcher.adopted[100].living = False
    after_crash.tick_runs()
    assert len(launcher.launched) == 2 and get(database, run.id).status is RunStatus.interrupted


def test_a_stop_asked_for_reaches_the_process(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    run = runs.start(algorithm="dpo")
    scheduler.tick_runs()
    process = launcher.launched[0][1]
    claim(database, run.id, process)
    runs.cancel(run.id)
    scheduler.tick_runs()
    assert process.terminated == 1


def test_a_run_killed_after_a_stop_was_asked_for_is_cancelled(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    run = runs.start(algorithm="dpo")
    scheduler.tick_runs()
    process = launcher.launched[0][1]
    claim(database, run.id, process)
    runs.cancel(run.id)
    process.living = False
    scheduler.tick_runs()
    assert get(database, run.id).status is RunStatus.cancelled


def test_a_run_that_another_process_claimed_and_left_is_resumed_and_not_failed(
    scheduler: Scheduler, runs: Runs, launcher: FakeLauncher, database: Database
) -> None:
    run = runs.start(algorithm="dpo")
    scheduler.tick_runs()
    launcher.launched[0][1].living = False  # too late: `prefloop train` has claimed it
    claim(database, run.id, launcher.adopt(run.id, 7, 1.0))
    launcher.adopted[7].living = False
    scheduler.tick_runs()
    assert get(database, run.id).status is RunStatus.interrupted
    assert len(launcher.launched) == 2
