"""A gate's rows: its judges, their verdicts, and the decision with its plan and reasons.

Leaves out the run's end, which is of the same transaction (worker.py), and what was decided (evaluation/compare.py).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlmodel import Session

from storage.deployments import current_deployment
from storage.evaluations import record_evaluation, record_gate_decision, record_judge
from storage.tables import Evaluation, GateDecisionRow, Outcome, RunStatus, Verdict, now
from trainer.evaluation.compare import PREFERENCE_MODEL, Compared
from trainer.evaluation.gate_judge import GateJudge
from trainer.evaluation.verdict_rows import judged_verdicts


def record_gate(
    session: Session, compared: Compared, judge: GateJudge, *, run_id: str, baseline: str, plan: dict[str, Any]
) -> None:
    """Store all of it. `figures.deciding` is how many of the reasons decided; the others were seen besides.
    `figures.deployment` is the newest one of the moment: a decision is stale once there is a newer one."""
    decision = compared.decision
    standing = current_deployment(session)
    record_judge(session, judge_id=PREFERENCE_MODEL, kind=PREFERENCE_MODEL, revision="1")
    shape = {"dataset_digest": compared.judge_revision}
    for against, verdicts in compared.verdicts.items():
        _record_evaluation(session, run_id, against, PREFERENCE_MODEL, shape, verdicts)
    if compared.judged is not None and compared.judged.judged is not None:
        _record_judged(session, compared, judge, run_id=run_id, baseline=baseline)
    record_gate_decision(
        session,
        GateDecisionRow(
            run_id=run_id,
            checkpoint_id=run_id,
            baseline_id=baseline,
            outcome=Outcome(decision.outcome),
            reasons=[*decision.reasons, *compared.more],
            guards=[asdict(g) for g in decision.guards],
            figures={
                **compared.figures(),
                "deciding": len(decision.reasons),
                "deployment": standing.id if standing else None,
                "plan": plan,
                "scores": compared.scores,
            },
        ),
    )


def _record_judged(session: Session, compared: Compared, judge: GateJudge, *, run_id: str, baseline: str) -> None:
    assert compared.judged is not None and compared.judged.judged is not None
    figures, judged = compared.judged.figures, compared.judged.judged
    who, rubric = figures["judge"], figures["rubric"]
    config = {"name": who["name"], "rubric": rubric}
    record_judge(session, judge_id=judge.id, kind=who["kind"], revision=who["revision"], config=config)
    shape = {"orders": judged.orders, "rubric": rubric, "replies": figures["replies"]}
    _record_evaluation(session, run_id, baseline, judge.id, shape, judged_verdicts(judged))


def _record_evaluation(
    session: Session, run_id: str, baseline: str, judge_id: str, config: dict[str, Any], verdicts: Sequence[Verdict]
) -> None:
    evaluation = Evaluation(
        candidate_id=run_id,
        baseline=baseline,
        judge_id=judge_id,
        run_id=run_id,
        status=RunStatus.succeeded,
        config=config,
        step=len(verdicts),
        total_steps=len(verdicts),
        finished_at=now(),
    )
    record_evaluation(session, evaluation, verdicts)
