"""Prompts: one row per text, split once and for ever by the group key."""

from collections import Counter

import pytest

from storage.database import Database
from storage.errors import Invalid
from storage.prompts import check_messages, record_prompt, split_of
from storage.tables import Split


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def heldout_key() -> str:
    return next(f"key {n}" for n in range(100) if split_of(f"key {n}") is Split.heldout)


def test_the_splits_have_their_shares() -> None:
    shares = Counter(split_of(f"group {n}") for n in range(20_000))
    for split, share in ((Split.train, 0.6), (Split.validation, 0.1), (Split.heldout, 0.3)):
        assert abs(shares[split] / 20_000 - share) < 0.012  # 3.5 standard errors of 0.6


def test_a_key_is_in_the_same_split_for_ever() -> None:
    assert [split_of(key) for key in ("a", "b", "c", "capital:france", "")] == [
        Split.heldout,
        Split.train,
        Split.train,
        Split.train,
        Split.heldout,
    ]


def test_paraphrases_of_one_group_are_in_one_split(database: Database) -> None:
    with database.write() as session:
        rows = [record_prompt(session, messages=user(f"way {n}"), source="starter", group_key="k") for n in range(9)]
    assert len({row.split for row in rows}) == 1


def test_the_same_messages_are_one_row_that_keeps_its_split(database: Database) -> None:
    with database.write() as session:
        first = record_prompt(session, messages=user("x"), source="starter", split=Split.heldout)
        again = record_prompt(session, messages=user("x"), source="import:1", split=Split.train)
    assert (again.id, again.split) == (first.id, Split.heldout)


def test_what_a_person_types_is_train_though_its_hash_says_held_out(database: Database) -> None:
    with database.write() as session:
        assert record_prompt(session, messages=user(heldout_key()), source="typed").split is Split.train


@pytest.mark.parametrize("source", ["typed", "chat"])
def test_a_typed_prompt_that_matches_a_held_out_one_is_held_out(database: Database, source: str) -> None:
    with database.write() as session:
        record_prompt(session, messages=user("Name a tree."), source="starter", group_key="tree", split=Split.heldout)
        typed = record_prompt(
            session, messages=[{"role": "system", "content": "s"}, *user(" name a TREE. ")], source=source
        )
    assert typed.split is Split.heldout


def test_an_imported_dialogue_stays_with_the_typed_one_of_its_group(database: Database) -> None:
    key = heldout_key()
    with database.write() as session:
        record_prompt(session, messages=user(key), source="typed")
        dialogue = [*user(key), {"role": "assistant", "content": "Yes?"}, *user("Go on.")]
        assert record_prompt(session, messages=dialogue, source="import:1").split is Split.train


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "at least one message"),
        ("hello", "at least one message"),
        ([{"role": "bot", "content": "x"}], "role 'bot'"),
        ([{"role": "user", "content": 3}], "no text content"),
        ([{"role": "assistant", "content": "x"}], "needs a user message"),
    ],
)
def test_messages_that_are_no_prompt_are_refused(messages: object, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        check_messages(messages)
