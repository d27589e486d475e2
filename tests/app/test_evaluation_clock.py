"""The clock's tick for evaluations, with processes that only pretend: launch once, tell of stops, mark the dead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pretended_launcher import FakeLauncher, FakeProcess

from app.evaluation_clock import EvaluationClock
from storage.checkpoints import record_project
from storage.database import Database
from storage.evaluation_queue import claim_evaluation, end_evaluation, queue_evaluation, request_evaluation_cancel
from storage.evaluations import get_evaluation
from storage.tables import Evaluation, RunStatus


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()


@pytest.fixture
def clock(database: Database, launcher: Any, tmp_path: Path) -> EvaluationClock:
    with database.write() as session:
        record_project(session, initial_model="m", name="m", digest="d")
    return EvaluationClock(database, launcher, data_dir=tmp_path)


@pytest.fixture
def queue(database: Database) -> Callable[[str], int]:
    def make(judge: str = "j") -> int:
        with database.write() as session:
            config = {"asked": {"judge": judge, "prompts": 8}}
            evaluation, _ = queue_evaluation(session, candidate_id="initial", baseline="chosen", config=config)
            assert evaluation.id is not None
            return evaluation.id

    return make


def claim(database: Database, evaluation_id: int, process: FakeProcess) -> None:
    with database.write() as session:
        claim_evaluation(session, evaluation_id, pid=process.pid, process_started_at=process.started_at)


def get(database: Database, evaluation_id: int) -> Evaluation:
    with database.read() as session:
        return get_evaluation(session, evaluation_id)


def test_one_process_is_started_and_the_second_evaluation_waits(
    clock: EvaluationClock, launcher: FakeLauncher, database: Database, queue: Callable[..., int]
) -> None:
    first, second = queue("a"), queue("b")
    clock.tick()
    clock.tick()
    claim(database, first, launcher.launched[0][1])
    clock.tick()
    assert [one for one, _ in launcher.launched] == [first]
    with database.write() as session:
        end_evaluation(session, first, attempt=1, status=RunStatus.cancelled)
    clock.tick()
    assert [one for one, _ in launcher.launched] == [first, second]


def test_a_killed_process_fails_its_evaluation_with_the_reason_and_the_remedy(
    clock: EvaluationClock, launcher: FakeLauncher, database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    clock.tick()
    claim(database, one, launcher.launched[0][1])
    launcher.launched[0][1].living = False
    clock.tick()
    found = get(database, one)
    assert found.status is RunStatus.failed and found.error is not None
    assert "killed by signal 9" in found.error and "goes on from there" in found.error


def test_a_process_that_ends_before_it_claims_fails_its_evaluation(
    clock: EvaluationClock, launcher: FakeLauncher, database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    clock.tick()
    launcher.launched[0][1].living = False
    clock.tick()
    assert get(database, one).status is RunStatus.failed and len(launcher.launched) == 1


def test_a_process_that_outlived_the_app_is_adopted_and_not_started_again(
    clock: EvaluationClock, launcher: Any, database: Database, queue: Callable[..., int], tmp_path: Path
) -> None:
    one = queue()
    clock.tick()
    claim(database, one, launcher.launched[0][1])
    after_crash = EvaluationClock(database, launcher, data_dir=tmp_path)
    after_crash.tick()
    assert len(launcher.launched) == 1 and get(database, one).status is RunStatus.running
    launcher.adopted[100].living = False
    after_crash.tick()
    assert get(database, one).status is RunStatus.failed


def test_a_stop_reaches_the_process_and_one_that_dies_of_it_is_cancelled(
    clock: EvaluationClock, launcher: FakeLauncher, database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    clock.tick()
    process = launcher.launched[0][1]
    claim(database, one, process)
    with database.write() as session:
        request_evaluation_cancel(session, one)
    clock.tick()
    assert process.terminated == 1
    process.living = False
    clock.tick()
    assert get(database, one).status is RunStatus.cancelled


def test_one_that_handed_its_evaluation_back_is_started_again(
    clock: EvaluationClock, launcher: FakeLauncher, database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    clock.tick()
    claim(database, one, launcher.launched[0][1])
    clock.stop()
    assert launcher.launched[0][1].terminated == 1
    launcher.launched[0][1].living = False
    with database.write() as session:
        end_evaluation(session, one, attempt=1, status=RunStatus.queued)
    clock.tick()
    assert [which for which, _ in launcher.launched] == [one, one]
