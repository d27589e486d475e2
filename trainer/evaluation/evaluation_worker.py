"""A queued evaluation's own process: judge, tell the row how it goes, and one transaction that ends it.

By people, it writes the texts and puts them before them; the evaluation goes on without a process.

SIGTERM means stop: cancelled where that was asked for, else queued again, because the app stops and its next start goes
on. A killed process leaves its row to the app (app/evaluation_clock.py) and its replies in the cache.
"""

import logging
import random
import threading
import time
import traceback
from dataclasses import asdict

from storage.database import Database
from storage.errors import PrefLoopError
from storage.evaluation_queue import (
    end_evaluation,
    owned_evaluation,
    record_evaluation_estimate,
    record_evaluation_progress,
)
from storage.evaluations import get_evaluation
from storage.people_evaluations import PEOPLE, put_before_people
from storage.runs import Fenced
from storage.tables import Evaluation, RunStatus
from trainer.evaluation.judged_rows import record_finished
from trainer.evaluation.judged_texts import gather_cases
from trainer.evaluation.judges.budget import Estimate
from trainer.evaluation.judges.opening import RUBRIC, JudgeOptions
from trainer.evaluation.judging import Place, evaluate_by_judge
from trainer.evaluation.people_texts import drawn_pairs
from trainer.reporter import Stopped

log = logging.getLogger("trainer")

WRITE_EVERY_S = 1.0


class EvaluationWorker:
    """One attempt at one evaluation. `work` returns the process's exit status. `key` goes to the judge's server."""

    def __init__(
        self, database: Database, evaluation: Evaluation, place: Place, *, key: str, stopping: threading.Event
    ) -> None:
        assert evaluation.id is not None
        self._database, self._place, self._key = database, place, key
        self._id, self._attempt_number = evaluation.id, evaluation.attempt
        self._evaluation = evaluation
        self._told = EvaluationReporter(database, evaluation.id, evaluation.attempt, stopping)

    def work(self) -> int:
        try:
            return self._attempt()
        except Fenced as error:
            log.warning("%s", error)
            return 2

    def _attempt(self) -> int:
        try:
            if self._evaluation.config["asked"]["judge"] == PEOPLE:
                self._ask_people()
            else:
                self._judge()
        except Stopped as stopped:
            log.info("%s", stopped)
            self._end_stopped()
        except Fenced:
            raise
        except PrefLoopError as error:
            log.error("%s", error)
            self._end(RunStatus.failed, str(error))
            return 1
        except Exception as error:
            traceback.print_exc()
            self._end(RunStatus.failed, f"{type(error).__name__}: {error}")
            return 1
        return 0

    def _judge(self) -> None:
        asked, judging = self._evaluation.config["asked"], self._evaluation.config["judging"]
        options = JudgeOptions(
            [judging["source"]],
            rubric=asked.get("rubric") or RUBRIC,
            prices=(judging["price_read"], judging["price_written"]),
            budget=judging["budget"],
            key=self._key,
        )
        finished = evaluate_by_judge(
            self._database,
            self._place,
            options,
            candidate=self._evaluation.candidate_id,
            baseline=self._evaluation.baseline,
            prompts=asked["prompts"],
            told=self._told,
        )
        with self._database.write() as session:
            record_finished(session, finished, owned_evaluation(session, self._id, attempt=self._attempt_number))
        verdicts, calls = len(finished.judged.verdicts), finished.judged.tally
        log.info("%d verdicts: %d calls made, %d replies were stored", verdicts, calls.asked, calls.stored)

    def _ask_people(self) -> None:
        """The same texts as a judge would be given, stored as comparisons; a stop before that leaves none."""
        asked, place, told = self._evaluation.config["asked"], self._place, self._told
        told.stage("loading the checkpoints", 0, 0)
        sides = {"candidate": self._evaluation.candidate_id, "baseline": self._evaluation.baseline}
        cases, _ = gather_cases(
            self._database,
            data_dir=place.data_dir,
            model_source=place.model_source,
            device=place.device,
            prompts=asked["prompts"],
            tell=told.stage,
            should_stop=told.should_stop,
            **sides,
        )
        pairs = drawn_pairs(cases, **sides, chance=random.SystemRandom())
        with self._database.write() as session:
            owned = owned_evaluation(session, self._id, attempt=self._attempt_number)
            if owned.cancel_requested:
                raise Stopped("stopped before anything was put before people")
            put_before_people(session, owned, pairs)
        log.info("%d comparisons wait for people", len(pairs))

    def _end_stopped(self) -> None:
        with self._database.read() as session:
            cancelled = get_evaluation(session, self._id).cancel_requested
        self._end(RunStatus.cancelled if cancelled else RunStatus.queued)

    def _end(self, status: RunStatus, error: str | None = None) -> None:
        with self._database.write() as session:
            end_evaluation(session, self._id, attempt=self._attempt_number, status=status, error=error)


class EvaluationReporter:
    """Tells the row at most once a second, a new stage at once. Raises Fenced once another attempt has taken over."""

    def __init__(self, database: Database, evaluation_id: int, attempt: int, stopping: threading.Event) -> None:
        self._database, self._id, self._attempt = database, evaluation_id, attempt
        self._stopping = stopping
        self._stage, self._step, self._total = "starting", 0, 0
        self._written_at = 0.0
        self._writing = threading.Lock()  # a server is asked by several threads, each of which asks whether to stop

    def stage(self, stage: str, step: int, total: int) -> None:
        if stage != self._stage:
            log.info("%s", stage)
            self._stage, self._written_at = stage, 0.0
        self._step, self._total = step, total
        self._write()

    def estimated(self, prompts: int, left: Estimate) -> None:
        log.info("%d prompts, %d calls to make", prompts, left.calls)
        estimate = {"prompts": prompts, **asdict(left)}
        with self._database.write() as session:
            record_evaluation_estimate(session, self._id, attempt=self._attempt, estimate=estimate)

    def should_stop(self) -> bool:
        self._write()
        return self._stopping.is_set()

    def _write(self) -> None:
        if time.monotonic() - self._written_at < WRITE_EVERY_S or not self._writing.acquire(blocking=False):
            return
        try:
            with self._database.write() as session:
                asked = record_evaluation_progress(
                    session,
                    self._id,
                    attempt=self._attempt,
                    stage=self._stage,
                    step=self._step,
                    total_steps=self._total,
                )
            self._written_at = time.monotonic()
        finally:
            self._writing.release()
        if asked:
            self._stopping.set()
