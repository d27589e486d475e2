"""Evaluations by people as rows: their comparisons' turn, what a swap and a stop do to them, and when they are over."""

from collections.abc import Callable, Sequence

import pytest
from sqlmodel import Session, select

from storage.comparisons import claim_comparison, drop_waiting
from storage.database import Database
from storage.evaluation_queue import claim_evaluation, queue_evaluation, request_evaluation_cancel
from storage.evaluations import get_evaluation
from storage.people_evaluations import (
    PEOPLE,
    PeopleProgress,
    answered_evaluations,
    asked_of_people,
    close_answered,
    next_prepared,
    people_progress,
    put_before_people,
    release_prepared,
)
from storage.preferences import withdraw_preference
from storage.prompts import record_prompt
from storage.tables import Choice, Comparison, ComparisonState, Completion, RunStatus, Split
from storage.tallies import people_tallies

Asked = Callable[..., tuple[int, list[str]]]
Choose = Callable[..., int]


@pytest.fixture
def asked(database: Database, checkpoint: Callable[..., str]) -> Asked:
    """asked(3) puts three comparisons of "new" and "initial" before people: the evaluation's id, and theirs in turn."""
    checkpoint("new"), checkpoint("initial")

    def make(count: int = 2) -> tuple[int, list[str]]:
        config = {"asked": {"judge": PEOPLE, "prompts": count}}
        with database.write() as session:
            evaluation, _ = queue_evaluation(session, candidate_id="new", baseline="initial", config=config)
            assert evaluation.id is not None
            claimed = claim_evaluation(session, evaluation.id, pid=1, process_started_at=1.0)
            put_before_people(session, claimed, [pair(session, number) for number in range(count)])
            made = session.exec(select(Comparison).where(Comparison.evaluation_id == evaluation.id))
            return evaluation.id, [c.id for c in sorted(made, key=lambda c: c.left_id)]

    return make


def pair(session: Session, number: int) -> tuple[int, Completion, Completion]:
    messages = [{"role": "user", "content": f"{number}?"}]
    prompt = record_prompt(session, messages=messages, source="test", split=Split.heldout)
    assert prompt.id is not None
    sides = [Completion(prompt_id=prompt.id, text=name, checkpoint_id=name) for name in ("new", "initial")]
    return prompt.id, sides[number % 2], sides[1 - number % 2]


def release(database: Database, ids: Sequence[str], *, generation: int = 1) -> None:
    with database.write() as session:
        for comparison_id in ids:
            release_prepared(session, comparison_id, generation=generation)


def states(database: Database) -> dict[str, ComparisonState]:
    with database.read() as session:
        return {c.id: c.state for c in session.exec(select(Comparison))}


def status(database: Database, evaluation_id: int) -> RunStatus:
    with database.read() as session:
        return get_evaluation(session, evaluation_id).status


def close(database: Database, evaluation_id: int) -> None:
    with database.write() as session:
        close_answered(session, evaluation_id)


def test_its_comparisons_wait_for_their_turn_in_the_order_they_were_made(database: Database, asked: Asked) -> None:
    _, ids = asked(3)
    turns = []
    with database.write() as session:
        assert claim_comparison(session, labeller_id="ann") is None
        while (turn := next_prepared(session)) is not None:
            turns.append(turn)
            release_prepared(session, turn, generation=1)
        claimed = claim_comparison(session, labeller_id="ann")
        assert claimed is not None and claimed.id in ids
    assert turns == ids


def test_a_swap_sends_them_back_to_wait_for_their_turn_and_drops_none(database: Database, asked: Asked) -> None:
    _, ids = asked(2)
    release(database, ids[:1], generation=1)
    with database.write() as session:
        assert drop_waiting(session, before_generation=2) == 0
        assert next_prepared(session) == ids[0]


def test_choices_on_them_are_peoples_choices_on_that_pair(database: Database, asked: Asked, choose: Choose) -> None:
    number, ids = asked(3)
    release(database, ids)
    choose(ids[0], Choice.left), choose(ids[1], Choice.left), choose(ids[2], Choice.skip)
    with database.read() as session:
        tally = people_tallies(session)["initial", "new"]
        assert people_progress(session, number) == PeopleProgress(wanted=3, chosen=2, skipped=1, left=0)
        assert asked_of_people(session) == [("new", "initial")]
    assert (tally.prompts, tally.kinds.wins, tally.kinds.losses) == (2, 1, 1)  # the sides of the two differ


def test_it_is_over_once_nothing_is_left_to_choose_on(database: Database, asked: Asked, choose: Choose) -> None:
    number, ids = asked(2)
    release(database, ids)
    choose(ids[0])
    with database.read() as session:
        assert answered_evaluations(session) == []
    undone = choose(ids[1])
    with database.write() as session:
        withdraw_preference(session, preference_id=undone)
    close(database, number)
    assert status(database, number) is RunStatus.evaluating
    choose(ids[1], Choice.skip)
    with database.read() as session:
        assert answered_evaluations(session) == [number]
    close(database, number)
    assert status(database, number) is RunStatus.succeeded


def test_its_stop_withdraws_what_nobody_has_seen_and_keeps_the_choices(
    database: Database, asked: Asked, choose: Choose
) -> None:
    number, ids = asked(4)
    release(database, ids[:3])
    choose(ids[0])
    with database.write() as session:
        shown = claim_comparison(session, labeller_id="ann")
        assert shown is not None
        request_evaluation_cancel(session, number)
    assert status(database, number) is RunStatus.cancelled
    found = states(database)
    assert found.pop(ids[0]) is ComparisonState.decided and found.pop(shown.id) is ComparisonState.leased
    assert set(found.values()) == {ComparisonState.dropped}
    choose(shown.id)
    with database.read() as session:
        assert people_progress(session, number) == PeopleProgress(wanted=4, chosen=2, skipped=0, left=0)


def test_the_same_question_is_not_put_to_people_twice_at_a_time(database: Database, asked: Asked) -> None:
    number, _ = asked(2)
    with database.write() as session:
        config = {"asked": {"judge": PEOPLE, "prompts": 2}}
        again, new = queue_evaluation(session, candidate_id="new", baseline="initial", config=config)
        assert (again.id, new) == (number, False)


def test_another_evaluation_may_run_while_people_choose(database: Database, asked: Asked) -> None:
    asked(2)
    with database.write() as session:
        other, _ = queue_evaluation(session, candidate_id="new", baseline="initial", config={"asked": {"judge": "j"}})
        assert other.id is not None
        assert claim_evaluation(session, other.id, pid=2, process_started_at=1.0).status is RunStatus.running
