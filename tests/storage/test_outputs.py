"""Outputs of outside models: matched to held-out prompts by text, told line by line; none lost, doubled or changed."""

import gzip
import io
import json
from typing import Any

import pytest
from sqlmodel import col, select

from storage.database import Database
from storage.errors import Invalid, NotFound
from storage.outside import outside_models, outside_texts
from storage.prompts import record_prompt
from storage.tables import Completion, ImportedFile, Preference, Prompt, Split
from storage.transfer import RefusedFile, import_file

QUESTIONS = ["What is air?", "What is fire?", "What is water?\nTell me all.", "Qu’est-ce que l’été?"]


@pytest.fixture
def project(database: Database) -> Database:
    """Four held-out prompts that may be asked, and one of the train split."""
    with database.write() as session:
        for question in QUESTIONS:
            record_prompt(session, messages=user(question), source="test", split=Split.heldout)
        record_prompt(session, messages=user("What is mud?"), source="test", split=Split.train)
    return database


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def row(instruction: str, output: str = "x", generator: str = "gpt-x", **more: Any) -> dict[str, Any]:
    return {"dataset": "d", "instruction": instruction, "output": output, "generator": generator, **more}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def store(database: Database, content: bytes, **options: Any) -> Any:
    return import_file(database, path_or_stream=io.BytesIO(content), format="alpaca-eval", **options)


def texts(database: Database, model: str = "gpt-x") -> list[str]:
    with database.read() as session:
        return list(outside_texts(session, model).values())


def completions(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(Completion.id)).all())


ROWS = [row(question, f"Re: {question}") for question in QUESTIONS]


@pytest.mark.parametrize(
    "content",
    [lines(*ROWS), json.dumps(ROWS).encode(), json.dumps(ROWS, indent=2).encode(), gzip.compress(lines(*ROWS))],
    ids=["lines", "list", "indented", "gzip"],
)
def test_every_shape_of_the_file_gives_the_same_texts(project: Database, content: bytes) -> None:
    report = store(project, content)
    assert (report.rows, report.added, report.skipped, report.models) == (4, 4, [], {"gpt-x": 4})
    assert texts(project) == [f"Re: {question}" for question in QUESTIONS]


def test_a_second_import_loses_and_doubles_nothing_in_either_shape(project: Database) -> None:
    store(project, lines(*ROWS))
    for content in (lines(*ROWS), json.dumps(ROWS).encode()):
        report = store(project, content)
        assert (report.rows, report.added, report.known, report.models) == (4, 0, 4, {"gpt-x": 4})
    assert completions(project) == 4


def test_a_prompt_that_came_after_the_first_import_gets_its_text_by_the_second(project: Database) -> None:
    content = lines(*ROWS, row("What is salt?", "NaCl"))
    assert [skipped.line for skipped in store(project, content, name="o.jsonl").skipped] == [5]
    with project.write() as session:
        record_prompt(session, messages=user("What is salt?"), source="test", split=Split.heldout)
    again = store(project, content, name="o.jsonl")
    assert (again.added, again.known, again.skipped) == (1, 4, []) and "NaCl" in texts(project)
    with project.read() as session:
        (file,) = session.exec(select(ImportedFile)).all()
    assert (file.format, file.rows, file.added, file.skipped) == ("alpaca-eval", 5, 5, [])


def test_rows_that_cannot_be_used_are_told_with_their_line_and_the_others_stay(project: Database) -> None:
    good = json.dumps(ROWS[0]).encode()
    content = b"\n".join(
        [
            good,
            b"",
            b"{",
            b"[1]",
            lines(row("What is mud?"))[:-1],
            lines({"instruction": "What is fire?", "output": "x"})[:-1],
            lines(row("What is fire?", 3))[:-1],
            lines(row("What is fire?", "x", " "))[:-1],
            b'{"instruction": "What is fire?", "output": "\xff", "generator": "g"}',
            lines(row("What is fire?", "a\0b"))[:-1],
        ]
    )
    report = store(project, content)
    told = {skipped.line: skipped.reason for skipped in report.skipped}
    assert (report.rows, report.added) == (9, 1) and list(told) == [3, 4, 5, 6, 7, 8, 9, 10]
    expected = ["not JSON", "not a JSON object", "no held-out prompt has the instruction 'What is mud?'"]
    expected += ["'generator' is missing", "'output' is a number", "the generator is ''", "not UTF-8", "NUL"]
    for reason, part in zip(told.values(), expected, strict=True):
        assert part in reason


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('[\n%s,\n{"a": 1}\n]', 3, "'instruction' is missing"),
        ("[\n%s,\n\n7]", 4, "not a JSON object"),
        ("[%s,\n{broken}\n]", 2, "not JSON from here on"),
        ("[%s\n%s]", 2, "a comma is missing"),
        ("[%s,\n", 2, "not JSON from here on"),
        ("[%s\n\n", 3, "ends without a ]"),
    ],
)
def test_a_list_that_is_damaged_tells_the_line_and_keeps_what_stands_before(
    project: Database, text: str, line: int, told: str
) -> None:
    content = text.replace("%s", json.dumps(ROWS[0])).encode()
    report = store(project, content)
    assert (report.rows, report.added) == (2, 1)
    assert (report.skipped[0].line, told in report.skipped[0].reason) == (line, True)


def test_a_stored_text_never_changes_another_one_is_told_and_left_out(project: Database) -> None:
    store(project, lines(row(QUESTIONS[0], "first")))
    report = store(project, lines(row(QUESTIONS[0], "second"), row(QUESTIONS[1], "a"), row(QUESTIONS[1], "b")))
    assert [skipped.line for skipped in report.skipped] == [1, 3]
    assert "gpt-x has another text for 'What is air?'" in report.skipped[0].reason
    assert texts(project) == ["first", "a"]


def test_two_models_have_a_text_each_for_the_same_prompt(project: Database) -> None:
    store(project, lines(row(QUESTIONS[0], "mine", "a"), row(QUESTIONS[0], "yours", "b")))
    assert (texts(project, "a"), texts(project, "b")) == (["mine"], ["yours"])
    with project.read() as session:
        assert outside_models(session) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "asked", [" What is air?\n", "What is water?\r\nTell me all.", "Qu’est-ce que l’e\u0301te\u0301?"]
)
def test_outer_space_line_ends_and_the_spelling_of_accents_do_not_count(project: Database, asked: str) -> None:
    assert store(project, lines(row(asked))).added == 1


def test_of_prompts_that_end_alike_the_question_alone_is_meant_and_else_none(project: Database) -> None:
    turns = [*user("Hi"), {"role": "assistant", "content": "Hello."}]
    with project.write() as session:
        for talk in (
            [*turns, *user("What is air?")],
            [*turns, *user("Why?")],
            [*user("Hm"), *turns[1:], *user("Why?")],
        ):
            record_prompt(session, messages=talk, source="test", split=Split.heldout)
    report = store(project, lines(row("What is air?"), row("Why?")))
    assert report.added == 1 and "2 held-out prompts end with 'Why?'" in report.skipped[0].reason
    with project.read() as session:
        (number,) = outside_texts(session, "gpt-x")
        assert session.get_one(Prompt, number).messages == user("What is air?")


def test_strict_refuses_the_file_whole(project: Database) -> None:
    with pytest.raises(RefusedFile, match=r"2 bad rows of 4 \(first: line 3"):
        store(project, lines(*ROWS[:2], row("No such?"), row(QUESTIONS[0], "other")), strict=True)
    assert completions(project) == 0


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (b"", {}, "no rows"),
        (b"[]", {}, "no rows"),
        (b"\x1f\x8b\x08 cut", {}, "damaged"),
        (lines(*ROWS), {"offered": True}, "adds no prompts"),
        (lines(*ROWS), {"split": Split.train}, "adds no prompts"),
    ],
)
def test_what_cannot_be_meant_is_refused(project: Database, content: bytes, options: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        store(project, content, **options)


def test_nothing_but_completions_comes_of_it(project: Database) -> None:
    store(project, lines(*ROWS))
    with project.read() as session:
        assert session.exec(select(Preference.id)).all() == []
        kept = session.exec(select(Completion).where(col(Completion.outside_model) == "gpt-x")).all()
    assert all(one.checkpoint_id is None for one in kept)


def test_a_model_without_texts_is_refused_with_those_that_have_some(project: Database) -> None:
    store(project, lines(*ROWS))
    with project.read() as session, pytest.raises(NotFound, match="'nobody' were imported; there are gpt-x"):
        outside_texts(session, "nobody")
