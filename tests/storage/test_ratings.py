"""Completions rated by themselves: whose thumb counts, and which comparisons were all bad."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import Session

from storage.database import Database
from storage.preferences import record_labeller, record_preference
from storage.prompts import record_prompt
from storage.ratings import rejected_both, thumbed
from storage.tables import Choice, Comparison, ComparisonState, Completion, Feedback, Split, now


def reply(session: Session, number: int, *, split: Split = Split.train) -> int:
    prompt = record_prompt(
        session,
        messages=[{"role": "user", "content": f"{split} {number}?"}],
        source="chat",
        group_key=f"{split}{number}",
        split=split,
    )
    assert prompt.id is not None
    completion = Completion(prompt_id=prompt.id, text=f"Reply {number}.")
    session.add(completion)
    session.flush()
    assert completion.id is not None
    return completion.id


def rate(session: Session, completion: int, **thumbs: str) -> None:
    for who, each in thumbs.items():
        record_labeller(session, labeller_id=who)
        session.add(Feedback(completion_id=completion, labeller_id=who, thumb=each))
    session.flush()


def test_the_newest_thumb_of_each_person_counts_and_an_even_split_does_not(database: Database) -> None:
    with database.write() as session:
        first, second, third = (reply(session, number) for number in range(3))
        rate(session, first, ann="up")
        rate(session, first, ann="down")
        rate(session, second, ann="up", bob="down")
        rate(session, third, ann="up", bob="up", cy="down")
        found = {one.completion.id: one.good for one in thumbed(session)}
    assert found == {first: False, third: True}


def test_thumbs_of_held_out_prompts_and_of_other_times_do_not_train(database: Database) -> None:
    with database.write() as session:
        rate(session, reply(session, 1, split=Split.heldout), ann="up")
        rate(session, reply(session, 2), ann="up")
        moment = now()
        assert [one.completion.text for one in thumbed(session)] == ["Reply 2."]
        assert thumbed(session, after=moment) == thumbed(session, until=moment - timedelta(minutes=1)) == []


@pytest.mark.parametrize(
    ("choices", "bad"),
    [
        ((Choice.both_bad,), True),
        ((Choice.both_bad, Choice.skip), True),
        ((Choice.both_bad, Choice.left), False),
        ((Choice.tie,), False),
    ],
)
def test_a_comparison_is_all_bad_where_most_say_so(
    database: Database, compare: Callable[..., str], choices: tuple[Choice, ...], bad: bool
) -> None:
    comparison = compare(left="a", right="b")
    with database.write() as session:
        for number, choice in enumerate(choices):
            # open again, as where overlap was asked for
            session.get_one(Comparison, comparison).state = ComparisonState.waiting
            record_preference(
                session,
                comparison_id=comparison,
                labeller_id=f"labeller {number}",
                choice=choice,
                client_id=f"client-{number}",
            )
        found = rejected_both(session)
    assert [(one.completion.text, one.good) for one in found] == ([("a", False), ("b", False)] if bad else [])
