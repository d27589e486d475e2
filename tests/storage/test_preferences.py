"""Choices: written once, undone, leased, merged; and which of them make pairs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from storage.comparisons import claim_comparison, drop_waiting
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.pairs import edited_pairs, preference_pairs
from storage.preferences import count_choices, last_preference, record_labeller, record_preference, withdraw_preference
from storage.tables import Choice, Comparison, ComparisonState, Feedback, Preference, Purpose, Split, now

Make = Callable[..., str]
Choose = Callable[..., int]


def claim(database: Database, labeller: str | None) -> str | None:
    with database.write() as session:
        comparison = claim_comparison(session, labeller_id=labeller)
        return None if comparison is None else comparison.id


def pairs(database: Database, **options: object) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(p.chosen.text, p.rejected.text) for p in preference_pairs(session, **options)]


def expire_leases(database: Database) -> None:
    with database.write() as session:
        for comparison in session.exec(select(Comparison)):
            comparison.leased_until = now() - timedelta(seconds=1)
            session.add(comparison)


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
    assert pairs(database) == [("Colours are many.", "Blue.")]
    with database.read() as session:
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


def test_after_undo_the_comparison_is_before_its_labeller_and_no_other(
    database: Database, compare: Make, choose: Choose
) -> None:
    comparison = compare()
    undo(database, choose(comparison))
    assert claim(database, "bob") is None
    assert claim(database, "ann") == comparison


def test_undo_takes_back_the_newest_standing_choice(database: Database, compare: Make, choose: Choose) -> None:
    first, second = choose(compare("One?")), choose(compare("Two?"))
    undo(database, second)
    with database.read() as session:
        newest = last_preference(session, labeller_id="ann")
    assert newest is not None and newest.id == first


def test_a_choice_on_nothing_is_not_found(choose: Choose) -> None:
    with pytest.raises(NotFound):
        choose("no-such-comparison")


def test_two_labellers_never_get_the_same_comparison(database: Database, compare: Make) -> None:
    made = {compare(f"{n}?") for n in range(3)}
    assert {claim(database, name) for name in ("ann", "bob", "cy")} == made
    assert claim(database, "dan") is None


def test_bare_calls_each_get_their_own_lease(database: Database, compare: Make) -> None:
    compare("One?"), compare("Two?")
    assert claim(database, None) != claim(database, None)


def test_a_reload_gets_the_same_comparison_again(database: Database, compare: Make) -> None:
    compare("One?"), compare("Two?")
    assert claim(database, "ann") == claim(database, "ann")


def test_an_expired_lease_goes_to_the_next_labeller(database: Database, compare: Make) -> None:
    comparison = compare()
    claim(database, "ann")
    assert claim(database, "bob") is None
    expire_leases(database)
    assert claim(database, "bob") == comparison


def test_a_choice_on_a_comparison_leased_to_another_is_refused(
    database: Database, compare: Make, choose: Choose
) -> None:
    comparison = compare()
    claim(database, "ann")
    with pytest.raises(Conflict, match="before another labeller"):
        choose(comparison, labeller="bob")


def test_a_late_choice_counts_while_nobody_else_has_the_comparison(
    database: Database, compare: Make, choose: Choose
) -> None:
    comparison = compare()
    claim(database, "ann")
    expire_leases(database)
    assert choose(comparison, labeller="ann")


def test_a_choice_on_a_dropped_comparison_is_refused(database: Database, compare: Make, choose: Choose) -> None:
    comparison = compare()
    with database.write() as session:
        drop_waiting(session, before_generation=1)
    with pytest.raises(Conflict, match="dropped"):
        choose(comparison)


def test_a_swap_drops_what_waits_and_leaves_what_is_shown(database: Database, compare: Make) -> None:
    shown, waiting, newer = compare("One?"), compare("Two?"), compare("Three?", generation=1)
    assert claim(database, "ann") == shown
    with database.write() as session:
        assert drop_waiting(session, before_generation=1) == 1
    with database.read() as session:
        states = {c.id: c.state for c in session.exec(select(Comparison))}
    assert states == {
        shown: ComparisonState.leased,
        waiting: ComparisonState.dropped,
        newer: ComparisonState.waiting,
    }


def test_left_and_right_are_pairs_and_the_rest_are_not(database: Database, compare: Make, choose: Choose) -> None:
    for choice in Choice:
        choose(compare(f"{choice}?", f"{choice} l", f"{choice} r"), choice)
    assert pairs(database) == [("left l", "left r"), ("right r", "right l")]


def test_skips_are_not_choices(database: Database, compare: Make, choose: Choose) -> None:
    for choice in Choice:
        choose(compare(f"{choice}?"), choice)
    with database.read() as session:
        assert count_choices(session) == 4


@pytest.mark.parametrize(
    ("made", "winner"),
    [
        ((Choice.left, Choice.left, Choice.right), "Blue."),
        ((Choice.right, Choice.right, Choice.skip), "Colours are many."),
        ((Choice.left, Choice.right), None),
        ((Choice.left, Choice.tie), None),
        ((Choice.left, Choice.tie, Choice.both_bad), None),
        ((Choice.left, Choice.skip, Choice.skip), "Blue."),
    ],
)
def test_several_peoples_choices_are_merged_by_majority(
    database: Database, compare: Make, made: tuple[Choice, ...], winner: str | None
) -> None:
    comparison = compare()
    for number, choice in enumerate(made):
        _overlap(database, comparison, f"labeller {number}", choice)
    assert [chosen for chosen, _ in pairs(database)] == ([winner] if winner else [])


def _overlap(database: Database, comparison_id: str, labeller: str, choice: Choice) -> None:
    """A choice where overlap was asked for: the comparison is open again for each labeller."""
    with database.write() as session:
        session.get_one(Comparison, comparison_id).state = ComparisonState.waiting
        record_preference(
            session, comparison_id=comparison_id, labeller_id=labeller, choice=choice, client_id=f"{labeller}{choice}"
        )


def test_a_merged_pair_names_the_preferences_that_agreed(database: Database, compare: Make) -> None:
    comparison = compare()
    for name, choice in (("a", Choice.left), ("b", Choice.right), ("c", Choice.left)):
        _overlap(database, comparison, name, choice)
    with database.read() as session:
        assert preference_pairs(session)[0].preference_ids == (1, 3)


def test_evaluation_choices_never_train(database: Database, compare: Make, choose: Choose) -> None:
    choose(compare(purpose=Purpose.evaluate))
    choose(compare("Other?", split=Split.heldout, purpose=Purpose.evaluate))
    assert pairs(database, splits=Split) == []


def test_a_pair_of_a_held_out_prompt_is_not_among_the_train_pairs(
    database: Database, compare: Make, choose: Choose
) -> None:
    choose(compare(split=Split.heldout))
    assert pairs(database) == []
    assert len(pairs(database, splits=[Split.heldout])) == 1


def test_pairs_after_a_preference_are_only_the_newer(database: Database, compare: Make, choose: Choose) -> None:
    first = choose(compare("One?", "a", "b"))
    choose(compare("Two?", "c", "d"))
    assert pairs(database, after=first) == [("c", "d")]


def test_an_edited_reply_is_chosen_against_the_original(database: Database, compare: Make) -> None:
    comparison = compare()
    with database.write() as session:
        left = session.get_one(Comparison, comparison).left_id
        record_labeller(session, labeller_id="ann")
        for text in ("Blue, I think.", "Sky blue."):
            session.add(Feedback(completion_id=left, labeller_id="ann", edited_text=text))
    with database.read() as session:
        assert [(p.chosen.text, p.rejected.text) for p in edited_pairs(session)] == [("Sky blue.", "Blue.")]


def test_a_preference_carries_checkpoints_lengths_and_purpose_of_its_comparison(
    database: Database, compare: Make, choose: Choose, checkpoint: Make
) -> None:
    sides = (checkpoint("dpo-0001"), checkpoint("dpo-0002"))
    number = choose(compare("One?", "four", "sevenxx", checkpoints=sides, purpose=Purpose.evaluate))
    with database.read() as session:
        row = session.get_one(Preference, number)
    assert (row.left_checkpoint_id, row.right_checkpoint_id) == sides
    assert (row.left_length, row.right_length, row.purpose) == (4, 7, Purpose.evaluate)
