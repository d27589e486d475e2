"""Gate decisions, evaluations and their verdicts, and the rows behind the win-rate charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from storage.errors import NotFound
from storage.tables import (
    Choice,
    Evaluation,
    GateDecisionRow,
    Judge,
    Preference,
    Purpose,
    Verdict,
    VerdictKind,
)


@dataclass(frozen=True)
class Score:
    """One prompt's outcome for a candidate: score in 0..1, lengths in characters."""

    prompt_id: int
    score: float
    candidate_length: float
    baseline_length: float


def record_judge(
    session: Session, *, judge_id: str, kind: str, revision: str, config: dict[str, Any] | None = None
) -> Judge:
    known = session.get(Judge, judge_id)
    if known is None:
        known = Judge(id=judge_id, kind=kind, revision=revision, config=config or {})
        session.add(known)
        session.flush()
    return known


def record_evaluation(session: Session, evaluation: Evaluation, verdicts: Sequence[Verdict] = ()) -> Evaluation:
    session.add(evaluation)
    session.flush()
    assert evaluation.id is not None
    for verdict in verdicts:
        verdict.evaluation_id = evaluation.id
        session.add(verdict)
    session.flush()
    return evaluation


def get_evaluation(session: Session, evaluation_id: int) -> Evaluation:
    evaluation = session.get(Evaluation, evaluation_id)
    if evaluation is None:
        raise NotFound(f"There is no evaluation {evaluation_id}.", hint="GET /api/v1/evaluations lists them.")
    return evaluation


def list_evaluations(session: Session, *, after: int = 0, limit: int = 50) -> list[Evaluation]:
    query = select(Evaluation).where(col(Evaluation.id) > after).order_by(col(Evaluation.id)).limit(limit)
    return list(session.exec(query))


def verdicts_of(session: Session, evaluation_id: int, *, after: int = 0, limit: int | None = None) -> list[Verdict]:
    query = select(Verdict).where(Verdict.evaluation_id == evaluation_id, col(Verdict.prompt_id) > after)
    return list(session.exec(query.order_by(col(Verdict.prompt_id)).limit(limit)))


def scores_of(session: Session, evaluation_id: int) -> list[Score]:
    """Valid verdicts as scores, by prompt; their texts are not read."""
    rows = session.exec(
        select(Verdict.prompt_id, Verdict.score, Verdict.candidate_length, Verdict.baseline_length)
        .where(Verdict.evaluation_id == evaluation_id, col(Verdict.score).is_not(None))
        .order_by(col(Verdict.prompt_id))
    )
    return [Score(prompt_id, score, mine, other) for prompt_id, score, mine, other in rows if score is not None]


def score_values(session: Session, evaluation_id: int) -> list[float]:
    """Valid scores alone, without the texts."""
    query = select(Verdict.score).where(Verdict.evaluation_id == evaluation_id, col(Verdict.score).is_not(None))
    return [score for score in session.exec(query.order_by(col(Verdict.prompt_id))) if score is not None]


def count_verdicts(session: Session, evaluation_id: int) -> dict[str, int]:
    """How many prompts were won, lost and so on; kinds that did not occur count 0."""
    query = select(Verdict.verdict, func.count()).where(Verdict.evaluation_id == evaluation_id)
    found = {kind: count for kind, count in session.exec(query.group_by(Verdict.verdict))}
    return {str(kind): found.get(kind, 0) for kind in VerdictKind}


def evaluations_of(session: Session, checkpoint_id: str) -> list[Evaluation]:
    query = select(Evaluation).where(Evaluation.candidate_id == checkpoint_id).order_by(col(Evaluation.id))
    return list(session.exec(query))


def record_gate_decision(session: Session, decision: GateDecisionRow) -> GateDecisionRow:
    session.add(decision)
    session.flush()
    return decision


def get_gate_decision(session: Session, run_id: str) -> GateDecisionRow | None:
    return session.get(GateDecisionRow, run_id)


def gate_decision_of(session: Session, checkpoint_id: str) -> GateDecisionRow | None:
    query = select(GateDecisionRow).where(GateDecisionRow.checkpoint_id == checkpoint_id)
    return session.exec(query).first()


CHOICE_SCORE = {Choice.left: 1.0, Choice.right: 0.0, Choice.tie: 0.5, Choice.both_bad: 0.5}


def people_scores(session: Session, *, candidate_id: str, baseline_id: str) -> list[Score]:
    """The people's evaluation choices between two checkpoints as the candidate's scores, one per prompt (the mean
    where a prompt was judged more than once). Skips do not count; tie and both_bad are a half.
    """
    both = {candidate_id, baseline_id}
    rows = session.exec(
        select(Preference).where(
            Preference.purpose == Purpose.evaluate,
            col(Preference.withdrawn_at).is_(None),
            Preference.choice != Choice.skip,
            col(Preference.left_checkpoint_id).in_(both),
            col(Preference.right_checkpoint_id).in_(both),
        )
    ).all()
    by_prompt: dict[int, list[tuple[float, int, int]]] = {}
    for preference in rows:
        if preference.left_checkpoint_id == preference.right_checkpoint_id:
            continue
        score, mine, other = (
            CHOICE_SCORE[preference.choice],
            preference.left_length,
            preference.right_length,
        )
        if preference.right_checkpoint_id == candidate_id:
            score, mine, other = 1.0 - score, other, mine
        by_prompt.setdefault(preference.prompt_id, []).append((score, mine, other))
    return [
        Score(prompt_id, *(sum(column) / len(seen) for column in zip(*seen, strict=True)))
        for prompt_id, seen in sorted(by_prompt.items())
    ]
