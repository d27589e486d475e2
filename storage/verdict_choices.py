"""What people say about a judge's verdicts after reading them. They have seen the verdict, so that this is about the
judge only: it never enters a win rate, and is counted apart from choices made blind."""

from sqlmodel import Session, select

from storage.errors import Invalid, NotFound
from storage.preferences import record_labeller
from storage.tables import Verdict, VerdictChoice, VerdictKind, now


def record_verdict_choice(
    session: Session, *, evaluation_id: int, prompt_id: int, labeller_id: str, agrees: bool | None
) -> None:
    """One opinion per labeller and verdict: a later one replaces it, None takes it back.

    Raises NotFound, and Invalid where the judge gave no verdict that anybody could agree with.
    """
    verdict = session.get(Verdict, (evaluation_id, prompt_id))
    if verdict is None:
        raise NotFound(
            f"Evaluation {evaluation_id} has no verdict on prompt {prompt_id}.",
            hint=f"GET /api/v1/evaluations/{evaluation_id}/verdicts lists those it has.",
        )
    if verdict.verdict is VerdictKind.invalid:
        raise Invalid(
            f"The judge gave no valid verdict on prompt {prompt_id} in evaluation {evaluation_id}.",
            hint="Agree or disagree with one that is a win, a loss, a tie or a flip.",
        )
    known = session.get(VerdictChoice, (evaluation_id, prompt_id, labeller_id))
    if agrees is None:
        if known is not None:
            session.delete(known)
        return
    record_labeller(session, labeller_id=labeller_id)
    if known is None:
        known = VerdictChoice(evaluation_id=evaluation_id, prompt_id=prompt_id, labeller_id=labeller_id, agrees=agrees)
    known.agrees, known.created_at = agrees, now()
    session.add(known)
    session.flush()


def verdict_choices(session: Session, *, evaluation_id: int | None = None) -> list[VerdictChoice]:
    """All of them, or those about one evaluation."""
    query = select(VerdictChoice)
    if evaluation_id is not None:
        query = query.where(VerdictChoice.evaluation_id == evaluation_id)
    return list(session.exec(query))
