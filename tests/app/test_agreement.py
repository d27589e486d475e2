"""Labellers' habits from their choices, and a judge beside people on the same prompts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.agreement import ChoiceRow, agreement_report, habits
from app.win_rates import WinRates
from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import record_comparison
from storage.database import Database
from storage.evaluations import record_evaluation, record_judge
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.repeats import RepeatedChoice
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Choice,
    ComparisonState,
    Completion,
    Evaluation,
    Purpose,
    RunStatus,
    Split,
    Verdict,
    VerdictKind,
)
from storage.transfer.exporting import labeller_name

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(choice: Choice, *, seconds: float = 0, comparison: str = "", prompt_id: int = 1, who: str = "ann") -> ChoiceRow:
    at = NOON + timedelta(seconds=seconds)
    return ChoiceRow(who, prompt_id, comparison, "new", "old", choice, 3, 3, at)


def test_ties_do_not_count_as_a_side_taken() -> None:
    own = habits([row(Choice.left), row(Choice.left), row(Choice.right), row(Choice.tie)], {})["ann"]
    assert own.took_left is not None
    assert (own.choices, own.ties, own.took_left.right, own.took_left.n) == (4, 0.25, 2, 3)


def test_the_same_text_chosen_on_the_other_side_is_the_same_again() -> None:
    texts = {"first": ("blue", "red"), "swapped": ("red", "blue"), "again": ("blue", "red")}
    rows = [
        row(Choice.left, comparison="first"),
        row(Choice.right, comparison="swapped"),
        row(Choice.right, comparison="again"),
    ]
    same = habits(rows, texts)["ann"].same
    assert same is not None and (same.right, same.n) == (1, 2)


def test_hidden_repeats_show_who_goes_by_the_side_even_of_one_who_measured_nothing_else() -> None:
    left, right, tie = Choice.left, Choice.right, Choice.tie
    made = ((left, right), (left, left), (left, left), (right, right), (tie, tie))
    hidden = [RepeatedChoice("s", first, again) for first, again in made]
    own = habits([], {}, {"ann": hidden})["ann"]
    assert own.same is not None and own.left_twice is not None
    assert (own.same.right, own.same.n, own.repeats) == (2, 5, 5)
    assert (own.left_twice.right, own.left_twice.n) == (2, 3)
    assert (own.choices, own.ties, own.took_left) == (0, None, None)


def test_a_pause_is_no_slow_choice() -> None:
    times = [0, 4, 10, 4000, 4005]
    own = habits([row(Choice.left, seconds=at) for at in times], {})["ann"]
    assert (own.seconds, own.timed) == (5.0, 3)


@pytest.fixture
def compared(database: Database) -> Callable[..., None]:
    """compared(1, "ann", Choice.left, 0.0): on prompt 1 ann chose the new one, the judge scored it 0."""
    with database.write() as session:
        record_project(session, initial_model="m", name="starter", digest="d")
        made = Checkpoint(id="new", name="new", kind=CheckpointKind.adapter, source="new", digest="d")
        record_checkpoint(session, checkpoint=made, preference_ids=())
        record_judge(session, judge_id="j", kind="test", revision="1")
        record_evaluation(
            session, Evaluation(candidate_id="new", baseline="initial", judge_id="j", status=RunStatus.succeeded)
        )

    def act(number: int, who: str, choice: Choice, score: float | None = None) -> None:
        with database.write() as session:
            messages = [{"role": "user", "content": f"{number}?"}]
            prompt = record_prompt(session, messages=messages, source="test", split=Split.heldout)
            assert prompt.id is not None
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, text=f"longer {number}", checkpoint_id="new"),
                right=Completion(prompt_id=prompt.id, text=f"{number}", checkpoint_id="initial"),
                purpose=Purpose.evaluate,
                state=ComparisonState.waiting,
            )
            record_preference(
                session, comparison_id=comparison.id, labeller_id=who, choice=choice, client_id=comparison.id
            )
            if score is not None:
                kind = VerdictKind.win if score > 0.5 else VerdictKind.loss
                session.add(
                    Verdict(
                        evaluation_id=1,
                        prompt_id=prompt.id,
                        verdict=kind,
                        score=score,
                        candidate_length=9.0,
                        baseline_length=1.0,
                    )
                )

    return act


def test_a_judge_stands_beside_people_the_ceiling_and_the_longest(
    database: Database, compared: Callable[..., None]
) -> None:
    compared(1, "ann", Choice.left, 1.0)
    compared(2, "ann", Choice.right, 1.0)
    compared(3, "ann", Choice.right, 0.0)
    compared(3, "bob", Choice.left)
    with database.read() as session:
        report = agreement_report(session, WinRates(database).read())
    found = report["judges"]["j"]["agreement"]
    assert (found["people"]["with_ties"]["agree"], found["people"]["with_ties"]["total"]) == (2, 4)
    assert (found["ceiling"]["with_ties"]["agree"], found["ceiling"]["with_ties"]["total"]) == (0, 1)
    assert (found["longest"]["with_ties"]["agree"], found["items"]) == (2, 3)
    assert report["people"]["alpha"]["items"] == 1
    assert set(report["labellers"]) == {labeller_name("ann"), labeller_name("bob")}


def test_no_ones_session_is_told(database: Database, compared: Callable[..., None]) -> None:
    compared(1, "a-secret-cookie", Choice.left, 1.0)
    with database.read() as session:
        assert "a-secret-cookie" not in str(agreement_report(session, WinRates(database).read()))
