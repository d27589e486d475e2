"""Tallies: the counts are those of the rows, one covering index answers them, only what changed is recounted."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from storage.database import Database
from storage.evaluations import people_scores, record_evaluation, record_judge
from storage.preferences import withdraw_preference
from storage.tables import Choice, Evaluation, Purpose, RunStatus, Verdict, VerdictKind
from storage.tallies import Kinds, PeopleTallies, ScoreCount, Tally, evaluation_tallies, newly_compared, people_tallies

Choose = Callable[..., int]


@pytest.fixture
def judge(compare: Callable[..., str], choose: Choose, checkpoint: Callable[..., str]) -> Choose:
    """judge("Q?", "new", "old", Choice.left): a choice between two checkpoints; a text is as long as its name."""
    made: set[str] = set()

    def act(question: str, left: str, right: str, choice: Choice, *, labeller: str = "ann") -> int:
        for name in {left, right} - made:
            made.add(checkpoint(name))
        comparison = compare(question, left, right, purpose=Purpose.evaluate, checkpoints=(left, right))
        return choose(comparison, choice, labeller=labeller)

    return act


def plan_of(session: Session, act: Callable[[], Any]) -> list[str]:
    """SQLite's plan of the one query that `act` makes."""
    said: list[str] = []
    connection: Any = session.connection().connection.driver_connection
    connection.set_trace_callback(said.append)
    act()
    connection.set_trace_callback(None)
    (query,) = [line for line in said if line.startswith("SELECT")]
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]


def read(database: Database) -> dict[tuple[str, str], Tally]:
    with database.read() as session:
        return people_tallies(session)


def test_both_sides_and_repeats_of_a_prompt_are_one_prompt_of_one_pair(database: Database, judge: Choose) -> None:
    judge("One?", "new", "older", Choice.left)
    judge("One?", "older", "new", Choice.tie)
    judge("Two?", "older", "new", Choice.left)
    (tally,) = read(database).values()
    assert (tally.a, tally.b, tally.prompts, tally.choices) == ("new", "older", 2, 3)
    assert set(tally.counts) == {ScoreCount(0.75, 1, 2, 3.0, 5.0), ScoreCount(0.0, 1, 1, 3.0, 5.0)}
    assert tally.kinds == Kinds(wins=1, losses=1)


def test_the_counts_are_those_of_the_rows(database: Database, judge: Choose) -> None:
    draw = random.Random(5)
    for number in range(60):
        left, right = draw.sample(["a", "bb", "ccc"], 2)
        judge(f"{draw.randrange(12)}?", left, right, draw.choice(list(Choice)), labeller=f"p{number}")
    tallies = read(database)
    assert len(tallies) == 3
    for (a, b), tally in tallies.items():
        with database.read() as session:
            scores = people_scores(session, candidate_id=a, baseline_id=b)
        counted = sorted(c.score for c in tally.counts for _ in range(c.prompts))
        assert counted == pytest.approx(sorted(score.score for score in scores))
        assert sum(c.length_a for c in tally.counts) == pytest.approx(sum(s.candidate_length for s in scores))


def test_one_covering_index_answers_all_pairs(database: Database, judge: Choose) -> None:
    judge("One?", "new", "old", Choice.left)
    with database.read() as session:
        plan = plan_of(session, lambda: people_tallies(session))
    assert any("USING COVERING INDEX preference_chart (purpose=? AND withdrawn_at=?)" in step for step in plan), plan


def test_the_choices_among_a_few_are_found_without_reading_the_others(database: Database, judge: Choose) -> None:
    judge("One?", "a", "b", Choice.left)
    judge("One?", "c", "b", Choice.left)
    with database.read() as session:
        assert list(people_tallies(session, among={"a", "b"})) == [("a", "b")]
        plan = plan_of(session, lambda: people_tallies(session, among={"a", "b"}))
    assert any("left_checkpoint_id=? AND right_checkpoint_id=?" in step for step in plan), plan


def test_new_choices_are_found_by_their_ids(database: Database, judge: Choose) -> None:
    judge("One?", "a", "b", Choice.left)
    with database.read() as session:
        assert newly_compared(session, after=0) == {"a", "b"}
        assert newly_compared(session, after=1) == set()
        plan = plan_of(session, lambda: newly_compared(session, after=0))
    assert any("USING INTEGER PRIMARY KEY (rowid>?)" in step for step in plan), plan


def test_a_new_choice_recounts_its_pair_only(database: Database, judge: Choose) -> None:
    judge("One?", "a", "b", Choice.left)
    judge("One?", "a", "c", Choice.left)
    kept = PeopleTallies()
    with database.read() as session:
        before = kept.read(session)
    judge("Two?", "b", "a", Choice.left)
    with database.read() as session:
        after = kept.read(session)
    assert after == read(database)
    assert after["a", "b"].prompts == 2
    assert after["a", "c"] is before["a", "c"]


def test_an_undone_choice_no_longer_counts(database: Database, judge: Choose) -> None:
    undone = judge("One?", "a", "b", Choice.left)
    judge("One?", "a", "c", Choice.left)
    kept = PeopleTallies()
    with database.read() as session:
        before = kept.read(session)
    with database.write() as session:
        withdraw_preference(session, preference_id=undone)
    with database.read() as session:
        after = kept.read(session)
    assert list(after) == [("a", "c")]
    assert after["a", "c"] is before["a", "c"]


def test_turned_round_a_tally_is_the_other_sides() -> None:
    tally = Tally("a", "b", (ScoreCount(0.75, 2, 4, 10.0, 20.0),), Kinds(wins=2, invalid=1))
    assert tally.turned() == Tally("b", "a", (ScoreCount(0.25, 2, 4, 20.0, 10.0),), Kinds(losses=2, invalid=1))


def test_an_evaluation_is_counted_by_verdict_and_the_invalid_have_no_score(
    database: Database, compare: Callable[..., str], checkpoint: Callable[..., str]
) -> None:
    checkpoint("new"), checkpoint("old")
    kinds = [("win", 1.0), ("win", 1.0), ("flip", 0.5), ("tie", 0.5), ("loss", 0.0), ("invalid", None)]
    for number in range(len(kinds)):
        compare(f"{number}?")
    with database.write() as session:
        record_judge(session, judge_id="j", kind="test", revision="1")
        verdicts = [
            Verdict(
                evaluation_id=0,
                prompt_id=number,
                verdict=VerdictKind(kind),
                score=score,
                candidate_length=4.0,
                baseline_length=6.0,
            )
            for number, (kind, score) in enumerate(kinds, 1)
        ]
        made = record_evaluation(
            session,
            Evaluation(candidate_id="new", baseline="old", judge_id="j", status=RunStatus.succeeded),
            verdicts,
        )
        assert made.id is not None
        tally = evaluation_tallies(session, [(made.id, "new", "old")])[made.id]
    assert tally.kinds == Kinds(wins=2, ties=1, flips=1, losses=1, invalid=1)
    assert (tally.prompts, sum(c.score * c.prompts for c in tally.counts)) == (5, 3.0)
