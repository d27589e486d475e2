"""TRL's preference format in every shape, and choices made here in and out."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from storage.database import Database
from storage.errors import Invalid
from storage.pairs import preference_pairs
from storage.preferences import count_choices, withdraw_preference
from storage.tables import Choice, Completion, Preference, Prompt, Split
from storage.transfer import export, import_file
from storage.transfer.rows import BadRow
from storage.transfer.trl import parse

U = {"role": "user", "content": "Why is the sky blue?"}
GOOD = {"role": "assistant", "content": "Scattering."}
BAD = {"role": "assistant", "content": "It is green."}


def store(database: Database, *rows: Any, **options: Any) -> Any:
    content = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    return import_file(database, path_or_stream=io.BytesIO(content.encode()), format="trl", **options)


def exported(database: Database, **options: Any) -> bytes:
    with database.read() as session:
        return b"".join(export(session, format="trl", **options))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": U["content"], "chosen": "Scattering.", "rejected": "It is green."},
        {"prompt": [U], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": U["content"], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [U], "chosen": "Scattering.", "rejected": "It is green."},
        {"chosen": [U, GOOD], "rejected": [U, BAD]},
        {"prompt": U["content"], "chosen": [U, GOOD], "rejected": [U, BAD]},
        {"prompt": [U], "chosen": [U, GOOD], "rejected": [U, BAD]},
        {"score": 1.5, "chosen": [U, GOOD], "rejected": [U, BAD], "source": "café"},
    ],
    ids=["strings", "messages", "string_prompt", "string_sides", "implied", "repeated", "whole", "extra_fields"],
)
def test_every_shape_is_the_same_pair_and_comes_back_as_it_was(database: Database, row: dict[str, Any]) -> None:
    assert store(database, row).added == 1
    with database.read() as session:
        pair = preference_pairs(session, splits=Split)[0]
        assert "raw" not in (session.exec(select(Preference)).one().source or {})
    assert (pair.messages, pair.chosen.text, pair.rejected.text) == ([U], "Scattering.", "It is green.")
    assert exported(database) == json.dumps(row, ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "x", "chosen": "a"}, "the field 'rejected' is missing"),
        ({"chosen": "a", "rejected": "b"}, "the field 'prompt' is missing"),
        ({"prompt": "x", "chosen": "a", "rejected": 3}, "'rejected' is a number, not text"),
        ({"prompt": "x", "chosen": None, "rejected": [BAD]}, "'chosen' is null, not a list of messages"),
        ({"prompt": "x", "chosen": " ", "rejected": "b"}, "the chosen text is empty"),
        ({"prompt": "x", "chosen": "b", "rejected": ""}, "the rejected text is empty"),
        ({"prompt": " ", "chosen": "a", "rejected": "b"}, "needs a user message"),
        ({"prompt": "x", "chosen": "a", "rejected": "a"}, "identical"),
        ({"prompt": [U], "chosen": [{"role": "bot", "content": "a"}], "rejected": [BAD]}, "role 'bot'"),
        ({"prompt": [U], "chosen": [GOOD, U], "rejected": [BAD]}, "chosen does not end with an assistant"),
        ({"prompt": [U, {"role": "system", "content": "s"}], "chosen": [GOOD], "rejected": [BAD]}, "system message"),
        ({"prompt": "other", "chosen": [U, GOOD], "rejected": [U, BAD]}, "not the prompt"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "the field 'prompt' is missing"),
        ({"chosen": [U, GOOD], "rejected": [{**U, "content": "y"}, BAD]}, "no message in common"),
        ({"prompt": "x", "chosen": "a", "rejected": "b", "choice": "A"}, "the choice 'A'"),
        ({"prompt": "x", "chosen": "a\ud800", "rejected": "b"}, "lone surrogate (\\ud800)"),
        ({"prompt": "x", "chosen": "a\0", "rejected": "b"}, "NUL"),
        ({"prompt": [{**U, "content": [{"type": "text"}]}], "chosen": [GOOD], "rejected": [BAD]}, "no text content"),
        ({"prompt": [], "chosen": [GOOD], "rejected": [BAD]}, "'prompt' is an empty list"),
    ],
)
def test_a_bad_row_says_why(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRow) as error:
        parse(row)
    assert reason in str(error.value)


def test_choices_made_here_round_trip_through_another_database(
    database: Database, tmp_path: Any, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare("First?", "a", "b"), Choice.right)
    choose(compare("Second?", "c", "d"), Choice.left)
    first = exported(database)
    other = Database.in_directory(tmp_path / "other")
    other.migrate()
    assert store(other, first.decode().rstrip("\n")).added == 2
    assert exported(other) == first
    with other.read() as session:
        assert [p.choice for p in session.exec(select(Preference))] == [Choice.right, Choice.left]
        assert [c.text for c in session.exec(select(Completion).order_by(Completion.id))] == ["a", "b", "c", "d"]
    other.close()


def test_an_export_imported_where_it_was_made_adds_nothing(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare("First?", "a", "b"), Choice.right)
    choose(compare("Second?", "c", "d"), Choice.tie)
    report = store(database, exported(database, undecided=True).decode().rstrip("\n"))
    assert (report.rows, report.added, report.skipped) == (2, 0, [])


def test_the_opposite_of_a_choice_made_here_is_another_row(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare("First?", "a", "b"), Choice.left)
    assert store(database, {"prompt": "First?", "chosen": "b", "rejected": "a"}).added == 1


def test_the_same_pair_in_another_spelling_is_not_added_again(database: Database) -> None:
    store(database, {"prompt": U["content"], "chosen": "a", "rejected": "b"})
    assert store(database, {"rejected": "b", "chosen": "a", "prompt": [U]}).added == 0


def test_an_export_says_which_choice_whose_when_and_by_which_checkpoints(
    database: Database, compare: Callable[..., str], choose: Callable[..., int], checkpoint: Callable[..., str]
) -> None:
    sides = (checkpoint("dpo-0001"), checkpoint("dpo-0002"))
    number = choose(compare("First?", "a", "b", checkpoints=sides), Choice.right, labeller="secret-session-key")
    row = json.loads(exported(database))
    assert (row["id"], row["choice"], row["chosen"][0]["content"]) == (number, "right", "b")
    assert row["checkpoints"] == {"chosen": "dpo-0002", "rejected": "dpo-0001"}
    assert row["created_at"].endswith("+00:00")
    assert "secret" not in row["labeller"]


def test_ties_are_exported_only_when_asked_for_and_import_as_ties(
    database: Database, tmp_path: Any, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    for choice in (Choice.tie, Choice.both_bad, Choice.skip):
        choose(compare(f"{choice}?"), choice)
    assert exported(database) == b""
    rows = exported(database, undecided=True)
    other = Database.in_directory(tmp_path / "other")
    other.migrate()
    store(other, rows.decode().rstrip("\n"))
    with other.read() as session:
        assert [p.choice for p in session.exec(select(Preference))] == [Choice.tie, Choice.both_bad, Choice.skip]
        assert preference_pairs(session, splits=Split) == []
    other.close()


def test_a_format_without_ties_refuses_to_export_them(database: Database) -> None:
    with database.read() as session, pytest.raises(Invalid, match="cannot tell ties"):
        export(session, format="hh-rlhf", undecided=True)


def test_a_withdrawn_choice_is_never_exported(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    number = choose(compare())
    with database.write() as session:
        withdraw_preference(session, preference_id=number)
    assert exported(database, undecided=True) == b""


def test_imported_and_own_choices_can_be_exported_apart(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    choose(compare())
    store(database, {"prompt": "x", "chosen": "a", "rejected": "b"})
    assert json.loads(exported(database, imported=True))["prompt"] == "x"
    assert json.loads(exported(database, imported=False))["id"] == 1


def test_imports_are_not_new_choices_and_their_prompts_are_not_offered(database: Database) -> None:
    store(database, {"prompt": "x", "chosen": "a", "rejected": "b"})
    with database.read() as session:
        assert count_choices(session) == 0
        assert not session.exec(select(Prompt)).one().offered
