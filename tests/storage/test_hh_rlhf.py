"""Anthropic transcripts in and out: a small file with the traits of the real one, and the real one if it is here."""

import gzip
import io
import json
from pathlib import Path

import pytest
from sqlmodel import select

from storage.database import Database
from storage.prompts import split_of
from storage.tables import Choice, Comparison, Completion, Preference, Prompt, Purpose
from storage.transfer import export, import_file

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "hh-rlhf-harmless-base-test.jsonl.gz"
REAL_SKIPPED = {87, 517, 926, 1104}


def line(chosen: str, rejected: str) -> bytes:
    return json.dumps({"chosen": chosen, "rejected": rejected}, ensure_ascii=False).encode() + b"\n"


TEA = "\n\nHuman: How do I make tea?\n\nAssistant:"
ROWS = [
    line(f"{TEA} Boil water – 95 °C.", f"{TEA} I do not know."),
    line(f"{TEA} ", f"{TEA} Why?"),  # 2: empty chosen
    # 3: diverges before the last turn, and repeats a role
    line(f"{TEA} Boil water.\n\nAssistant: Then steep it.", f"{TEA} Buy it."),
    # 4: white space that the turns do not keep
    line(
        f"{TEA} Boil water. \n\nHuman:  And then?\n\nAssistant:Steep.",
        f"{TEA} Boil water. \n\nHuman:  And then?\n\nAssistant: No.",
    ),
    line(
        "\n\nHuman: Hi 🙂\n\nHuman: Anyone?\n\nAssistant: Yes!", "\n\nHuman: Hi 🙂\n\nHuman: Anyone?\n\nAssistant: No!"
    ),
    # 6: ASCII escapes
    b'{"chosen": "\\n\\nHuman: caf\\u00e9?\\n\\nAssistant: Yes", '
    b'"rejected": "\\n\\nHuman: caf\\u00e9?\\n\\nAssistant: No"}\n',
    b"\n",
    # 8: other order and spacing of the fields
    b'{"rejected":"\\n\\nHuman: Left?\\n\\nAssistant: Right.","chosen":"\\n\\nHuman: Left?\\n\\nAssistant: Left."}\n',
    line("Human: no marker", TEA + " x"),
    line(TEA + " One.\n\nHuman: And?", TEA + " Two."),  # 10: ends with the person
]
GOOD = [ROWS[i - 1] for i in (1, 3, 4, 5, 6, 8)]


def store(database: Database, rows: list[bytes], **options: object) -> object:
    return import_file(database, path_or_stream=io.BytesIO(b"".join(rows)), format="hh-rlhf", **options)


def exported(database: Database, **options: object) -> bytes:
    with database.read() as session:
        return b"".join(export(session, format="hh-rlhf", **options))


def test_bad_rows_are_skipped_with_line_number_and_reason(database: Database) -> None:
    report = store(database, ROWS)
    assert (report.rows, report.added) == (9, 6)
    assert [(row.line, row.reason) for row in report.skipped] == [
        (2, "the chosen text is empty"),
        (9, "the chosen transcript does not begin with '\\n\\nHuman:'"),
        (10, "the chosen transcript does not end with an Assistant turn"),
    ]


def test_the_export_gives_back_the_very_bytes(database: Database) -> None:
    store(database, ROWS)
    assert exported(database) == b"".join(GOOD)


def test_windows_line_ends_and_a_missing_last_one_come_back(database: Database) -> None:
    content = GOOD[0].replace(b"\n", b"\r\n") + GOOD[1].rstrip(b"\n")
    store(database, [content])
    assert exported(database) == content


def test_a_line_without_an_end_is_ended_when_another_follows(database: Database) -> None:
    store(database, [GOOD[0].rstrip(b"\n")])
    store(database, [GOOD[1]])
    assert exported(database) == GOOD[0] + GOOD[1]


def test_only_lines_that_turns_cannot_rebuild_are_kept_whole(database: Database) -> None:
    store(database, ROWS)
    with database.read() as session:
        kept = {p.source["line"]: "raw" in p.source for p in session.exec(select(Preference))}
    assert kept == {1: False, 3: False, 4: True, 5: False, 6: False, 8: False}


def test_a_pair_that_diverges_early_has_its_common_history_as_prompt(database: Database) -> None:
    store(database, [ROWS[2]])
    with database.read() as session:
        assert session.exec(select(Prompt)).one().messages == [{"role": "user", "content": "How do I make tea?"}]
        texts = {c.text: c.turns for c in session.exec(select(Completion))}
    assert texts == {
        "Buy it.": None,
        "Then steep it.": [
            {"role": "assistant", "content": "Boil water."},
            {"role": "assistant", "content": "Then steep it."},
        ],
    }


def test_a_transcript_that_goes_on_where_the_other_ends_leaves_both_a_completion(database: Database) -> None:
    store(database, [line(f"{TEA} Boil it.", f"{TEA} Boil it.\n\nHuman: Thanks\n\nAssistant: Sure.")])
    with database.read() as session:
        assert len(session.exec(select(Prompt)).one().messages) == 1
        assert sorted(len(c.turns or [c]) for c in session.exec(select(Completion))) == [1, 3]


def test_an_imported_choice_is_decided_marked_imported_and_on_both_sides_in_turn(database: Database) -> None:
    rows = [line(f"\n\nHuman: {n}?\n\nAssistant: good", f"\n\nHuman: {n}?\n\nAssistant: worse") for n in range(20)]
    store(database, rows)
    with database.read() as session:
        made = session.exec(select(Preference, Comparison).join(Comparison)).all()
        for preference, comparison in made:
            chosen = comparison.left_id if preference.choice is Choice.left else comparison.right_id
            assert session.get_one(Completion, chosen).text == "good"
            assert session.get_one(Completion, chosen).checkpoint_id is None
    assert {p.choice for p, _ in made} == {Choice.left, Choice.right}
    assert all(p.imported and p.labeller_id == "import" and p.purpose is Purpose.train for p, _ in made)


def test_dialogues_are_split_by_the_hash_of_their_first_user_turn(database: Database) -> None:
    rows = [line(f"\n\nHuman: Q{n}\n\nAssistant: a", f"\n\nHuman: Q{n}\n\nAssistant: b") for n in range(60)]
    store(database, rows)
    with database.read() as session:
        prompts = session.exec(select(Prompt)).all()
    assert all(p.split is split_of(p.messages[0]["content"].lower()) for p in prompts)
    assert len({p.split for p in prompts}) == 3


def test_a_choice_made_here_is_exported_as_a_transcript(database: Database, chosen_here: None) -> None:
    assert json.loads(exported(database)) == {
        "chosen": "\n\nHuman: Be brief.\n\nName a colour.\n\nAssistant: Blue.",
        "rejected": "\n\nHuman: Be brief.\n\nName a colour.\n\nAssistant: Colours are many.",
    }


@pytest.mark.skipif(not REAL.exists(), reason="the real file is not on this machine")
def test_the_real_file_comes_back_byte_for_byte_and_adds_nothing_twice(database: Database) -> None:
    report = import_file(database, path_or_stream=REAL, format="hh-rlhf")
    assert (report.rows, report.added) == (2312, 2308)
    assert {row.line for row in report.skipped} == REAL_SKIPPED
    assert {row.reason for row in report.skipped} == {"the chosen text is empty"}
    with gzip.open(REAL) as file:
        kept = [raw for number, raw in enumerate(file, 1) if number not in REAL_SKIPPED]
    assert exported(database) == b"".join(kept)
    again = import_file(database, path_or_stream=io.BytesIO(b"".join(kept)), format="hh-rlhf")
    assert (again.added, again.known) == (0, 2308)
    with database.read() as session:
        early = [p.source["line"] for p, c in _with_turns(session)]
    assert sorted(set(early)) == [1255, 1689, 1951, 1953, 2037]


def _with_turns(session: object) -> list[tuple[Preference, Completion]]:
    query = select(Preference, Completion).join(Comparison, Preference.comparison_id == Comparison.id)
    query = query.join(Completion, (Completion.id == Comparison.left_id) | (Completion.id == Comparison.right_id))
    return [(p, c) for p, c in session.exec(query) if c.turns]
