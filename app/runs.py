"""Training runs as a person meets them: start, stop, the schedule, progress with time left, outcome with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from apscheduler.triggers.cron import CronTrigger
from pydantic import BaseModel, Field, ValidationError
from sqlmodel import Session

from app.reward_models import check_reward_models
from storage.canary import count_evaluation_choices
from storage.checkpoints import list_checkpoints
from storage.database import Database
from storage.errors import Invalid
from storage.evaluations import get_gate_decision
from storage.preferences import count_choices
from storage.runs import (
    active_run,
    get_run,
    last_used_preference,
    list_runs,
    metrics_of,
    queue_run,
    request_cancel,
)
from storage.settings import get_setting, record_setting
from storage.tables import ACTIVE, Evaluation, GateDecisionRow, RunStatus, TrainingRun, now
from trainer.base_config import InvalidConfig
from trainer.configs import ALGORITHMS, parse_config
from trainer.plan_file import read_plan
from trainer.score_file import Scores, read_scores

SET_ANEW = "Nothing starts by itself until the schedule is set anew, in the Train tab or by PUT /api/v1/schedule."
WATCHED_CHOICES = 100  # evaluation choices from which on the canary can be relied on
Lines = list[str]  # `list` is also a method of Runs
Series = dict[str, list[tuple[int, float]]]


class Schedule(BaseModel):
    """When runs start by themselves and what happens after the gate. Kept in the database; takes effect at once."""

    algorithm: str = Field("dpo", description="What a scheduled run trains.")
    config: dict[str, Any] = Field(default_factory=dict, description="Its settings, where they are not the default.")
    new_preferences: int = Field(40, ge=0, le=100_000, description="Start after this many new choices; 0: never.")
    cron: str = Field("", description="Start at these times (five cron fields, UTC); empty: never.")
    after_gate: Literal["automatic", "ask"] = Field(
        "automatic", description="A checkpoint that passed is served by itself, or waits for a person."
    )
    problem: str = Field("", description="Why what is stored cannot be used; nothing starts by itself then.")


@dataclass(frozen=True)
class RunView:
    """A run with what people want to know of it. Seconds are whole-run for `elapsed_s`, of this stage for `left_s`."""

    run: TrainingRun
    decision: GateDecisionRow | None
    elapsed_s: float | None
    left_s: float | None

    @property
    def outcome(self) -> str:
        """queued, running, evaluating, interrupted, promoted, refused, inconclusive, succeeded, failed, cancelled"""
        if self.run.status is RunStatus.succeeded and self.decision is not None:
            return {"promote": "promoted", "reject": "refused", "inconclusive": "inconclusive"}[self.decision.outcome]
        return str(self.run.status)


class Runs:
    """The queue of one project, seen from the web app."""

    def __init__(
        self,
        database: Database,
        *,
        data_dir: Path,
        auto_train: bool,
        starter: bool,
        reward_models: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._reward_models = reward_models
        self._data_dir = data_dir
        self._auto_train = auto_train
        self._starter = starter

    def start(self, *, algorithm: str, config: dict[str, Any] | None = None, by: str = "a person") -> TrainingRun:
        """Queue a run now. Raises Invalid with every problem of the config."""
        values = self.check(algorithm, config)
        with self._database.write() as session:
            return queue_run(
                session,
                algorithm=algorithm,
                config=values,
                trigger="person",
                started_because=f"started by {by}",
                automatic=False,
            )

    def check(self, algorithm: str, config: dict[str, Any] | None) -> dict[str, Any]:
        """The whole config with defaults filled in. Raises Invalid naming every problem."""
        if algorithm not in ALGORITHMS:
            raise Invalid(f"There is no algorithm {algorithm!r}.", hint=f"There are {', '.join(ALGORITHMS)}.")
        try:
            values = parse_config(algorithm, config).model_dump(mode="json")
        except InvalidConfig as error:
            raise Invalid(f"This {algorithm} config cannot be used: {error}") from error
        check_reward_models(values, listed=self._reward_models, own=self._checkpoint_ids)
        return values

    def _checkpoint_ids(self) -> Lines:
        with self._database.read() as session:
            return [checkpoint.id for checkpoint in list_checkpoints(session)]

    def cancel(self, run_id: str) -> TrainingRun:
        """Ask a run to save and stop; the scheduler's next tick tells its process."""
        with self._database.write() as session:
            return request_cancel(session, run_id)

    def schedule(self) -> Schedule:
        with self._database.read() as session:
            return self._schedule(session)

    def _schedule(self, session: Session) -> Schedule:
        stored = get_setting(session, "schedule")
        # people's own models are not served by themselves before their choices can watch over it
        watched = self._starter or count_evaluation_choices(session) >= WATCHED_CHOICES
        try:
            return self._checked({"after_gate": "automatic" if watched else "ask"} | stored)
        except Invalid as error:  # by another version, or by hand: runs that people start must go on
            never = {"new_preferences": 0, "cron": "", "after_gate": "ask"}
            return Schedule.model_validate({**never, "problem": f"{error} {SET_ANEW}"})

    def _checked(self, values: dict[str, Any]) -> Schedule:
        """Raises Invalid for a bad value, config or cron line."""
        try:
            schedule = Schedule(**values)
        except ValidationError as error:
            told = "; ".join(f"{e['loc'][0]} is {e['input']!r}: {e['msg']}" for e in error.errors())
            raise Invalid(f"The schedule cannot be used: {told}.") from error
        self.check(schedule.algorithm, schedule.config)
        if schedule.cron:
            _check_cron(schedule.cron)
        return schedule

    def set_schedule(self, values: dict[str, Any]) -> Schedule:
        """Change the fields given; the rest stays. Raises Invalid for a bad value, config or cron line.

        Where what is stored cannot be used, the rest is as `schedule` tells it, and stored so.
        """
        with self._database.write() as session:
            before = self._schedule(session)
            schedule = self._checked(before.model_dump(exclude={"problem"}) | values)
            kept = {} if before.problem else get_setting(session, "schedule")
            named = values if not before.problem else Schedule.model_fields
            changed = {name: value for name, value in schedule.model_dump(exclude={"problem"}).items() if name in named}
            record_setting(session, "schedule", kept | changed)
            return schedule

    def queue_due(self, *, clock_struck: bool = False) -> TrainingRun | None:
        """Queue the scheduled run if enough new choices were made, or the clock struck; None when not due."""
        if not self._auto_train:
            return None
        with self._database.write() as session:
            schedule = self._schedule(session)
            if schedule.problem:
                return None
            new = count_choices(session, after=last_used_preference(session))
            enough = 0 < schedule.new_preferences <= new
            if not (enough or (clock_struck and new > 0)):
                return None
            return queue_run(
                session,
                algorithm=schedule.algorithm,
                config=self.check(schedule.algorithm, schedule.config),
                trigger="preferences" if enough else "cron",
                started_because=f"started by {new} new choices"
                if enough
                else f"started by the clock ({schedule.cron})",
                automatic=True,
            )

    def choices_until_next(self) -> int | None:
        """How many more choices start the next run; None when choices start none."""
        with self._database.read() as session:
            schedule = self._schedule(session)
            if schedule.new_preferences == 0 or not self._auto_train:
                return None
            new = count_choices(session, after=last_used_preference(session))
            return max(0, schedule.new_preferences - new)

    def get(self, run_id: str) -> RunView:
        with self._database.read() as session:
            return _view(session, get_run(session, run_id))

    def active(self) -> RunView | None:
        with self._database.read() as session:
            run = active_run(session)
            return _view(session, run) if run else None

    def list(self, *, limit: int = 50, before: int | None = None) -> list[RunView]:
        """Newest first; `before` is a run number."""
        with self._database.read() as session:
            return [_view(session, run) for run in list_runs(session, limit=limit, before=before)]

    def metrics(self, run_id: str, *, after_step: int = -1) -> Series:
        """(step, value) per metric name, in order of steps."""
        with self._database.read() as session:
            get_run(session, run_id)
            series: Series = {}
            for metric in metrics_of(session, run_id, after_step=after_step):
                series.setdefault(metric.name, []).append((metric.step, metric.value))
            return series

    def plan(self, run_id: str) -> dict[str, Any] | None:
        """The gate's plan, from before the first sample on; None until it is written."""
        return read_plan(self._data_dir / "runs" / run_id)

    def gate_scores(self, run_id: str) -> Scores:
        """The candidate's per-prompt scores of a gate that is still at work; empty before its first look."""
        return read_scores(self._data_dir / "runs" / run_id)

    def log_lines(self, run_id: str, *, last: int = 20) -> Lines:
        """The last lines its process printed."""
        with self._database.read() as session:
            get_run(session, run_id)
        return last_lines(self._data_dir / "runs" / run_id / "log", last=last)


def last_lines(log: Path, *, last: int) -> list[str]:
    """The end of what a process printed."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        return file.read().decode("utf-8", "replace").splitlines()[-last:]


def _view(session: Session, run: TrainingRun) -> RunView:
    end = run.finished_at or now()
    # by a clock that was set back meanwhile a run would have ended before it began
    elapsed = max(0.0, (end - run.started_at).total_seconds()) if run.started_at else None
    return RunView(run, get_gate_decision(session, run.id), elapsed, left_s(run, now()))


def left_s(run: TrainingRun | Evaluation, at: datetime) -> float | None:
    """Seconds left of the current stage, from its own pace so far."""
    if run.status not in ACTIVE or not run.stage_started_at or not 0 < run.step <= run.total_steps:
        return None
    spent = (at - run.stage_started_at).total_seconds()
    if spent < 0:
        return None  # the clock was set back
    return spent / run.step * (run.total_steps - run.step)


def _check_cron(line: str) -> None:
    try:
        CronTrigger.from_crontab(line)
    except ValueError as error:
        raise Invalid(
            f"{line!r} is not a cron line: {error}.", hint="Five fields, as in '0 3 * * *' for 03:00 each day."
        ) from error
