"""The people's win rate: their evaluation choices as one score per prompt."""

from collections.abc import Callable

import pytest

from storage.database import Database
from storage.evaluations import Score, people_scores
from storage.preferences import withdraw_preference
from storage.tables import Choice, Purpose


@pytest.fixture
def judge(
    compare: Callable[..., str], choose: Callable[..., int], checkpoint: Callable[..., str]
) -> Callable[..., int]:
    """A choice between the new (two characters) and the old checkpoint (three)."""
    checkpoint("new"), checkpoint("old")

    def act(
        question: str,
        choice: Choice,
        *,
        new_on_left: bool = True,
        purpose: Purpose = Purpose.evaluate,
        labeller: str = "ann",
    ) -> int:
        sides = [("new", "ab"), ("old", "abc")]
        (left, left_text), (right, right_text) = sides if new_on_left else sides[::-1]
        comparison = compare(question, left_text, right_text, purpose=purpose, checkpoints=(left, right))
        return choose(comparison, choice, labeller=labeller)

    return act


def scores(database: Database, candidate: str = "new", baseline: str = "old") -> list[Score]:
    with database.read() as session:
        return people_scores(session, candidate_id=candidate, baseline_id=baseline)


@pytest.mark.parametrize(
    ("choice", "new_on_left", "score"),
    [
        (Choice.left, True, 1.0),
        (Choice.right, True, 0.0),
        (Choice.left, False, 0.0),
        (Choice.right, False, 1.0),
        (Choice.tie, True, 0.5),
        (Choice.both_bad, False, 0.5),
    ],
)
def test_a_choice_is_the_candidates_score_whichever_side_it_was_on(
    database: Database, judge: Callable[..., int], choice: Choice, new_on_left: bool, score: float
) -> None:
    judge("One?", choice, new_on_left=new_on_left)
    assert scores(database) == [Score(1, score, 2.0, 3.0)]


def test_seen_from_the_baseline_the_score_is_turned_round(database: Database, judge: Callable[..., int]) -> None:
    judge("One?", Choice.left)
    assert scores(database, "old", "new") == [Score(1, 0.0, 3.0, 2.0)]


def test_a_prompt_judged_twice_counts_once_with_its_mean(database: Database, judge: Callable[..., int]) -> None:
    judge("One?", Choice.left)
    judge("One?", Choice.tie, labeller="bob")
    assert [s.score for s in scores(database)] == [0.75]


def test_skips_withdrawn_and_training_choices_do_not_count(database: Database, judge: Callable[..., int]) -> None:
    judge("One?", Choice.skip)
    judge("Two?", Choice.left, purpose=Purpose.train)
    with database.write() as session:
        withdraw_preference(session, preference_id=judge("Three?", Choice.left))
    assert scores(database) == []
