"""Points, ratings and pairs from rows: who compared whom, and that nothing is pooled."""

from collections.abc import Callable, Sequence

import pytest

from app.equal_length import EqualLength
from app.leaderboard import leaderboard, pair_matrix, sources
from app.win_rates import PEOPLE, PREFERENCE_MODEL, WinRates, points
from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import record_comparison
from storage.database import Database
from storage.evaluations import record_evaluation, record_judge
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Choice,
    Completion,
    Evaluation,
    Purpose,
    RunStatus,
    Split,
    Verdict,
    VerdictKind,
)


@pytest.fixture
def evaluate(database: Database) -> Callable[..., int]:
    """evaluate("new", "initial", [1.0, 0.0]): verdicts of a judge on prompts 1, 2, ...; gives the evaluation's id."""

    def act(
        candidate: str,
        baseline: str,
        scores: Sequence[float | None],
        *,
        judge: str = PREFERENCE_MODEL,
        status: RunStatus = RunStatus.succeeded,
        lengths: Sequence[tuple[float, float]] = (),
    ) -> int:
        kinds = {1.0: VerdictKind.win, 0.0: VerdictKind.loss, 0.5: VerdictKind.tie, None: VerdictKind.invalid}
        with database.write() as session:
            record_judge(session, judge_id=judge, kind="test", revision="1", config={"name": f"the {judge}"})
            verdicts = []
            for number, score in enumerate(scores):
                prompt = record_prompt(session, messages=question(number), source="test", split=Split.heldout)
                own, other = lengths[number] if lengths else (10.0, 20.0)
                assert prompt.id is not None
                verdicts.append(
                    Verdict(
                        evaluation_id=0,
                        prompt_id=prompt.id,
                        verdict=kinds[score],
                        score=score,
                        candidate_length=own,
                        baseline_length=other,
                    )
                )
            made = record_evaluation(
                session,
                Evaluation(candidate_id=candidate, baseline=baseline, judge_id=judge, status=status),
                verdicts,
            )
            assert made.id is not None
            return made.id

    return act


@pytest.fixture
def choose(database: Database) -> Callable[..., None]:
    """choose(3, "new", "initial", Choice.left): a person's choice on prompt 3, the first on the left."""

    def act(number: int, left: str, right: str, choice: Choice) -> None:
        with database.write() as session:
            prompt = record_prompt(session, messages=question(number), source="test", split=Split.heldout)
            assert prompt.id is not None
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, text=left, checkpoint_id=left),
                right=Completion(prompt_id=prompt.id, text=right, checkpoint_id=right),
                purpose=Purpose.evaluate,
            )
            record_preference(
                session, comparison_id=comparison.id, labeller_id="ann", choice=choice, client_id=comparison.id
            )

    return act


@pytest.fixture
def rates(database: Database) -> WinRates:
    with database.write() as session:
        record_project(session, initial_model="m", name="starter", digest="d")
        for name in ("dpo-0001", "dpo-0002"):
            made = Checkpoint(id=name, name=name, kind=CheckpointKind.adapter, source=name, digest="d")
            record_checkpoint(session, checkpoint=made, preference_ids=())
    return WinRates(database)


def question(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{number}?"}]


def test_people_and_each_judge_have_points_of_their_own(
    rates: WinRates, evaluate: Callable[..., int], choose: Callable[..., None]
) -> None:
    evaluate("dpo-0001", "initial", [1.0, 1.0, 0.0, None])
    evaluate("dpo-0001", "initial", [0.0, 0.5], judge="other")
    choose(0, "initial", "dpo-0001", Choice.right)
    found = {row.source: row for row in rates.points()}
    assert {source: (row.rate, row.n) for source, row in found.items()} == {
        PREFERENCE_MODEL: (pytest.approx(2 / 3), 3),
        "other": (0.25, 2),
        PEOPLE: (1.0, 1),
    }
    assert (found[PREFERENCE_MODEL].invalid, found["other"].ties, found[PEOPLE].wins) == (1, 1, 1)
    assert rates.read().judges["other"] == "the other"


def test_only_the_newest_finished_evaluation_of_a_pair_is_a_point(
    rates: WinRates, evaluate: Callable[..., int]
) -> None:
    evaluate("dpo-0001", "initial", [0.0])
    newest = evaluate("dpo-0001", "initial", [1.0])
    evaluate("dpo-0001", "initial", [0.0], status=RunStatus.running)
    assert [(row.evaluation_id, row.rate) for row in rates.points()] == [(newest, 1.0)]


def test_texts_that_are_no_checkpoint_are_a_baseline_of_their_own(
    rates: WinRates, evaluate: Callable[..., int]
) -> None:
    evaluate("dpo-0001", "chosen", [1.0, 0.0])
    evaluate("dpo-0002", "dpo-0001", [1.0])
    assert [(row.baseline, row.against) for row in rates.points()] == [("chosen", "texts"), ("dpo-0001", "previous")]


def test_the_leaderboard_rates_all_that_met_and_says_why_one_is_not_ranked(
    rates: WinRates, evaluate: Callable[..., int]
) -> None:
    evaluate("dpo-0001", "initial", [1.0] * 30 + [0.0] * 10)
    evaluate("dpo-0002", "dpo-0001", [1.0] * 3 + [0.0])
    measured = rates.read()
    board = leaderboard(measured, PREFERENCE_MODEL)
    assert [rank.checkpoint_id for rank in board] == ["dpo-0001", "initial", "dpo-0002"]
    first, initial, last = board
    # 30 of 40: 400 log10 3 points apart; 3 of 4 the same again
    assert first.rating - initial.rating == pytest.approx(190.85, abs=0.01)
    assert last.rating - first.rating == pytest.approx(190.85, abs=0.01)
    assert (first.ranks, initial.ranks) == ((1, 1), (2, 2))
    assert last.ranks is None and last.reason == "not enough comparisons: 4 of at least 30"
    assert (first.choices, first.wins, first.losses) == (44, 31, 13)
    assert first.point is not None and first.point.rate == 0.75 and initial.point is None
    assert sources(measured) == [PREFERENCE_MODEL] and leaderboard(measured, PEOPLE) == []


def test_the_matrix_reads_a_row_against_a_column_in_both_directions(
    rates: WinRates, choose: Callable[..., None]
) -> None:
    choose(0, "dpo-0001", "initial", Choice.left)
    choose(1, "initial", "dpo-0001", Choice.tie)
    matrix = pair_matrix(rates.read(), PEOPLE, ["initial", "dpo-0001", "dpo-0002"])
    assert matrix.names == ["starter", "dpo-0001", "dpo-0002"]
    assert [[cell.rate for cell in row] for row in matrix.cells] == [[None, 0.25, None], [0.75, None, None], [None] * 3]
    assert matrix.cells[0][1].n == 2


def test_at_equal_length_a_checkpoint_that_wins_by_length_alone_is_no_better(
    database: Database, rates: WinRates, evaluate: Callable[..., int]
) -> None:
    longer = [(30.0, 10.0), (10.0, 30.0), (31.0, 10.0), (10.0, 29.0)] * 15
    scores = [1.0 if own > other else 0.0 for own, other in longer]
    scores[:20] = [1.0 - score for score in scores[:20]]
    evaluate("dpo-0001", "initial", [*scores, 1.0, 1.0, 1.0], lengths=[*longer, *[(90.0, 10.0)] * 3])
    (row,) = points(rates.read())
    fitted = EqualLength(database).of(row)
    assert not isinstance(fitted, str)
    assert fitted.low < fitted.rate < row.rate
    assert fitted.rate == pytest.approx(0.5, abs=0.03)


def test_where_lengths_never_overlap_it_is_said_instead(
    database: Database, rates: WinRates, evaluate: Callable[..., int]
) -> None:
    evaluate("dpo-0001", "initial", [1.0, 0.0] * 20, lengths=[(10.0 + i, 100.0) for i in range(40)])
    (row,) = points(rates.read())
    assert "not identifiable" in str(EqualLength(database).of(row))
