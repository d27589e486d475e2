"""The queue of evaluations: order, one at a time, fencing, ends that are true, and no twin of one that waits."""

from collections.abc import Callable
from typing import Any

import pytest

from storage.database import Database
from storage.errors import Conflict
from storage.evaluation_queue import (
    claim_evaluation,
    end_evaluation,
    fail_unclaimed_evaluation,
    mark_evaluation_dead,
    next_evaluation,
    queue_evaluation,
    record_evaluation_progress,
    request_evaluation_cancel,
)
from storage.evaluations import get_evaluation
from storage.runs import Fenced
from storage.tables import Evaluation, RunStatus


@pytest.fixture
def queue(database: Database, checkpoint: Callable[..., str]) -> Callable[..., int]:
    checkpoint("new")

    def make(judge: str = "j", baseline: str = "initial") -> int:
        with database.write() as session:
            config = {"asked": {"judge": judge, "prompts": 8}}
            evaluation, _ = queue_evaluation(session, candidate_id="new", baseline=baseline, config=config)
            assert evaluation.id is not None
            return evaluation.id

    return make


def write(database: Database, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with database.write() as session:
        return function(session, *args, **named)


def get(database: Database, evaluation_id: int) -> Evaluation:
    with database.read() as session:
        return get_evaluation(session, evaluation_id)


def claim(database: Database, evaluation_id: int, pid: int = 1) -> Evaluation:
    return write(database, claim_evaluation, evaluation_id, pid=pid, process_started_at=1.0)


def test_the_same_evaluation_is_queued_once_until_it_is_over(database: Database, queue: Callable[..., int]) -> None:
    first = queue()
    assert queue() == first and queue(judge="other") != first
    claim(database, first)
    assert queue() == first
    write(database, end_evaluation, first, attempt=1, status=RunStatus.failed, error="why")
    assert queue() != first


def test_the_oldest_is_next_and_nothing_while_one_runs(database: Database, queue: Callable[..., int]) -> None:
    first, second = queue(), queue("other")
    with database.read() as session:
        waiting = next_evaluation(session)
    assert waiting is not None and waiting.id == first
    claim(database, first)
    with database.read() as session:
        assert next_evaluation(session) is None
    with pytest.raises(Conflict, match="another one is running"):
        claim(database, second)


def test_a_process_whose_evaluation_was_claimed_anew_writes_nothing(
    database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    claim(database, one)
    write(database, end_evaluation, one, attempt=1, status=RunStatus.queued)
    claim(database, one)
    with pytest.raises(Fenced):
        write(database, record_evaluation_progress, one, attempt=1, stage="asking", step=3, total_steps=8)
    assert get(database, one).step == 0


def test_a_stop_is_told_with_the_next_progress_and_ends_a_waiting_one_at_once(
    database: Database, queue: Callable[..., int]
) -> None:
    running, waiting = queue(), queue("other")
    claim(database, running)
    write(database, request_evaluation_cancel, running)
    write(database, request_evaluation_cancel, waiting)
    told = write(database, record_evaluation_progress, running, attempt=1, stage="asking", step=1, total_steps=8)
    assert told and get(database, running).status is RunStatus.running
    assert get(database, waiting).status is RunStatus.cancelled
    with pytest.raises(Conflict, match="already cancelled"):
        write(database, request_evaluation_cancel, waiting)


@pytest.mark.parametrize(("asked", "status"), [(False, RunStatus.failed), (True, RunStatus.cancelled)])
def test_a_dead_process_leaves_the_truth(
    database: Database, queue: Callable[..., int], asked: bool, status: RunStatus
) -> None:
    one = queue()
    claim(database, one)
    if asked:
        write(database, request_evaluation_cancel, one)
    write(database, mark_evaluation_dead, one, attempt=1, reason="killed by signal 9")
    found = get(database, one)
    assert (found.status, found.error) == (status, None if asked else "killed by signal 9")
    assert found.finished_at is not None


def test_one_that_was_claimed_by_another_process_is_not_failed_as_unclaimed(
    database: Database, queue: Callable[..., int]
) -> None:
    one = queue()
    claim(database, one)
    write(database, fail_unclaimed_evaluation, one, reason="ended")
    assert get(database, one).status is RunStatus.running
