"""The machine's clock is set back by an hour: ticks go on, a run's time stays a time, decisions keep their order."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from apscheduler.schedulers import base
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from app import clock_watch
from app.clock_watch import ClockWatch
from app.runs import Runs
from storage import tables
from storage.database import Database
from storage.runs import claim_run

BACK = timedelta(hours=1)


def wait_for(event: threading.Event) -> bool:
    return event.wait(timeout=10)


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the clock back for everything that asks for the time of day."""

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - BACK

    def step() -> None:
        for module in (base, clock_watch, tables):
            monkeypatch.setattr(module, "datetime", Earlier)

    return step


def test_a_tick_goes_on_within_seconds(set_back: Callable[[], None]) -> None:
    ticked = threading.Event()
    clock = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
    clock.add_job(ticked.set, "interval", seconds=0.2, next_run_time=datetime.now(UTC))
    watch = ClockWatch(clock)
    clock.start()
    watch.start()
    try:
        assert wait_for(ticked)
        set_back()
        for _ in range(2):  # the one that was due already may still come
            ticked.clear()
            assert wait_for(ticked)
    finally:
        watch.stop()
        clock.shutdown()


def test_a_cron_line_is_due_at_its_next_time_by_the_new_clock(set_back: Callable[[], None]) -> None:
    clock = BackgroundScheduler(timezone=UTC)
    clock.start(paused=True)
    try:
        job = clock.add_job(print, CronTrigger.from_crontab("*/5 * * * *", timezone=UTC))
        watch = ClockWatch(clock)
        assert watch.look() == []
        set_back()
        assert watch.look() == [job.id]
        assert timedelta(0) < clock.get_job(job.id).next_run_time - (datetime.now(UTC) - BACK) <= timedelta(minutes=5)
    finally:
        clock.shutdown()


def test_a_run_has_not_taken_less_than_no_time(
    database: Database, tmp_path: Path, set_back: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(database, data_dir=tmp_path, auto_train=True, starter=True)
    run_id = runs.start(algorithm="dpo").id
    with database.write() as session:
        run = claim_run(session, run_id, pid=1, process_started_at=1.0)
        run.stage_started_at, run.step, run.total_steps = tables.now(), 3, 10
    set_back()
    view = runs.get(run_id)
    assert view.elapsed_s == 0 and view.left_s is None
