"""The queue of training runs: first in, first out, one active at a time, fenced by attempt.

    queued -> running -> evaluating -> succeeded
                 |            |-> failed | cancelled
                 |-> interrupted -> running ... (twice by itself, then failed)

The web app queues, asks for a stop and marks dead processes; only the process that claimed a run writes its progress.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from storage.errors import Conflict, NotFound
from storage.preferences import count_choices, newest_preference_id
from storage.tables import ACTIVE, FINAL, Metric, RunStatus, TrainingRun, now

MAX_RESUMES = 2


class Fenced(Conflict):
    """Another attempt of the same run has taken over; this process must stop without writing."""

    code = "fenced"


def queue_run(
    session: Session,
    *,
    algorithm: str,
    config: dict[str, Any],
    trigger: str,
    started_because: str,
    automatic: bool,
) -> TrainingRun:
    """Append a run. Automatic triggers coalesce: one that already waits is given back, brought up to date."""
    newest = newest_preference_id(session)
    if automatic:
        query = select(TrainingRun).where(TrainingRun.status == RunStatus.queued, col(TrainingRun.automatic))
        waiting = session.exec(query.limit(1)).first()
        if waiting is not None:
            waiting.new_preferences += count_choices(session, after=waiting.last_preference_id)
            waiting.last_preference_id = newest
            session.add(waiting)
            return waiting
    number = (session.exec(select(func.max(TrainingRun.number))).one() or 0) + 1
    run = TrainingRun(
        id=f"{algorithm}-{number:04d}",
        number=number,
        algorithm=algorithm,
        config=config,
        status=RunStatus.queued,
        trigger=trigger,
        started_because=started_because,
        automatic=automatic,
        new_preferences=count_choices(session, after=last_used_preference(session)),
        last_preference_id=newest,
        stage="waiting",
    )
    session.add(run)
    session.flush()
    return run


def last_used_preference(session: Session) -> int:
    """Newest preference id that a policy run was queued with; choices above it are new."""
    query = select(func.max(TrainingRun.last_preference_id)).where(TrainingRun.algorithm != "reward_model")
    return session.exec(query).one() or 0


def previous_run(session: Session, run: TrainingRun) -> TrainingRun | None:
    """The newest policy run before this one that succeeded: what this run's choices are newer than."""
    query = select(TrainingRun).where(
        TrainingRun.number < run.number,
        TrainingRun.algorithm != "reward_model",
        TrainingRun.status == RunStatus.succeeded,
    )
    return session.exec(query.order_by(col(TrainingRun.number).desc()).limit(1)).first()


def began_with(session: Session, *, last_preference_id: int) -> datetime | None:
    """When the newest run that was queued with this preference as its last began; None where there is none."""
    query = select(TrainingRun.started_at).where(
        TrainingRun.last_preference_id == last_preference_id, col(TrainingRun.started_at).is_not(None)
    )
    return session.exec(query.order_by(col(TrainingRun.number).desc()).limit(1)).first()


def record_dataset(
    session: Session, run_id: str, *, attempt: int, digest: str, pairs: int, note: str, first_preference_id: int
) -> None:
    """What the run learns from, once it has been read."""
    run = owned_run(session, run_id, attempt=attempt)
    run.dataset_digest, run.pairs, run.dataset_note = digest, pairs, note
    run.first_preference_id = first_preference_id
    session.add(run)


def mark_evaluating(session: Session, run_id: str, *, attempt: int, checkpoint_id: str) -> None:
    """The checkpoint is written; the gate comes next."""
    run = owned_run(session, run_id, attempt=attempt)
    run.status, run.checkpoint_id = RunStatus.evaluating, checkpoint_id
    session.add(run)
    session.flush()


def get_run(session: Session, run_id: str) -> TrainingRun:
    run = session.get(TrainingRun, run_id)
    if run is None:
        raise NotFound(f"There is no training run {run_id!r}.", hint="GET /api/v1/training-runs lists them.")
    return run


def list_runs(session: Session, *, limit: int = 50, before: int | None = None) -> list[TrainingRun]:
    """Newest first; `before` is a run number."""
    query = select(TrainingRun).order_by(col(TrainingRun.number).desc()).limit(limit)
    if before is not None:
        query = query.where(TrainingRun.number < before)
    return list(session.exec(query))


def active_run(session: Session) -> TrainingRun | None:
    return session.exec(select(TrainingRun).where(col(TrainingRun.status).in_(ACTIVE))).first()


def next_run(session: Session) -> TrainingRun | None:
    """What to launch now: an interrupted run first, else the oldest queued one; None while one is active."""
    if active_run(session) is not None:
        return None
    for status in (RunStatus.interrupted, RunStatus.queued):
        query = select(TrainingRun).where(TrainingRun.status == status).order_by(col(TrainingRun.number))
        run = session.exec(query.limit(1)).first()
        if run is not None:
            return run
    return None


def claim_run(session: Session, run_id: str, *, pid: int, process_started_at: float) -> TrainingRun:
    """Make this process the run's owner. Raises Conflict when it is not queued or interrupted, or another is active."""
    run = get_run(session, run_id)
    if run.status not in (RunStatus.queued, RunStatus.interrupted):
        raise Conflict(f"Run {run_id} is {run.status}; only a queued or interrupted run can be claimed.")
    run.status = RunStatus.running
    run.stage, run.stage_started_at = "starting", now()  # torch takes seconds to load before the next stage is told
    run.attempt += 1
    run.pid = pid
    run.process_started_at = process_started_at
    run.started_at = run.started_at or now()
    run.heartbeat_at = now()
    run.error = None
    session.add(run)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"Run {run_id} must wait: another run is active.") from error
    return run


def owned_run(session: Session, run_id: str, *, attempt: int) -> TrainingRun:
    """The run, if this attempt still owns it. Raises Fenced otherwise."""
    run = get_run(session, run_id)
    if run.attempt != attempt or run.status not in ACTIVE:
        raise Fenced(f"Run {run_id} is {run.status} in attempt {run.attempt}; this is attempt {attempt}.")
    return run


def record_progress(
    session: Session,
    run_id: str,
    *,
    attempt: int,
    stage: str | None = None,
    step: int | None = None,
    total_steps: int | None = None,
    metrics: list[tuple[int, str, float]] | None = None,
) -> bool:
    """Write stage, step and metrics; returns whether a stop was asked for. Call at most once a second."""
    run = owned_run(session, run_id, attempt=attempt)
    if stage is not None and stage != run.stage:
        run.stage, run.stage_started_at = stage, now()
    run.step = run.step if step is None else step
    run.total_steps = run.total_steps if total_steps is None else total_steps
    run.heartbeat_at = now()
    session.add(run)
    for at, name, value in metrics or ():
        session.merge(Metric(run_id=run_id, name=name, step=at, value=value))
    return run.cancel_requested


def finish_run(
    session: Session, run_id: str, *, attempt: int, status: RunStatus, error: str | None = None
) -> TrainingRun:
    run = owned_run(session, run_id, attempt=attempt)
    _finish(session, run, status, error)
    return run


def _finish(session: Session, run: TrainingRun, status: RunStatus, error: str | None) -> None:
    run.status, run.error = status, error
    run.stage = "" if status is RunStatus.succeeded else run.stage
    run.finished_at = now() if status in FINAL else None
    session.add(run)
    session.flush()


def mark_dead(session: Session, run_id: str, *, attempt: int, reason: str) -> TrainingRun:
    """The process is gone: cancelled if that was asked, else interrupted, after two resumes failed."""
    run = owned_run(session, run_id, attempt=attempt)
    if run.cancel_requested:
        _finish(session, run, RunStatus.cancelled, None)
    elif run.resumes >= MAX_RESUMES:
        _finish(session, run, RunStatus.failed, f"{reason} It had been continued {run.resumes} times already.")
    else:
        run.resumes += 1
        _finish(session, run, RunStatus.interrupted, reason)
    return run


def fail_unclaimed(session: Session, run_id: str, *, reason: str) -> None:
    """A process ended before it could claim its run: failed, with the reason, unless something else took it over."""
    run = get_run(session, run_id)
    if run.status in (RunStatus.queued, RunStatus.interrupted):
        _finish(session, run, RunStatus.failed, reason)


def mark_interrupted(session: Session, run_id: str, *, attempt: int, reason: str) -> None:
    """Its own process has saved and stops because it was told to; the next start goes on from there."""
    _finish(session, owned_run(session, run_id, attempt=attempt), RunStatus.interrupted, reason)


def request_cancel(session: Session, run_id: str) -> TrainingRun:
    """A waiting run is cancelled at once, an active one by its process. Raises Conflict when it is over."""
    run = get_run(session, run_id)
    if run.status in FINAL:
        raise Conflict(f"Run {run_id} is already {run.status}.")
    run.cancel_requested = True
    session.add(run)
    if run.status not in ACTIVE:
        _finish(session, run, RunStatus.cancelled, None)
    return run


def metrics_of(session: Session, run_id: str, *, after_step: int = -1) -> list[Metric]:
    query = select(Metric).where(Metric.run_id == run_id, Metric.step > after_step)
    return list(session.exec(query.order_by(col(Metric.step), col(Metric.name))))
