"""Every table. Rows only: what may be written when is in the noun modules beside this file.

Nothing here is particular to SQLite. Ids that people read are strings (`dpo-0007` names a run and the checkpoint it
makes); ids that must not be guessed (comparisons) are random hex; the rest are integers.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    ForeignKeyConstraint,
    Index,
    TypeDecorator,
    text,
)
from sqlmodel import Field, SQLModel


def now() -> datetime:
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out; SQLite alone would drop the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use storage.tables.now()")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Split(StrEnum):
    train = "train"
    validation = "validation"
    heldout = "heldout"


class Choice(StrEnum):
    left = "left"
    right = "right"
    tie = "tie"
    both_bad = "both_bad"
    skip = "skip"


class Strength(StrEnum):
    slightly = "slightly"
    clearly = "clearly"


class Purpose(StrEnum):
    train = "train"
    evaluate = "evaluate"
    repeat = "repeat"  # shown to its labeller once more, sides swapped; measures the labeller and nothing else


class ComparisonState(StrEnum):
    prepared = "prepared"  # of an evaluation by people, not yet among those that wait
    waiting = "waiting"
    leased = "leased"
    decided = "decided"
    dropped = "dropped"


class CheckpointKind(StrEnum):
    initial = "initial"
    adapter = "adapter"
    full = "full"
    reward_model = "reward_model"


class RunStatus(StrEnum):
    queued = "queued"
    running = "running"
    evaluating = "evaluating"
    interrupted = "interrupted"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


FINAL = frozenset({RunStatus.succeeded, RunStatus.failed, RunStatus.cancelled})
ACTIVE = frozenset({RunStatus.running, RunStatus.evaluating})


class Outcome(StrEnum):
    promote = "promote"
    reject = "reject"
    inconclusive = "inconclusive"


class VerdictKind(StrEnum):
    win = "win"
    loss = "loss"
    tie = "tie"
    flip = "flip"
    invalid = "invalid"


class DeploymentReason(StrEnum):
    initial = "initial"
    gate = "gate"
    person = "person"
    override = "override"
    rollback = "rollback"
    canary = "canary"


def choices(kind: type[StrEnum], **column: Any) -> Any:
    """An enum column that stores values, so that a new member needs no migration."""
    return Column(Enum(kind, native_enum=False, length=16, values_callable=lambda e: [m.value for m in e]), **column)


def moment(**column: Any) -> Any:
    return Column(UTCDateTime(), **column)


class Project(SQLModel, table=True):
    """The one row that says which model this data directory belongs to."""

    id: int = Field(default=1, primary_key=True)
    initial_model: str
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    __table_args__ = (CheckConstraint("id = 1", name="one_project"),)


class Setting(SQLModel, table=True):
    """What people set in the app and a restart must keep: the schedule, the gate's policy, sampling."""

    name: str = Field(primary_key=True)
    value: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    updated_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Labeller(SQLModel, table=True):
    id: str = Field(primary_key=True, description="random, kept in the browser's cookie")
    name: str = ""
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Prompt(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True, description="SHA-256 of the messages: the same prompt is one row")
    messages: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    group_key: str = Field(index=True)
    opening: str = Field(index=True, description="SHA-256 of the first user turn in lower case: finds typed repeats")
    split: Split = Field(sa_column=choices(Split, nullable=False, index=True))
    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    reference: str | None = None
    source: str = Field(description="starter, import:<digest>, typed or chat")
    offered: bool = Field(default=True, description="may be put before people")
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Completion(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    prompt_id: int = Field(foreign_key="prompt.id", index=True)
    checkpoint_id: str | None = Field(default=None, foreign_key="checkpoint.id", index=True)
    outside_model: str | None = Field(default=None, description="who wrote it elsewhere, of imported outputs")
    text: str = Field(description="the last assistant message")
    turns: list[dict[str, str]] | None = Field(
        default=None, sa_column=Column(JSON), description="all messages after the prompt, if more than one"
    )
    seed: int | None = None
    sampling: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    finish_reason: str | None = None
    tokens: int | None = None
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    __table_args__ = (Index("one_text_of_an_outside_model", "outside_model", "prompt_id", unique=True),)


class Comparison(SQLModel, table=True):
    id: str = Field(primary_key=True)
    prompt_id: int = Field(foreign_key="prompt.id", index=True)
    left_id: int = Field(foreign_key="completion.id")
    right_id: int = Field(foreign_key="completion.id")
    purpose: Purpose = Field(sa_column=choices(Purpose, nullable=False))
    state: ComparisonState = Field(sa_column=choices(ComparisonState, nullable=False, index=True))
    leased_to: str | None = Field(default=None, description="labeller's session, or null for a bare API call")
    leased_until: datetime | None = Field(default=None, sa_column=moment())
    generation: int = Field(default=0, description="the deployment it was made under; a swap drops older ones")
    evaluation_id: int | None = Field(
        default=None, foreign_key="evaluation.id", index=True, description="the evaluation by people that asked for it"
    )
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Preference(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    client_id: str = Field(unique=True, description="made by the client, so that a repeated write is one row")
    comparison_id: str = Field(foreign_key="comparison.id", index=True)
    prompt_id: int = Field(foreign_key="prompt.id", description="its comparison's, for the charts' index")
    labeller_id: str = Field(foreign_key="labeller.id", index=True)
    choice: Choice = Field(sa_column=choices(Choice, nullable=False))
    strength: Strength | None = Field(default=None, sa_column=choices(Strength))
    reason: str | None = None
    purpose: Purpose = Field(sa_column=choices(Purpose, nullable=False))
    imported: bool = False
    left_checkpoint_id: str | None = Field(default=None, foreign_key="checkpoint.id")
    right_checkpoint_id: str | None = Field(default=None, foreign_key="checkpoint.id")
    left_length: int = Field(description="characters")
    right_length: int = Field(description="characters")
    source: dict[str, Any] | None = Field(
        default=None,
        sa_column=Column(JSON),
        description="the imported line, so that export gives back its bytes",
    )
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    withdrawn_at: datetime | None = Field(default=None, sa_column=moment())
    __table_args__ = (
        # one standing preference per comparison and labeller
        Index(
            "one_standing_preference",
            "comparison_id",
            "labeller_id",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        # answers the people's win rates, which count prompts, without touching the table
        Index(
            "preference_chart",
            "purpose",
            "withdrawn_at",
            "left_checkpoint_id",
            "right_checkpoint_id",
            "prompt_id",
            "choice",
            "left_length",
            "right_length",
        ),
    )


class Feedback(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    completion_id: int = Field(foreign_key="completion.id", index=True)
    labeller_id: str = Field(foreign_key="labeller.id")
    thumb: str | None = Field(default=None, description="up or down")
    edited_text: str | None = None
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Checkpoint(SQLModel, table=True):
    id: str = Field(primary_key=True, description="'initial', or the id of the run that made it")
    name: str
    kind: CheckpointKind = Field(sa_column=choices(CheckpointKind, nullable=False))
    source: str = Field(description="checkpoint folder relative to the data directory, or model folder or hub id")
    digest: str = Field(description="SHA-256 of manifest.json, or of the foreign model's weight files")
    base_id: str | None = Field(default=None, foreign_key="checkpoint.id")
    started_from_id: str | None = Field(default=None, foreign_key="checkpoint.id")
    run_id: str | None = Field(default=None, foreign_key="training_run.id")
    algorithm: str | None = None
    config: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    dataset_digest: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class CheckpointPreference(SQLModel, table=True):
    """Lineage: the preferences a checkpoint learned from."""

    __tablename__ = "checkpoint_preference"
    checkpoint_id: str = Field(primary_key=True, foreign_key="checkpoint.id")
    preference_id: int = Field(primary_key=True, foreign_key="preference.id", index=True)


class TrainingRun(SQLModel, table=True):
    __tablename__ = "training_run"
    id: str = Field(primary_key=True)
    number: int = Field(unique=True)
    algorithm: str
    config: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: RunStatus = Field(sa_column=choices(RunStatus, nullable=False, index=True))
    trigger: str = Field(description="preferences, cron or person")
    started_because: str = Field(description="one sentence for people")
    automatic: bool = False
    new_preferences: int = Field(default=0, description="choices made since the run before")
    last_preference_id: int = Field(default=0, description="newest preference when the run was queued")
    lane: str = Field(default="training", description="one active run per lane; there is one lane today")
    first_preference_id: int = Field(default=0, description="it learned from preferences above this; 0: from all")
    attempt: int = Field(default=0, description="fences an older process of the same run")
    resumes: int = Field(default=0, description="times it was continued by itself after an interruption")
    pid: int | None = None
    process_started_at: float | None = Field(default=None, description="seconds since the epoch, tells reused pids")
    cancel_requested: bool = False
    stage: str = Field(default="", description="what it does now, in words")
    step: int = 0
    total_steps: int = 0
    stage_started_at: datetime | None = Field(default=None, sa_column=moment())
    heartbeat_at: datetime | None = Field(default=None, sa_column=moment())
    dataset_digest: str | None = None
    pairs: int | None = None
    dataset_note: str = Field(default="", description="which preferences it uses, and why")
    error: str | None = None
    checkpoint_id: str | None = Field(
        default=None, description="no foreign key: the checkpoint names its run, one direction is enough"
    )
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment())
    finished_at: datetime | None = Field(default=None, sa_column=moment())
    __table_args__ = (
        # the database, not the code, allows one run at a time
        Index(
            "one_active_run",
            "lane",
            unique=True,
            sqlite_where=text("status IN ('running', 'evaluating')"),
            postgresql_where=text("status IN ('running', 'evaluating')"),
        ),
    )


class Metric(SQLModel, table=True):
    run_id: str = Field(primary_key=True, foreign_key="training_run.id")
    name: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    value: float


class GateDecisionRow(SQLModel, table=True):
    __tablename__ = "gate_decision"
    run_id: str = Field(primary_key=True, foreign_key="training_run.id")
    checkpoint_id: str = Field(foreign_key="checkpoint.id", index=True)
    baseline_id: str = Field(foreign_key="checkpoint.id")
    outcome: Outcome = Field(sa_column=choices(Outcome, nullable=False))
    reasons: list[str] = Field(sa_column=Column(JSON, nullable=False))
    guards: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    figures: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=Column(JSON, nullable=False),
        description="the plan, accuracy, win rate, intervals, the judge's figures",
    )
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))

    @property
    def deciding(self) -> list[str]:
        """The reasons that decided; those after them were seen besides."""
        return self.reasons[: self.figures.get("deciding", len(self.reasons))]


class Judge(SQLModel, table=True):
    id: str = Field(primary_key=True, description="'preference_model', or kind and hash of its settings")
    kind: str
    revision: str
    config: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Evaluation(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    candidate_id: str = Field(foreign_key="checkpoint.id", index=True)
    baseline: str = Field(description="a checkpoint id, or 'chosen' for the dataset's chosen texts")
    judge_id: str | None = Field(
        default=None, foreign_key="judge.id", description="null until the judge that was asked for has been opened"
    )
    run_id: str | None = Field(default=None, foreign_key="training_run.id", index=True)
    status: RunStatus = Field(sa_column=choices(RunStatus, nullable=False))
    config: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    attempt: int = Field(default=0, description="fences an older process of the same evaluation")
    cancel_requested: bool = False
    stage: str = Field(default="", description="what it does now, in words")
    step: int = 0
    total_steps: int = 0
    stage_started_at: datetime | None = Field(default=None, sa_column=moment())
    pid: int | None = None
    process_started_at: float | None = Field(default=None, description="seconds since the epoch, tells reused pids")
    error: str | None = None
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment())
    finished_at: datetime | None = Field(default=None, sa_column=moment())
    __table_args__ = (
        # the database, not the code, allows one evaluation by a judge at a time
        Index(
            "one_active_evaluation",
            "status",
            unique=True,
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
    )


class Verdict(SQLModel, table=True):
    evaluation_id: int = Field(primary_key=True, foreign_key="evaluation.id")
    prompt_id: int = Field(primary_key=True, foreign_key="prompt.id")
    verdict: VerdictKind = Field(sa_column=choices(VerdictKind, nullable=False))
    score: float | None = Field(description="candidate's, 0..1; null when invalid")
    candidate_length: float = Field(description="characters, mean over samples")
    baseline_length: float = Field(description="characters, mean over samples")
    texts: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=Column(JSON, nullable=False),
        description="a sample of each side, to read",
    )


class VerdictChoice(SQLModel, table=True):
    """A person's opinion of one verdict, given after reading it: a choice about the judge, never about the texts."""

    __tablename__ = "verdict_choice"
    evaluation_id: int = Field(primary_key=True)
    prompt_id: int = Field(primary_key=True)
    labeller_id: str = Field(primary_key=True, foreign_key="labeller.id")
    agrees: bool
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
    __table_args__ = (
        ForeignKeyConstraint(["evaluation_id", "prompt_id"], ["verdict.evaluation_id", "verdict.prompt_id"]),
    )


class Deployment(SQLModel, table=True):
    """Append-only: what should be served from then on. What came of it is in DeploymentEvent."""

    id: int | None = Field(default=None, primary_key=True)
    checkpoint_id: str = Field(foreign_key="checkpoint.id", index=True)
    previous_id: str | None = Field(default=None, foreign_key="checkpoint.id")
    reason: DeploymentReason = Field(sa_column=choices(DeploymentReason, nullable=False))
    note: str = ""
    by: str = Field(default="", description="labeller's name or 'prefloop'")
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class DeploymentEvent(SQLModel, table=True):
    __tablename__ = "deployment_event"
    id: int | None = Field(default=None, primary_key=True)
    deployment_id: int = Field(foreign_key="deployment.id", index=True)
    event: str = Field(description="loading, verified, warmed, serving, drained or failed")
    detail: str = ""
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class ReferenceLogprob(SQLModel, table=True):
    """log p(completion | prompt) under the reference, computed once per everything that shapes it."""

    __tablename__ = "reference_logprob"
    key: str = Field(
        primary_key=True, description="SHA-256 of prompt, completion, reference weights, template, truncation"
    )
    logprob: float = Field(description="summed over tokens, nats")


class ImportedFile(SQLModel, table=True):
    __tablename__ = "imported_file"
    digest: str = Field(primary_key=True, description="SHA-256 of the file's uncompressed bytes")
    name: str
    format: str
    rows: int
    added: int
    skipped: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False), description="line numbers and reasons"
    )
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class Conversation(SQLModel, table=True):
    id: str = Field(primary_key=True)
    labeller_id: str = Field(foreign_key="labeller.id", index=True)
    title: str = ""
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))


class ConversationTurn(SQLModel, table=True):
    __tablename__ = "conversation_turn"
    id: int | None = Field(default=None, primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id", index=True)
    role: str
    text: str
    completion_id: int | None = Field(default=None, foreign_key="completion.id")
    created_at: datetime = Field(default_factory=now, sa_column=moment(nullable=False))
