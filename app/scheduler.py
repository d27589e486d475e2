"""The clock: queue runs that are due, launch and reap trainer processes, adopt decisions, refill comparisons.

Ticks are short and idempotent; everything they decide is in the database, so a crashed app picks up where it was. A
trainer outlives a crash of the app and is adopted by the next one: living means pid and start time, never a heartbeat.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from app.clock_watch import ClockWatch
from app.labelling import Labelling
from app.promotion import Promotion
from app.runs import Runs
from storage.database import Database
from storage.errors import PrefLoopError
from storage.runs import active_run, fail_unclaimed, get_run, mark_dead, next_run
from storage.tables import RunStatus, TrainingRun
from trainer.launcher import Launcher, TrainerProcess

log = logging.getLogger(__name__)

TICK_S = 1.0
REFILL_S = 0.5


class Scheduler:
    """One per app process. `start` begins the ticks, `stop` ends them and the trainer, resumably."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        promotion: Promotion,
        labelling: Labelling,
        launcher: Launcher,
        *,
        data_dir: Path,
        also: Sequence[tuple[str, Callable[[], object], float]] = (),
    ) -> None:
        self._also = also  # (name, tick, seconds) of what else goes by this clock
        self._database = database
        self._runs = runs
        self._promotion = promotion
        self._labelling = labelling
        self._launcher = launcher
        self._data_dir = data_dir
        self._launched: dict[str, TrainerProcess] = {}
        self._attempts: dict[str, int] = {}  # of each run when it was launched; claiming it makes one more
        self._cron = ""
        self._stopping = threading.Lock()
        self._stopped = False
        self._clock = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._watch = ClockWatch(self._clock)

    def start(self) -> None:
        """Begin the ticks, unless `stop` came first (the model may still have been loading)."""
        begin = datetime.now(UTC)
        for name, tick, seconds in (
            ("runs", self.tick_runs, TICK_S),
            ("promotion", self._promotion.adopt_decisions, TICK_S),
            ("canary", self._promotion.watch_canary, TICK_S),
            ("refill", self._labelling.refill, REFILL_S),
            *self._also,
        ):
            self._clock.add_job(_logged(tick, name), "interval", seconds=seconds, id=name, next_run_time=begin)
        with self._stopping:
            if not self._stopped:
                self._clock.start()
                self._watch.start()

    def stop(self) -> None:
        """End the ticks; ask a running trainer to save and stop, so that the next start resumes it."""
        with self._stopping:
            self._stopped = True
        self._watch.stop()
        if self._clock.running:
            self._clock.shutdown(wait=True)
        process = self._active_process()
        if process is not None and process.alive():
            log.info("the trainer saves and stops; it goes on with the next start")
            process.terminate()
            process.wait(timeout_s=20)

    def tick_runs(self) -> None:
        """Reap, tell of stops asked for, queue what is due, launch what is next."""
        self._follow_cron()
        self._reap()
        self._forward_cancel()
        self._runs.queue_due()
        self._launch()

    def _follow_cron(self) -> None:
        line = self._runs.schedule().cron
        if line == self._cron:
            return
        if self._cron:
            self._clock.remove_job("cron")
        if line:
            struck = _logged(lambda: self._runs.queue_due(clock_struck=True), "cron")
            self._clock.add_job(struck, CronTrigger.from_crontab(line, timezone=UTC), id="cron", replace_existing=True)
        self._cron = line

    def _reap(self) -> None:
        """Mark a run whose process is gone. One that ended its run itself has left nothing to mark but its body."""
        for launched in self._launched.values():
            launched.alive()  # asking collects the exit status of one that has ended
        with self._database.read() as session:
            run = active_run(session)
        if run is None or (process := self._process_of(run)) is None or process.alive():
            return
        with self._database.write() as session:
            run = get_run(session, run.id)
            if run.status in (RunStatus.running, RunStatus.evaluating):
                mark_dead(session, run.id, attempt=run.attempt, reason=self._epitaph(run, process))

    def _epitaph(self, run: TrainingRun, process: TrainerProcess) -> str:
        how = process.how_it_ended()
        last = [line for line in self._runs.log_lines(run.id, last=3) if line.strip()]
        told = f" Its last line: {last[-1][:300]}" if last else ""
        return f"Its process {how} while {run.stage or 'starting'}.{told}"

    def _forward_cancel(self) -> None:
        with self._database.read() as session:
            run = active_run(session)
        if run is not None and run.cancel_requested and (process := self._process_of(run)) is not None:
            process.terminate()

    def _launch(self) -> None:
        with self._database.read() as session:
            run = next_run(session)
        if run is None:
            return
        started = self._launched.get(run.id)
        if started is not None and started.alive():
            return  # it is starting up and has not claimed the run yet
        if started is not None and self._attempts[run.id] == run.attempt:
            self._fail_unclaimed(run, started)
            return
        log.info("starting run %s", run.id)
        self._attempts[run.id] = run.attempt
        self._launched[run.id] = self._launcher.launch(run.id)

    def _fail_unclaimed(self, run: TrainingRun, process: TrainerProcess) -> None:
        """A process that ended before it claimed its run will not do better the next second."""
        del self._launched[run.id]
        with self._database.write() as session:
            fail_unclaimed(session, run.id, reason=self._epitaph(run, process))

    def _process_of(self, run: TrainingRun) -> TrainerProcess | None:
        launched = self._launched.get(run.id)
        if launched is not None and launched.pid == run.pid:
            return launched
        if run.pid is None or run.process_started_at is None:
            return None
        return self._launcher.adopt(run.id, run.pid, run.process_started_at)

    def _active_process(self) -> TrainerProcess | None:
        with self._database.read() as session:
            run = active_run(session)
        if run is not None:
            return self._process_of(run)
        return next((p for p in self._launched.values() if p.alive()), None)


def _logged(tick: Callable[[], object], name: str) -> Callable[[], None]:
    """A tick that fails is told in the log and tried again at the next one."""

    def run() -> None:
        try:
            tick()
        except PrefLoopError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed; it is tried again", name)

    return run
