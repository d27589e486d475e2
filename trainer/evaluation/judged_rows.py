"""What a judge's evaluation leaves in the database: its judge, a verdict per prompt with texts and replies, its end."""

from typing import Any

from sqlmodel import Session

from storage.evaluations import record_evaluation, record_judge
from storage.tables import Evaluation, RunStatus, Verdict, VerdictKind, now
from trainer.evaluation.judges.cache import digest
from trainer.evaluation.judging import Finished
from trainer.evaluation.protocol import PromptVerdict

KEPT = ("orders", "rubric", "replies", "trusted", "alarms", "notes", "calls")  # of the figures; rates follow from rows


def record_finished(session: Session, finished: Finished, evaluation: Evaluation) -> int:
    """The verdicts, and `evaluation`, new or of the queue, as succeeded; its id."""
    judge, figures = finished.judge, finished.figures
    judge_id = f"{judge.kind}-{digest([judge.name, judge.revision, figures['rubric']['digest']])[:12]}"
    asked = evaluation.config.get("asked", {})  # of the queue: the name that people choose this judge by
    config = {"name": asked.get("judge", judge.name), "asks": judge.name, "rubric": figures["rubric"]}
    record_judge(session, judge_id=judge_id, kind=judge.kind, revision=judge.revision, config=config)
    rows = [_row(verdict) for verdict in finished.judged.verdicts]
    evaluation.judge_id = judge_id
    evaluation.config = evaluation.config | {key: figures[key] for key in KEPT}
    evaluation.status, evaluation.stage, evaluation.error = RunStatus.succeeded, "", None
    evaluation.step = evaluation.total_steps = len(rows)
    evaluation.finished_at = now()
    recorded = record_evaluation(session, evaluation, rows)
    assert recorded.id is not None
    return recorded.id


def _row(verdict: PromptVerdict) -> Verdict:
    replies: list[dict[str, Any]] = [
        {"candidate_first": s.candidate_first, "said": s.reading.said, "text": s.text, "keys": list(s.keys)}
        for s in verdict.shown
    ]
    case = verdict.case
    return Verdict(
        evaluation_id=0,
        prompt_id=int(case.prompt),
        verdict=VerdictKind(verdict.verdict.value),
        score=verdict.score,
        candidate_length=float(len(case.candidate)),
        baseline_length=float(len(case.baseline)),
        texts={"candidate": case.candidate, "baseline": case.baseline, "replies": replies},
    )
