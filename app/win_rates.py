"""The numbers behind the win-rate charts: per checkpoint, against the initial and the previously served one, by the
preference model and by people, never pooled. Derived from rows each time; nothing is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sqlmodel import Session

from storage.checkpoints import INITIAL, list_checkpoints
from storage.deployments import served_checkpoints
from storage.evaluations import Score, evaluations_of, people_scores, scores_of
from storage.tables import Checkpoint, CheckpointKind, RunStatus
from trainer.evaluation.statistics import win_rate

PREFERENCE_MODEL = "preference_model"
PEOPLE = "people"


@dataclass(frozen=True)
class WinRateRow:
    """One point of the chart. `rate` and its 95% n_eff-Wilson interval in 0..1, lengths in characters."""

    checkpoint_id: str
    checkpoint: str
    baseline_id: str
    baseline: str
    against: str  # "initial" or "previous"; a baseline that is both is "initial"
    source: str
    rate: float
    low: float
    high: float
    n: int
    n_effective: float
    mean_length: float
    baseline_length: float
    evaluation_id: int | None


def win_rates(session: Session) -> list[WinRateRow]:
    """Every point there is, checkpoints oldest first. Checkpoints that nobody compared have no point."""
    checkpoints = [c for c in list_checkpoints(session) if c.kind is not CheckpointKind.reward_model]
    names = {c.id: c for c in checkpoints}
    served = served_checkpoints(session)
    rows: list[WinRateRow] = []
    for checkpoint in checkpoints:
        if checkpoint.id == INITIAL:
            continue
        for baseline_id, scores, evaluation_id in _judged(session, checkpoint.id):
            rows += _row(names, checkpoint, baseline_id, PREFERENCE_MODEL, scores, evaluation_id)
        for baseline_id in dict.fromkeys([INITIAL, _before(served, checkpoint.id)]):
            scores = people_scores(session, candidate_id=checkpoint.id, baseline_id=baseline_id)
            rows += _row(names, checkpoint, baseline_id, PEOPLE, scores, None)
    return rows


def _judged(session: Session, checkpoint_id: str) -> list[tuple[str, list[Score], int]]:
    """The newest finished preference-model evaluation per baseline: (baseline, scores, evaluation id)."""
    newest = {
        e.baseline: e
        for e in evaluations_of(session, checkpoint_id)
        if e.status is RunStatus.succeeded and e.judge_id == PREFERENCE_MODEL
    }
    return [(b, scores_of(session, e.id), e.id) for b, e in newest.items() if e.id is not None]


def _before(served: Sequence[str], checkpoint_id: str) -> str:
    """What was served before this checkpoint first was; the newest served one where it never was."""
    at = served.index(checkpoint_id) if checkpoint_id in served else len(served)
    return served[at - 1] if at > 0 else INITIAL


def _row(
    names: dict[str, Checkpoint],
    checkpoint: Checkpoint,
    baseline_id: str,
    source: str,
    scores: Sequence[Score],
    evaluation_id: int | None,
) -> list[WinRateRow]:
    if not scores:
        return []
    result = win_rate([s.score for s in scores])
    return [
        WinRateRow(
            checkpoint_id=checkpoint.id,
            checkpoint=checkpoint.name,
            baseline_id=baseline_id,
            baseline=names[baseline_id].name if baseline_id in names else baseline_id,
            against="initial" if baseline_id == INITIAL else "previous",
            source=source,
            rate=result.rate,
            low=result.interval.low,
            high=result.interval.high,
            n=result.n,
            n_effective=result.n_effective,
            mean_length=fmean(s.candidate_length for s in scores),
            baseline_length=fmean(s.baseline_length for s in scores),
            evaluation_id=evaluation_id,
        )
    ]
