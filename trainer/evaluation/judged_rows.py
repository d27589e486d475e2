"""What a judge's evaluation leaves in the database: its judge, a verdict per prompt with texts and replies, its end."""

from sqlmodel import Session

from storage.evaluations import record_evaluation, record_judge
from storage.tables import Evaluation, RunStatus, now
from trainer.evaluation.judges.identity import judge_id
from trainer.evaluation.judging import Finished
from trainer.evaluation.verdict_rows import judged_verdicts

KEPT = ("orders", "rubric", "replies", "trusted", "alarms", "notes", "calls")  # of the figures; rates follow from rows


def record_finished(session: Session, finished: Finished, evaluation: Evaluation) -> int:
    """The verdicts, and `evaluation`, new or of the queue, as succeeded; its id."""
    judge, figures = finished.judge, finished.figures
    identity = judge_id(judge, figures["rubric"]["digest"] if figures["rubric"] else "")
    asked = evaluation.config.get("asked", {})  # of the queue: the name that people choose this judge by
    config = {"name": asked.get("judge", judge.name), "asks": judge.name, "rubric": figures["rubric"]}
    record_judge(session, judge_id=identity, kind=judge.kind, revision=judge.revision, config=config)
    rows = judged_verdicts(finished.judged)
    evaluation.judge_id = identity
    evaluation.config = evaluation.config | {key: figures[key] for key in KEPT}
    evaluation.status, evaluation.stage, evaluation.error = RunStatus.succeeded, "", None
    evaluation.step = evaluation.total_steps = len(rows)
    evaluation.finished_at = now()
    recorded = record_evaluation(session, evaluation, rows)
    assert recorded.id is not None
    return recorded.id
