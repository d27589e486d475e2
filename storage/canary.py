"""What the canary reads: people's evaluation choices about what is served, one by one, and its own roll backs.

Leaves out the test itself (trainer/gate_rules.py) and what follows (app/promotion.py).
"""

from datetime import datetime

from sqlmodel import Session, col, func, select

from storage.evaluations import CHOICE_SCORE
from storage.tables import Choice, Comparison, Deployment, DeploymentReason, Preference, Purpose


def evaluation_scores(session: Session, *, candidate_id: str, baseline_id: str, since: datetime) -> list[float]:
    """The candidate's scores in the order in which the choices were made, from `since` on.

    The first choice on each prompt only: a prompt asked again is no new one. Skips do not count; tie and both_bad are a
    half.
    """
    rows = session.exec(
        select(Preference, Comparison.prompt_id)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .where(
            Preference.purpose == Purpose.evaluate,
            col(Preference.withdrawn_at).is_(None),
            col(Preference.imported).is_(False),
            Preference.choice != Choice.skip,
            Preference.created_at >= since,
            col(Preference.left_checkpoint_id).in_((candidate_id, baseline_id)),
            col(Preference.right_checkpoint_id).in_((candidate_id, baseline_id)),
            col(Preference.left_checkpoint_id) != col(Preference.right_checkpoint_id),
        )
        .order_by(col(Preference.id))
    )
    first: dict[int, float] = {}
    for preference, prompt_id in rows:
        score = CHOICE_SCORE[preference.choice]
        first.setdefault(prompt_id, score if preference.left_checkpoint_id == candidate_id else 1 - score)
    return list(first.values())


def count_evaluation_choices(session: Session) -> int:
    """Standing evaluation choices made here by people (not skips, not imports)."""
    query = select(func.count()).where(
        Preference.purpose == Purpose.evaluate,
        col(Preference.withdrawn_at).is_(None),
        col(Preference.imported).is_(False),
        Preference.choice != Choice.skip,
    )
    return session.exec(query).one()


def canary_roll_back(session: Session, checkpoint_id: str) -> Deployment | None:
    """The newest roll back by the canary away from this checkpoint; None where it never was."""
    query = select(Deployment).where(
        Deployment.reason == DeploymentReason.canary, Deployment.previous_id == checkpoint_id
    )
    return session.exec(query.order_by(col(Deployment.id).desc()).limit(1)).first()
