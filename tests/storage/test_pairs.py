"""Pairs to learn from: which choices make them, whose choice counts, and edited replies."""

from collections.abc import Callable

import pytest

from storage.database import Database
from storage.pairs import edited_pairs, preference_pairs, tied_pairs
from storage.preferences import record_labeller, record_preference
from storage.tables import Choice, Comparison, ComparisonState, Feedback, Purpose, Split, Strength

Make = Callable[..., str]
Choose = Callable[..., int]


def pairs(database: Database, **options: object) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(p.chosen.text, p.rejected.text) for p in preference_pairs(session, **options)]


def test_left_and_right_are_pairs_and_the_rest_are_not(database: Database, compare: Make, choose: Choose) -> None:
    for choice in Choice:
        choose(compare(f"{choice}?", f"{choice} l", f"{choice} r"), choice)
    assert pairs(database) == [("left l", "left r"), ("right r", "right l")]


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


def test_only_what_most_call_a_tie_is_one(database: Database, compare: Make, choose: Choose) -> None:
    for choice in Choice:
        choose(compare(f"{choice}?", f"{choice} l", f"{choice} r"), choice)
    divided = compare("divided?", "divided l", "divided r")
    _overlap(database, divided, "a", Choice.tie)
    _overlap(database, divided, "b", Choice.both_bad)
    with database.read() as session:
        assert [(p.chosen.text, p.rejected.text) for p in tied_pairs(session)] == [("tie l", "tie r")]


@pytest.mark.parametrize(
    ("said", "strength"),
    [
        ((Strength.clearly,), Strength.clearly),
        ((Strength.clearly, Strength.slightly), None),
        ((Strength.clearly, None), None),
        ((None,), None),
        ((Strength.slightly, Strength.slightly, Strength.clearly), Strength.slightly),
    ],
)
def test_a_pair_is_as_strong_as_most_who_agreed_said(
    database: Database, compare: Make, said: tuple[Strength | None, ...], strength: Strength | None
) -> None:
    comparison = compare()
    for number, one in enumerate(said):
        _overlap(database, comparison, f"labeller {number}", Choice.left, strength=one)
    with database.read() as session:
        assert [p.strength for p in preference_pairs(session)] == [strength]


def _overlap(
    database: Database, comparison_id: str, labeller: str, choice: Choice, strength: Strength | None = None
) -> None:
    """A choice where overlap was asked for: the comparison is open again for each labeller."""
    with database.write() as session:
        session.get_one(Comparison, comparison_id).state = ComparisonState.waiting
        record_preference(
            session,
            comparison_id=comparison_id,
            labeller_id=labeller,
            choice=choice,
            client_id=f"{labeller}{choice}",
            strength=strength,
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
