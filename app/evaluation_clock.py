"""The clock's part in evaluations: start the next one's process, tell it of a stop, mark it when it is gone, and end
those by people once all is chosen.

Like the ticks for training runs (app/scheduler.py): short, idempotent, all of it decided from the database. A process
outlives a crash of the app and is adopted by the next one, by pid and start time.
"""

import logging
from pathlib import Path

from app.runs import last_lines
from storage.database import Database
from storage.evaluation_queue import (
    fail_unclaimed_evaluation,
    mark_evaluation_dead,
    next_evaluation,
    running_evaluation,
)
from storage.evaluations import get_evaluation
from storage.people_evaluations import answered_evaluations, close_answered
from storage.tables import Evaluation, RunStatus
from trainer.launcher import Launcher, TrainerProcess

log = logging.getLogger(__name__)


class EvaluationClock:
    """One per app process. `tick` from one thread, `stop` once no tick comes any more."""

    def __init__(self, database: Database, launcher: Launcher, *, data_dir: Path) -> None:
        self._database = database
        self._launcher = launcher
        self._data_dir = data_dir
        self._launched: dict[int, TrainerProcess] = {}
        self._attempts: dict[int, int] = {}  # of each when it was launched; claiming makes one more

    def tick(self) -> None:
        self._reap()
        self._launch()
        self._close()

    def stop(self) -> None:
        """Ask a running one to stop; it is queued again, and the next start goes on from its stored replies."""
        with self._database.read() as session:
            running = running_evaluation(session)
        process = self._process_of(running) if running is not None else None
        for one in [process] if process is not None else [p for p in self._launched.values() if p.alive()]:
            one.terminate()
            one.wait(timeout_s=20)

    def _reap(self) -> None:
        """Tell a running one of a stop that was asked for; mark one whose process is gone."""
        for launched in self._launched.values():
            launched.alive()  # asking collects the exit status of one that has ended
        with self._database.read() as session:
            running = running_evaluation(session)
        if running is None or running.id is None or (process := self._process_of(running)) is None:
            return
        if process.alive():
            if running.cancel_requested:
                process.terminate()
            return
        with self._database.write() as session:
            found = get_evaluation(session, running.id)
            if found.status is RunStatus.running and found.attempt == running.attempt:
                mark_evaluation_dead(
                    session, running.id, attempt=running.attempt, reason=self._epitaph(running, process)
                )

    def _launch(self) -> None:
        with self._database.read() as session:
            waiting = next_evaluation(session)
        if waiting is None or waiting.id is None:
            return
        started = self._launched.get(waiting.id)
        if started is not None and started.alive():
            return  # it is starting up and has not claimed it yet, or it has just handed it back
        if started is not None and self._attempts[waiting.id] == waiting.attempt:
            del self._launched[waiting.id]  # it ended before it claimed, and will not do better the next second
            with self._database.write() as session:
                fail_unclaimed_evaluation(session, waiting.id, reason=self._epitaph(waiting, started))
            return
        log.info("starting evaluation %d", waiting.id)
        self._attempts[waiting.id] = waiting.attempt
        self._launched[waiting.id] = self._launcher.launch_evaluation(waiting.id)

    def _close(self) -> None:
        with self._database.read() as session:
            answered = answered_evaluations(session)
        if answered:
            with self._database.write() as session:
                for evaluation_id in answered:
                    close_answered(session, evaluation_id)

    def _process_of(self, evaluation: Evaluation) -> TrainerProcess | None:
        launched = self._launched.get(evaluation.id or 0)
        if launched is not None and launched.pid == evaluation.pid:
            return launched
        if evaluation.pid is None or evaluation.process_started_at is None:
            return None
        return self._launcher.adopt(str(evaluation.id), evaluation.pid, evaluation.process_started_at)

    def _epitaph(self, evaluation: Evaluation, process: TrainerProcess) -> str:
        log_file = self._data_dir / "evaluations" / str(evaluation.id) / "log"
        last = [line for line in last_lines(log_file, last=3) if line.strip()]
        told = f" Its last line: {last[-1][:300]}" if last else ""
        return (
            f"Its process {process.how_it_ended()} while {evaluation.stage or 'starting'}.{told} "
            "What was judged is stored: the same evaluation goes on from there."
        )
