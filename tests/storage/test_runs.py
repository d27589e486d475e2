"""The queue of runs: order, coalescing, one at a time, fencing, interruption, cancelling."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from storage.database import Database
from storage.errors import Conflict
from storage.runs import (
    Fenced,
    active_run,
    claim_run,
    finish_run,
    get_run,
    list_runs,
    mark_dead,
    mark_interrupted,
    metrics_of,
    next_run,
    queue_run,
    record_progress,
    request_cancel,
)
from storage.tables import FINAL, RunStatus, TrainingRun


@pytest.fixture
def queue(database: Database) -> Callable[..., str]:
    def make(algorithm: str = "dpo", *, automatic: bool = False) -> str:
        with database.write() as session:
            return queue_run(
                session,
                algorithm=algorithm,
                config={},
                trigger="preferences" if automatic else "person",
                started_because="because",
                automatic=automatic,
            ).id

    return make


def claim(database: Database, run_id: str, pid: int = 1) -> TrainingRun:
    with database.write() as session:
        return claim_run(session, run_id, pid=pid, process_started_at=1.0)


def write(database: Database, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with database.write() as session:
        return function(session, *args, **named)


def status(database: Database, run_id: str) -> RunStatus:
    with database.read() as session:
        return get_run(session, run_id).status


def next_id(database: Database) -> str | None:
    with database.read() as session:
        run = next_run(session)
        return run.id if run else None


def test_runs_are_numbered_through_all_algorithms(queue: Callable[..., str]) -> None:
    assert [queue("sft"), queue("dpo"), queue("reward_model")] == ["sft-0001", "dpo-0002", "reward_model-0003"]


def test_the_oldest_queued_run_is_next_and_none_while_one_is_active(
    database: Database, queue: Callable[..., str]
) -> None:
    first, second = queue(), queue()
    assert next_id(database) == first
    claim(database, first)
    assert next_id(database) is None
    write(database, finish_run, first, attempt=1, status=RunStatus.succeeded)
    assert next_id(database) == second


def test_an_interrupted_run_goes_before_the_queue(database: Database, queue: Callable[..., str]) -> None:
    first, _ = queue(), queue()
    claim(database, first)
    write(database, mark_interrupted, first, attempt=1, reason="The app was stopped.")
    assert next_id(database) == first


def test_automatic_triggers_coalesce(database: Database, queue: Callable[..., str]) -> None:
    assert queue(automatic=True) == queue(automatic=True)
    with database.read() as session:
        assert len(list_runs(session)) == 1


def test_a_coalesced_run_is_brought_up_to_the_newest_choice(
    database: Database, queue: Callable[..., str], compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    run = queue(automatic=True)
    newest = choose(compare())
    queue(automatic=True)
    with database.read() as session:
        assert get_run(session, run).last_preference_id == newest


def test_a_coalesced_run_counts_the_choices_that_were_added(
    database: Database, queue: Callable[..., str], compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare("One?"))
    run = queue(automatic=True)
    choose(compare("Two?"))
    choose(compare("Three?"))
    assert queue(automatic=True) == run
    with database.read() as session:
        assert get_run(session, run).new_preferences == 3


def test_what_a_person_queues_never_coalesces(queue: Callable[..., str]) -> None:
    assert len({queue(automatic=True), queue(), queue()}) == 3


def test_an_automatic_run_that_has_started_does_not_absorb_the_next(
    database: Database, queue: Callable[..., str]
) -> None:
    first = queue(automatic=True)
    claim(database, first)
    assert queue(automatic=True) != first


def test_a_run_counts_the_choices_since_the_one_before(
    database: Database, queue: Callable[..., str], compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare("One?"))
    choose(compare("Two?"))
    first = queue()
    choose(compare("Three?"))
    second = queue()
    with database.read() as session:
        assert [get_run(session, run).new_preferences for run in (first, second)] == [2, 1]


def test_a_second_claim_while_one_is_active_is_a_conflict(database: Database, queue: Callable[..., str]) -> None:
    first, second = queue(), queue()
    claim(database, first)
    with pytest.raises(Conflict, match="another run is active"):
        claim(database, second)
    assert status(database, second) is RunStatus.queued


def test_of_two_threads_that_claim_two_runs_one_gets_through(database: Database, queue: Callable[..., str]) -> None:
    runs = [queue(), queue()]
    barrier, claimed, refused = threading.Barrier(2), [], []

    def work(run_id: str) -> None:
        barrier.wait()
        try:
            claimed.append(claim(database, run_id).id)
        except Conflict:
            refused.append(run_id)

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(refused) == 1
    with database.read() as session:
        active = active_run(session)
    assert active is not None and active.id == claimed[0]


def test_of_two_processes_that_claim_one_run_the_later_is_refused(
    database: Database, queue: Callable[..., str]
) -> None:
    run = queue()
    claim(database, run)
    with pytest.raises(Conflict, match="running"):
        claim(database, run)


def test_an_older_attempt_is_fenced_from_every_write(database: Database, queue: Callable[..., str]) -> None:
    run = queue()
    claim(database, run)
    write(database, mark_dead, run, attempt=1, reason="Killed.")
    assert claim(database, run, pid=2).attempt == 2
    for function, named in (
        (record_progress, {"step": 9}),
        (finish_run, {"status": RunStatus.succeeded}),
        (mark_interrupted, {"reason": "late"}),
        (mark_dead, {"reason": "late"}),
    ):
        with pytest.raises(Fenced):
            write(database, function, run, attempt=1, **named)
    with database.read() as session:
        row = get_run(session, run)
    assert (row.status, row.step, row.pid) == (RunStatus.running, 0, 2)


def test_a_killed_run_is_continued_twice_and_then_fails_with_the_reason(
    database: Database, queue: Callable[..., str]
) -> None:
    run, seen = queue(), []
    for attempt in (1, 2, 3):
        claim(database, run)
        seen.append(write(database, mark_dead, run, attempt=attempt, reason="Killed.").status)
    assert seen == [RunStatus.interrupted, RunStatus.interrupted, RunStatus.failed]
    with database.read() as session:
        row = get_run(session, run)
    assert row.error == "Killed. It had been continued 2 times already."
    assert row.finished_at is not None


def test_a_waiting_run_is_cancelled_at_once(database: Database, queue: Callable[..., str]) -> None:
    run = queue()
    write(database, request_cancel, run)
    assert status(database, run) is RunStatus.cancelled
    assert next_id(database) is None


def test_an_active_run_is_told_to_stop_and_ends_cancelled_if_its_process_dies(
    database: Database, queue: Callable[..., str]
) -> None:
    run = queue()
    claim(database, run)
    write(database, request_cancel, run)
    assert status(database, run) is RunStatus.running
    assert write(database, record_progress, run, attempt=1, step=1) is True
    write(database, mark_dead, run, attempt=1, reason="Gone.")
    assert status(database, run) is RunStatus.cancelled


@pytest.mark.parametrize("final", sorted(FINAL))
def test_a_run_that_is_over_cannot_be_cancelled_or_claimed(
    database: Database, queue: Callable[..., str], final: RunStatus
) -> None:
    run = queue()
    claim(database, run)
    write(database, finish_run, run, attempt=1, status=final)
    with pytest.raises(Conflict, match=f"already {final}"):
        write(database, request_cancel, run)
    with pytest.raises(Conflict):
        claim(database, run)


def test_metrics_come_back_in_order_and_a_repeated_step_is_overwritten(
    database: Database, queue: Callable[..., str]
) -> None:
    run = queue()
    claim(database, run)
    write(database, record_progress, run, attempt=1, metrics=[(2, "loss", 0.5), (1, "loss", 0.7)])
    write(database, record_progress, run, attempt=1, metrics=[(2, "loss", 0.4)])
    with database.read() as session:
        assert [(m.step, m.value) for m in metrics_of(session, run)] == [(1, 0.7), (2, 0.4)]
        assert [m.step for m in metrics_of(session, run, after_step=1)] == [2]
