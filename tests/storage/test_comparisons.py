"""Comparisons: leased to one labeller at a time, dropped by a swap, and closed to all but their labeller."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from storage.comparisons import claim_comparison, drop_waiting
from storage.database import Database
from storage.errors import Conflict
from storage.preferences import withdraw_preference
from storage.tables import Comparison, ComparisonState, now

Make = Callable[..., str]
Choose = Callable[..., int]


def claim(database: Database, labeller: str | None) -> str | None:
    with database.write() as session:
        comparison = claim_comparison(session, labeller_id=labeller)
        return None if comparison is None else comparison.id


def expire_leases(database: Database) -> None:
    with database.write() as session:
        for comparison in session.exec(select(Comparison)):
            comparison.leased_until = now() - timedelta(seconds=1)
            session.add(comparison)


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


def test_after_undo_the_comparison_is_before_its_labeller_and_no_other(
    database: Database, compare: Make, choose: Choose
) -> None:
    comparison = compare()
    undone = choose(comparison)
    with database.write() as session:
        withdraw_preference(session, preference_id=undone)
    assert claim(database, "bob") is None
    assert claim(database, "ann") == comparison
