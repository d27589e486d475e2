"""Hidden repeats as rows: which comparison comes again, to whom, and that its choice counts for nothing else."""

import random
from collections.abc import Callable

import pytest

from storage.canary import count_evaluation_choices
from storage.comparisons import claim_comparison, get_comparison, sides
from storage.database import Database
from storage.errors import Conflict
from storage.pairs import preference_pairs
from storage.preferences import newest_choices, withdraw_preference
from storage.repeats import RECENT, RepeatedChoice, record_repeat, repeated_choices
from storage.tables import Choice, Comparison, Purpose
from storage.tallies import people_tallies
from storage.transfer.exporting import export

Make = Callable[..., str]
Choose = Callable[..., int]


@pytest.fixture
def chosen(compare: Make, choose: Choose) -> Callable[..., list[str]]:
    """chosen(3) are three comparisons that ann decided for the left, with RECENT newer ones after them."""

    def make(count: int, choice: Choice = Choice.left, **given: object) -> list[str]:
        ids = [compare(f"{number}?", **given) for number in range(count)]
        for comparison_id in ids:
            choose(comparison_id, choice)
        for number in range(RECENT):
            choose(compare(f"newer {number}?"))
        return ids

    return make


def repeat(database: Database, labeller: str = "ann", seed: int = 0) -> Comparison | None:
    with database.write() as session:
        return record_repeat(session, labeller_id=labeller, chance=random.Random(seed))


def made(database: Database) -> list[RepeatedChoice]:
    with database.read() as session:
        return repeated_choices(session)


def test_a_repeat_shows_the_same_two_completions_with_their_sides_swapped(
    database: Database, chosen: Callable[..., list[str]]
) -> None:
    (first,) = chosen(1)
    again = repeat(database)
    assert again is not None and again.purpose is Purpose.repeat
    with database.read() as session:
        left, right = sides(session, get_comparison(session, first))
        assert [c.id for c in sides(session, again)] == [right.id, left.id]


def test_each_is_repeated_once_and_none_that_was_skipped_or_is_fresh_in_mind(
    database: Database, chosen: Callable[..., list[str]], compare: Make, choose: Choose
) -> None:
    choose(compare("Skipped?"), Choice.skip)
    chosen(2)
    for seed in range(2):
        again = repeat(database, seed=seed)
        assert again is not None
        choose(again.id, Choice.skip)  # nothing newer that could be repeated comes of it
    assert repeat(database) is None


def test_a_repeat_is_before_its_labeller_and_no_other_ever(
    database: Database, chosen: Callable[..., list[str]], choose: Choose
) -> None:
    chosen(1)
    again = repeat(database)
    assert again is not None
    with database.write() as session:
        held = get_comparison(session, again.id)
        held.leased_until = held.created_at  # long over
        session.add(held)
    with database.write() as session:
        assert claim_comparison(session, labeller_id="bob") is None
        claimed = claim_comparison(session, labeller_id="ann")
        assert claimed is not None and claimed.id == again.id
    with pytest.raises(Conflict, match="another labeller"):
        choose(again.id, labeller="bob")


def test_nobody_repeats_what_another_decided(database: Database, chosen: Callable[..., list[str]]) -> None:
    chosen(3)
    assert repeat(database, labeller="bob") is None


def test_its_choice_trains_tallies_exports_and_decides_nothing(
    database: Database,
    chosen: Callable[..., list[str]],
    choose: Choose,
    checkpoint: Callable[..., str],
) -> None:
    checkpoint("new"), checkpoint("old")
    chosen(1, purpose=Purpose.evaluate, checkpoints=("new", "old"))

    def counted() -> tuple[object, ...]:
        with database.read() as session:
            exported = b"".join(export(session, format="trl", undecided=True))
            return (
                [pair.newest for pair in preference_pairs(session)],
                len(newest_choices(session, limit=100)),
                people_tallies(session),
                count_evaluation_choices(session),
                exported,
            )

    before = counted()
    again = repeat(database)
    assert again is not None
    choose(again.id, Choice.right)
    assert counted() == before and len(made(database)) == 1


@pytest.mark.parametrize(
    ("first", "again", "same", "side"),
    [
        (Choice.left, Choice.right, True, None),
        (Choice.left, Choice.left, False, Choice.left),
        (Choice.right, Choice.right, False, Choice.right),
        (Choice.tie, Choice.both_bad, True, None),
        (Choice.tie, Choice.left, False, None),
        (Choice.right, Choice.tie, False, None),
    ],
)
def test_the_same_again_is_the_same_completion_on_the_other_side(
    first: Choice, again: Choice, same: bool, side: Choice | None
) -> None:
    one = RepeatedChoice("ann", first, again)
    assert (one.same, one.side) == (same, side)


def test_only_standing_choices_are_compared_and_skips_are_none(
    database: Database, chosen: Callable[..., list[str]], choose: Choose
) -> None:
    chosen(1)
    again = repeat(database)
    assert again is not None
    undone = choose(again.id, Choice.left)
    assert made(database) == [RepeatedChoice("ann", Choice.left, Choice.left)]
    with database.write() as session:
        withdraw_preference(session, preference_id=undone)
    assert made(database) == []
    choose(again.id, Choice.skip, client_id="skipped")
    assert made(database) == []
