"""What is behind a point of the chart: its prompts with both texts, verdicts, replies and choices; its slices by tag.

A point is a judge's evaluation, or people's choices between two checkpoints. The page's address names it by the
evaluation's number, or by `candidate:baseline`. Leaves out the point itself (app/win_rates.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, or_, select

from app.baselines import baseline_name
from app.rubrics import RubricUsed, rubric_used
from app.win_rates import PEOPLE, WinRateRow
from storage.evaluations import CHOICE_SCORE, Score, people_scores, scores_of
from storage.prompts import Messages, first_user_turn
from storage.tables import (
    Checkpoint,
    Choice,
    Comparison,
    Completion,
    Evaluation,
    Judge,
    Preference,
    Prompt,
    Purpose,
    Verdict,
)
from storage.verdict_choices import verdict_choices


@dataclass(frozen=True)
class Point:
    """Two sides and who compared them: `evaluation_id` is None where it was people, `rubric` what a judge went by."""

    candidate_id: str
    baseline_id: str
    candidate: str
    baseline: str
    evaluation_id: int | None
    by: str
    rubric: RubricUsed | None = None


@dataclass(frozen=True)
class VerdictRow:
    """One prompt of a point. `score` is the candidate's; `people` is people's mean score on the same prompt and pair.

    `replies` are what the judge wrote, with the name of the text it was shown first. `agrees` and `disagrees` count
    those who gave their opinion of this verdict; `mine` is the reader's own.
    """

    prompt_id: int
    prompt: str
    verdict: str
    score: float | None
    candidate: str
    baseline: str
    replies: Sequence[tuple[str, str]] = ()
    people: float | None = None
    agrees: int = 0
    disagrees: int = 0
    mine: bool | None = None

    @property
    def disputed(self) -> bool:
        """Judge and people disagree: they prefer different sides, or someone who read the verdict said so."""
        apart = self.people is not None and self.score is not None and (self.people - 0.5) * (self.score - 0.5) < 0
        return apart or self.disagrees > 0


@dataclass(frozen=True)
class SliceRow:
    """The win rate on prompts with one tag; `p` is Holm-adjusted over the slices, None where a slice is too
    small or all its scores are alike."""

    tag: str
    n: int
    rate: float
    low: float
    high: float
    p: float | None


def item_of(row: WinRateRow) -> str:
    """The name of a point in the page's address."""
    return str(row.evaluation_id) if row.evaluation_id else f"{row.checkpoint_id}:{row.baseline_id}"


def find_point(session: Session, item: str) -> Point | None:
    """The point of that name; None where there is none."""
    names = {c.id: c.name for c in session.exec(select(Checkpoint))}
    candidate, colon, baseline = item.partition(":")
    if colon:
        known = candidate in names and baseline in names
        return Point(candidate, baseline, names[candidate], names[baseline], None, PEOPLE) if known else None
    number = int(item) if item.isascii() and item.isdigit() and len(item) < 18 else 0
    found = session.get(Evaluation, number)
    if found is None or found.judge_id is None:  # by people, or no judge was opened yet
        return None
    judge = session.get_one(Judge, found.judge_id)
    by = str(judge.config.get("name") or judge.kind).replace("_", " ")
    sides = names.get(found.candidate_id, found.candidate_id), baseline_name(found.baseline, names)
    return Point(found.candidate_id, found.baseline, *sides, found.id, by, rubric_used(found.config))


def verdict_rows(
    session: Session, point: Point, *, labeller_id: str | None = None, disputed: bool = False, limit: int = 40
) -> list[VerdictRow]:
    """The prompts of a point, lost ones first, invalid last: those are what is worth reading. disputed: only those."""
    if point.evaluation_id is None:
        return _of_people(session, point, limit=limit)
    about = verdict_choices(session, evaluation_id=point.evaluation_id)
    sides = {"candidate_id": point.candidate_id, "baseline_id": point.baseline_id}
    people = {s.prompt_id: s.score for s in people_scores(session, **sides)}
    query = (
        select(Verdict, Prompt)
        .join(Prompt, col(Verdict.prompt_id) == col(Prompt.id))
        .where(Verdict.evaluation_id == point.evaluation_id)
        .order_by(col(Verdict.score).is_(None), col(Verdict.score), col(Verdict.prompt_id))
        .limit(None if disputed else limit)
    )
    rows = []
    for verdict, prompt in session.exec(query):
        said = {choice.labeller_id: choice.agrees for choice in about if choice.prompt_id == verdict.prompt_id}
        row = VerdictRow(
            prompt_id=verdict.prompt_id,
            prompt=last_user_turn(prompt.messages),
            verdict=verdict.verdict,
            score=verdict.score,
            candidate=_sample(verdict, "candidate"),
            baseline=_sample(verdict, "baseline"),
            replies=_replies(verdict, point),
            people=people.get(verdict.prompt_id),
            agrees=sum(said.values()),
            disagrees=sum(not agrees for agrees in said.values()),
            mine=said.get(labeller_id or ""),
        )
        rows += [row] if row.disputed or not disputed else []
    return rows[:limit]


def slices(session: Session, point: Point) -> list[SliceRow]:
    """Win rates by tag, those with most prompts first; p against one half, Holm over all that are large enough."""
    from trainer.evaluation.outcomes import Outcome
    from trainer.evaluation.pair_report import slice_rows
    from trainer.evaluation.pairs import gather

    scores = point_scores(session, point)
    tags = _tags(session, [score.prompt_id for score in scores])
    outcomes = [
        Outcome(str(s.prompt_id), "candidate", "baseline", s.score, tags=tuple(tags[s.prompt_id])) for s in scores
    ]
    rows = [
        SliceRow(r["tag"], r["n"], r["win_rate"], r["interval"].low, r["interval"].high, r["p_holm"])
        for r in slice_rows(gather(outcomes))
    ]
    return sorted(rows, key=lambda row: -row.n)


def point_scores(session: Session, point: Point) -> list[Score]:
    """The candidate's score per prompt."""
    if point.evaluation_id is None:
        return people_scores(session, candidate_id=point.candidate_id, baseline_id=point.baseline_id)
    return scores_of(session, point.evaluation_id)


def last_user_turn(messages: Messages) -> str:
    return next((m["content"] for m in reversed(messages) if m["role"] == "user"), first_user_turn(messages))


def _of_people(session: Session, point: Point, *, limit: int) -> list[VerdictRow]:
    """One row per choice, lost ones first."""
    left, right = Completion.__table__.alias("left_side"), Completion.__table__.alias("right_side")  # type: ignore[attr-defined]
    sides = col(Preference.left_checkpoint_id), col(Preference.right_checkpoint_id)
    ahead = (sides[0] == point.candidate_id) & (sides[1] == point.baseline_id)
    behind = (sides[0] == point.baseline_id) & (sides[1] == point.candidate_id)
    query: Any = (
        select(Preference, Prompt, left.c.text, right.c.text)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .join(Prompt, col(Preference.prompt_id) == col(Prompt.id))
        .join(left, col(Comparison.left_id) == left.c.id)
        .join(right, col(Comparison.right_id) == right.c.id)
        .where(
            Preference.purpose == Purpose.evaluate,
            col(Preference.withdrawn_at).is_(None),
            Preference.choice != Choice.skip,
            or_(ahead, behind),
        )
    )
    rows = []
    for preference, prompt, one, other in session.exec(query):
        turn = preference.left_checkpoint_id != point.candidate_id
        score = CHOICE_SCORE[preference.choice]
        score, texts = (1 - score, (other, one)) if turn else (score, (one, other))
        word = "win" if score > 0.5 else "loss" if score < 0.5 else str(preference.choice).replace("_", " ")
        rows.append(VerdictRow(preference.prompt_id, last_user_turn(prompt.messages), word, score, *texts))
    return sorted(rows, key=lambda row: (row.score, row.prompt_id))[:limit]


def _tags(session: Session, prompt_ids: Sequence[int]) -> dict[int, Sequence[str]]:
    found: dict[int, Sequence[str]] = {}
    for start in range(0, len(prompt_ids), 500):  # SQLite binds a limited number of variables
        query = select(Prompt.id, Prompt.tags).where(col(Prompt.id).in_(prompt_ids[start : start + 500]))
        found |= {number: tags for number, tags in session.exec(query) if number is not None}
    return found


def _replies(verdict: Verdict, point: Point) -> list[tuple[str, str]]:
    """(name of the text shown first, the judge's reply); the preference model writes none."""
    kept = verdict.texts.get("replies") or []
    return [(point.candidate if r["candidate_first"] else point.baseline, str(r["text"])) for r in kept]


def _sample(verdict: Verdict, side: str) -> str:
    found = verdict.texts.get(side, "")
    return str(found[0] if isinstance(found, list) and found else found or "")
