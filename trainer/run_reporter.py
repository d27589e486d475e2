"""Progress, metrics and stops of one attempt at a run, between its work and the database.

Written at most once a second; a new stage is written at once. Leaves out how a run ends (`trainer/worker.py`).
"""

import logging
import threading
import time
from collections.abc import Mapping

from storage.database import Database
from storage.runs import record_progress

log = logging.getLogger("trainer")

WRITE_EVERY_S = 1.0


class RunReporter:
    """A Reporter that writes to the run's row while its attempt owns it. Raises Fenced once another has taken over."""

    def __init__(self, database: Database, run_id: str, attempt: int, stopping: threading.Event) -> None:
        self._database = database
        self._run_id = run_id
        self._attempt = attempt
        self._stage = "starting"
        self._progress = (0, 0)
        self._metrics: list[tuple[int, str, float]] = []
        self._written_at = 0.0
        self._stopping = stopping

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, by a signal or through the database."""
        return self._stopping.is_set()

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """One optimiser step has been made."""
        self._progress = (step, total)
        self._metrics += [(step, name, value) for name, value in metrics.items()]
        if metrics:
            told = " ".join(f"{name.split('/')[-1]} {value:.4g}" for name, value in metrics.items())
            log.info("step %d of %d %s", step, total, told)
        self._write()

    def measured(self, step: int, metrics: Mapping[str, float]) -> None:
        """What is known of a step that was not made to its end; written at once."""
        self._metrics += [(step, name, value) for name, value in metrics.items()]
        self.flush()

    def log(self, line: str) -> None:
        log.info("%s", line)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        """What is done now, and how far it is."""
        if stage != self._stage:
            log.info("%s", stage)
            self._stage = stage
            self._written_at = 0.0
        self._progress = (step, total)
        self._write()

    def should_stop(self) -> bool:
        self._write()
        return self.stopping

    def flush(self) -> None:
        self._written_at = 0.0
        self._write()

    def _write(self) -> None:
        if time.monotonic() - self._written_at < WRITE_EVERY_S and self._written_at:
            return
        metrics, self._metrics = self._metrics, []
        with self._database.write() as session:
            asked = record_progress(
                session,
                self._run_id,
                attempt=self._attempt,
                stage=self._stage,
                step=self._progress[0],
                total_steps=self._progress[1],
                metrics=metrics,
            )
        self._written_at = time.monotonic()
        if asked:
            self._stopping.set()
