"""Choices: written once, whoever repeats them; undone; counted."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.pairs import preference_pairs
from storage.preferences import count_choices, last_preference, record_preference, withdraw_preference
from storage.tables import Choice, Preference, Purpose

Make = Callable[..., str]
Choose = Callable[..., int]


def undo(database: Database, preference_id: int, labeller: str | None = None) -> None:
    with database.write() as session:
        withdraw_preference(session, preference_id=preference_id, labeller_id=labeller)


def test_the_same_client_id_again_is_the_same_row(database: Database, compare: Make, choose: Choose) -> None:
    comparison = compare()
    assert choose(comparison, client_id="c1") == choose(comparison, client_id="c1")
    with database.read() as session:
        assert count_choices(session) == 1


def test_a_repeated_write_says_that_it_is_not_new(database: Database, compare: Make) -> None:
    payload = {"comparison_id": compare(), "labeller_id": "ann", "choice": Choice.tie, "client_id": "c1"}
    with database.write() as session:
        assert record_preference(session, **payload)[1] is True
    with database.write() as session:
        assert record_preference(session, **payload)[1] is False


def test_the_same_client_id_with_another_choice_is_a_conflict(compare: Make, choose: Choose) -> None:
    comparison = compare()
    choose(comparison, Choice.left, client_id="c1")
    with pytest.raises(Conflict, match="'c1' was used for another choice"):
        choose(comparison, Choice.right, client_id="c1")


def test_the_same_client_id_for_another_comparison_is_a_conflict(compare: Make, choose: Choose) -> None:
    choose(compare("One?"), client_id="c1")
    with pytest.raises(Conflict):
        choose(compare("Two?"), client_id="c1")


def test_a_second_choice_on_one_comparison_asks_for_undo(compare: Make, choose: Choose) -> None:
    comparison = compare()
    choose(comparison, Choice.left)
    with pytest.raises(Conflict, match="already chosen") as error:
        choose(comparison, Choice.right)
    assert "Undo" in error.value.hint


def test_the_database_itself_allows_one_standing_preference(database: Database, compare: Make, choose: Choose) -> None:
    comparison = compare()
    choose(comparison)
    twin = Preference(
        client_id="other",
        comparison_id=comparison,
        prompt_id=1,
        labeller_id="ann",
        choice=Choice.right,
        purpose=Purpose.train,
        left_length=1,
        right_length=1,
    )
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(twin)


def test_an_undone_choice_can_be_made_again_and_its_row_stays(
    database: Database, compare: Make, choose: Choose
) -> None:
    comparison = compare()
    first = choose(comparison, Choice.left)
    undo(database, first)
    second = choose(comparison, Choice.right)
    assert second != first
    with database.read() as session:
        assert [(p.chosen.text, p.rejected.text) for p in preference_pairs(session)] == [("Colours are many.", "Blue.")]
        assert session.get_one(Preference, first).withdrawn_at is not None
        assert count_choices(session) == 1


def test_undo_twice_changes_nothing(database: Database, compare: Make, choose: Choose) -> None:
    number = choose(compare())
    undo(database, number)
    with database.read() as session:
        first = session.get_one(Preference, number).withdrawn_at
    undo(database, number)
    with database.read() as session:
        assert session.get_one(Preference, number).withdrawn_at == first


def test_nobody_undoes_anothers_choice(database: Database, compare: Make, choose: Choose) -> None:
    number = choose(compare(), labeller="ann")
    with pytest.raises(Conflict, match="someone else"):
        undo(database, number, labeller="bob")


def test_undo_takes_back_the_newest_standing_choice(database: Database, compare: Make, choose: Choose) -> None:
    first, second = choose(compare("One?")), choose(compare("Two?"))
    undo(database, second)
    with database.read() as session:
        newest = last_preference(session, labeller_id="ann")
    assert newest is not None and newest.id == first


def test_a_choice_on_nothing_is_not_found(choose: Choose) -> None:
    with pytest.raises(NotFound):
        choose("no-such-comparison")


def test_skips_are_not_choices(database: Database, compare: Make, choose: Choose) -> None:
    for choice in Choice:
        choose(compare(f"{choice}?"), choice)
    with database.read() as session:
        assert count_choices(session) == 4


def test_a_preference_carries_checkpoints_lengths_and_purpose_of_its_comparison(
    database: Database, compare: Make, choose: Choose, checkpoint: Make
) -> None:
    sides = (checkpoint("dpo-0001"), checkpoint("dpo-0002"))
    number = choose(compare("One?", "four", "sevenxx", checkpoints=sides, purpose=Purpose.evaluate))
    with database.read() as session:
        row = session.get_one(Preference, number)
    assert (row.left_checkpoint_id, row.right_checkpoint_id) == sides
    assert (row.left_length, row.right_length, row.purpose) == (4, 7, Purpose.evaluate)
