"""The queue of evaluations by a judge: first in, first out, one running at a time, fenced by attempt.

    queued -> running -> succeeded | failed | cancelled
      ^----------| its app was stopped: the next start goes on

One by people goes from running, while their texts are written, to evaluating, for as long as they choose
(storage/people_evaluations.py).

The web app queues, asks for a stop and marks dead processes; only the process that claimed an evaluation writes its
progress. What was judged is in the reply cache whatever becomes of the row, so nothing has to be saved here and the
same evaluation asked for again goes on from there. The gate's evaluations are no part of the queue: they are stored
finished.
"""

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from storage.errors import Conflict
from storage.evaluations import get_evaluation
from storage.people_evaluations import withdraw_unseen
from storage.runs import Fenced
from storage.tables import FINAL, Evaluation, RunStatus, now

UNFINISHED = (RunStatus.queued, RunStatus.running, RunStatus.evaluating)


def queue_evaluation(
    session: Session, *, candidate_id: str, baseline: str, config: dict[str, Any]
) -> tuple[Evaluation, bool]:
    """Append an evaluation; whether it is new. The same one, while it is not over, is given back instead."""
    query = select(Evaluation).where(
        Evaluation.candidate_id == candidate_id,
        Evaluation.baseline == baseline,
        col(Evaluation.status).in_(UNFINISHED),
        col(Evaluation.cancel_requested).is_(False),
    )
    for waiting in session.exec(query):
        if waiting.config.get("asked") == config.get("asked"):
            return waiting, False
    evaluation = Evaluation(
        candidate_id=candidate_id, baseline=baseline, config=config, status=RunStatus.queued, stage="waiting"
    )
    session.add(evaluation)
    session.flush()
    return evaluation, True


def running_evaluation(session: Session) -> Evaluation | None:
    return session.exec(select(Evaluation).where(Evaluation.status == RunStatus.running)).first()


def next_evaluation(session: Session) -> Evaluation | None:
    """The oldest queued one; None while one is running."""
    if running_evaluation(session) is not None:
        return None
    query = select(Evaluation).where(Evaluation.status == RunStatus.queued).order_by(col(Evaluation.id))
    return session.exec(query.limit(1)).first()


def asked_evaluations(session: Session, *, limit: int) -> list[Evaluation]:
    """Those of the queue, waiting, running or over, newest first; the gate's are of a run and left out."""
    query = select(Evaluation).where(col(Evaluation.run_id).is_(None)).order_by(col(Evaluation.id).desc())
    return list(session.exec(query.limit(limit)))


def claim_evaluation(session: Session, evaluation_id: int, *, pid: int, process_started_at: float) -> Evaluation:
    """Make this process its owner. Raises Conflict when it is not queued, or another one is running."""
    evaluation = get_evaluation(session, evaluation_id)
    if evaluation.status is not RunStatus.queued:
        raise Conflict(f"Evaluation {evaluation_id} is {evaluation.status}; only a queued one can be claimed.")
    evaluation.status = RunStatus.running
    evaluation.stage, evaluation.stage_started_at = "starting", now()
    evaluation.step, evaluation.total_steps = 0, 0
    evaluation.attempt += 1
    evaluation.pid, evaluation.process_started_at = pid, process_started_at
    evaluation.started_at = evaluation.started_at or now()
    session.add(evaluation)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"Evaluation {evaluation_id} must wait: another one is running.") from error
    return evaluation


def owned_evaluation(session: Session, evaluation_id: int, *, attempt: int) -> Evaluation:
    """The evaluation, if this attempt still owns it. Raises Fenced otherwise."""
    evaluation = get_evaluation(session, evaluation_id)
    if evaluation.attempt != attempt or evaluation.status is not RunStatus.running:
        raise Fenced(
            f"Evaluation {evaluation_id} is {evaluation.status} in attempt {evaluation.attempt}; "
            f"this is attempt {attempt}."
        )
    return evaluation


def record_evaluation_progress(
    session: Session, evaluation_id: int, *, attempt: int, stage: str, step: int, total_steps: int
) -> bool:
    """Write stage and step; returns whether a stop was asked for. Call at most once a second."""
    evaluation = owned_evaluation(session, evaluation_id, attempt=attempt)
    if stage != evaluation.stage:
        evaluation.stage, evaluation.stage_started_at = stage, now()
    evaluation.step, evaluation.total_steps = step, total_steps
    session.add(evaluation)
    return evaluation.cancel_requested


def record_evaluation_estimate(session: Session, evaluation_id: int, *, attempt: int, estimate: dict[str, Any]) -> None:
    """What is left to ask for, once the texts are known."""
    evaluation = owned_evaluation(session, evaluation_id, attempt=attempt)
    evaluation.config = evaluation.config | {"estimate": estimate}
    session.add(evaluation)


def end_evaluation(
    session: Session, evaluation_id: int, *, attempt: int, status: RunStatus, error: str | None = None
) -> Evaluation:
    """Failed, cancelled, or queued again; its verdicts are recorded by storage/evaluations.py."""
    evaluation = owned_evaluation(session, evaluation_id, attempt=attempt)
    _end(session, evaluation, status, error)
    return evaluation


def mark_evaluation_dead(session: Session, evaluation_id: int, *, attempt: int, reason: str) -> Evaluation:
    """The process is gone: cancelled if that was asked for, else failed with the reason."""
    evaluation = owned_evaluation(session, evaluation_id, attempt=attempt)
    if evaluation.cancel_requested:
        _end(session, evaluation, RunStatus.cancelled, None)
    else:
        _end(session, evaluation, RunStatus.failed, reason)
    return evaluation


def fail_unclaimed_evaluation(session: Session, evaluation_id: int, *, reason: str) -> None:
    """A process ended before it could claim it: failed, unless something else took it over."""
    evaluation = get_evaluation(session, evaluation_id)
    if evaluation.status is RunStatus.queued:
        _end(session, evaluation, RunStatus.failed, reason)


def request_evaluation_cancel(session: Session, evaluation_id: int) -> Evaluation:
    """A running one is cancelled by its process, any other at once. Raises Conflict when it is over."""
    evaluation = get_evaluation(session, evaluation_id)
    if evaluation.status in FINAL:
        raise Conflict(f"Evaluation {evaluation_id} is already {evaluation.status}.")
    evaluation.cancel_requested = True
    session.add(evaluation)
    if evaluation.status is RunStatus.evaluating:
        withdraw_unseen(session, evaluation_id)
    if evaluation.status is not RunStatus.running:
        _end(session, evaluation, RunStatus.cancelled, None)
    return evaluation


def _end(session: Session, evaluation: Evaluation, status: RunStatus, error: str | None) -> None:
    evaluation.status, evaluation.error = status, error
    evaluation.finished_at = now() if status in FINAL else None
    session.add(evaluation)
    session.flush()
