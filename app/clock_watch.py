"""Sees that the machine's clock, set back, does not stop the ticks.

APScheduler keeps the moment of each job's next run by the wall clock: set back by an hour, nothing would run for that
hour. A thread of its own, which waits by the monotonic clock, brings forward what lies farther ahead than it can.
"""

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
SLACK = timedelta(seconds=1)


class ClockWatch:
    """Watches one scheduler from `start` to `stop`."""

    def __init__(self, clock: BackgroundScheduler) -> None:
        self._clock = clock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def look(self) -> list[str]:
        """Bring forward the jobs whose next run a clock that was set back has put off; their names."""
        moved = []
        for job in self._clock.get_jobs():
            moment = datetime.now(UTC)
            soonest = _soonest(job, moment)
            if job.next_run_time is not None and soonest is not None and job.next_run_time > soonest + SLACK:
                with suppress(JobLookupError):  # taken out meanwhile
                    self._clock.modify_job(job.id, next_run_time=soonest)
                    moved.append(job.id)
        if moved:
            log.warning("the machine's clock was set back; by it, these go on from now: %s", ", ".join(moved))
        return moved

    def _run(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("the clock could not be looked after; it is tried again")


def _soonest(job: Job, moment: datetime) -> datetime | None:
    """The latest moment that its next run may have."""
    if isinstance(job.trigger, CronTrigger):
        found: datetime | None = job.trigger.get_next_fire_time(None, moment)
        return found
    interval: timedelta = job.trigger.interval
    return moment + interval
