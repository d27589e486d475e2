"""Whole files: gzip, damage, strict, progress, lines that are not rows; and prompts."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from storage.comparisons import claim_comparison
from storage.database import Database
from storage.errors import Invalid, NotFound
from storage.preferences import withdraw_preference
from storage.prompts import split_of
from storage.tables import Comparison, ImportedFile, Preference, Prompt, Split, now
from storage.transfer import RefusedFile, export, import_file
from storage.transfer import reading as reading_module

ROWS = [json.dumps({"prompt": f"Q{n}", "chosen": "a", "rejected": "b"}).encode() for n in range(5)]
PLAIN = b"\n".join(ROWS) + b"\n"
BROKEN = b"\n".join(
    [
        ROWS[0],
        b'{"prompt": ',
        b'{"prompt": "\xff", "chosen": "a", "rejected": "b"}',
        b"[1]",
        b"",
        b"[" * 100_000,
        ROWS[1],
    ]
)


def store(database: Database, content: bytes, format: str = "trl", **options: Any) -> Any:
    return import_file(database, path_or_stream=io.BytesIO(content), format=format, **options)


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_a_gzip_file_is_read_whatever_its_name(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(gzip.compress(PLAIN))
    assert import_file(database, path_or_stream=path, format="trl").added == 5


def test_the_second_import_of_a_file_adds_nothing_zipped_or_not(database: Database) -> None:
    store(database, PLAIN)
    assert store(database, gzip.compress(PLAIN)).added == 0
    assert (count(database, Preference), count(database, ImportedFile)) == (5, 1)


def test_a_longer_file_adds_only_its_new_rows(database: Database) -> None:
    store(database, ROWS[0] + b"\n" + ROWS[1])
    report = store(database, PLAIN + ROWS[3])
    assert (report.rows, report.added, report.known) == (6, 3, 3)


def test_lines_that_are_no_rows_are_reported_and_blank_ones_counted(database: Database) -> None:
    report = store(database, BROKEN)
    assert (report.rows, report.added) == (6, 2)
    assert [row.line for row in report.skipped] == [2, 3, 4, 6]
    for row, reason in zip(report.skipped, ("not JSON", "not UTF-8", "not a JSON object", "nested"), strict=True):
        assert reason in row.reason


def test_skipped_rows_are_kept_with_the_file(database: Database) -> None:
    store(database, BROKEN, name="broken.jsonl")
    with database.read() as session:
        file = session.exec(select(ImportedFile)).one()
    assert (file.name, file.rows, file.added, [row["line"] for row in file.skipped]) == (
        "broken.jsonl",
        6,
        2,
        [2, 3, 4, 6],
    )


def test_strict_refuses_the_whole_file_naming_every_bad_line(database: Database) -> None:
    with pytest.raises(RefusedFile, match=r"4 bad rows of 6 \(first: line 2") as error:
        store(database, BROKEN, strict=True)
    assert [row.line for row in error.value.report.skipped] == [2, 3, 4, 6]
    assert [count(database, table) for table in (Prompt, Preference, ImportedFile)] == [0, 0, 0]


def test_strict_refuses_a_file_that_was_imported_leniently_before(database: Database) -> None:
    store(database, BROKEN)
    with pytest.raises(RefusedFile):
        store(database, BROKEN, strict=True)


def test_a_damaged_gzip_file_is_refused_before_anything_is_written(database: Database) -> None:
    many = b"".join(
        json.dumps({"prompt": f"Q{n}", "chosen": "a", "rejected": "b"}).encode() + b"\n" for n in range(5000)
    )
    with pytest.raises(Invalid, match="damaged after line"):
        store(database, gzip.compress(many)[:-3000])
    assert count(database, Prompt) == 0


def test_a_line_beyond_the_limit_is_skipped_and_the_next_one_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "MAX_LINE_BYTES", 100)
    report = store(database, b'{"prompt": "' + b"x" * 1000 + b'"}\n' + PLAIN)
    assert (report.rows, report.added, [row.line for row in report.skipped]) == (6, 5, [1])


def test_a_byte_order_mark_is_not_part_of_the_first_row(database: Database) -> None:
    assert store(database, b"\xef\xbb\xbf" + PLAIN).added == 5


def test_an_empty_file_an_unknown_format_and_a_missing_file_are_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no rows"):
        store(database, b"\n\n")
    with pytest.raises(Invalid, match="Use one of trl, hh-rlhf, prompts"):
        store(database, PLAIN, format="csv")
    with pytest.raises(NotFound, match="no file"):
        import_file(database, path_or_stream=tmp_path / "none", format="trl")


def test_a_stream_that_cannot_be_rewound_is_read(database: Database) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    assert import_file(database, path_or_stream=Pipe(PLAIN), format="trl").added == 5


def test_progress_counts_up_to_all_rows(database: Database) -> None:
    seen: list[tuple[int, int]] = []
    rows = b"".join(json.dumps({"prompt": f"Q{n}"}).encode() + b"\n" for n in range(250))
    store(database, rows, format="prompts", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(100, 250), (200, 250), (250, 250)]


def test_people_can_choose_while_a_long_file_is_imported(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    waiting = [compare(f"Waiting {n}?") for n in range(3)]
    rows = b"".join(json.dumps({"prompt": f"Q{n}"}).encode() + b"\n" for n in range(250))
    store(database, rows, format="prompts", on_progress=lambda done, total: print(choose(waiting.pop())))
    assert (count(database, Preference), waiting) == (3, [])


def test_an_import_may_set_the_split_and_offer_its_prompts(database: Database) -> None:
    store(database, PLAIN, split=Split.heldout, offered=True)
    with database.read() as session:
        assert {(p.split, p.offered) for p in session.exec(select(Prompt))} == {(Split.heldout, True)}


def test_prompts_imported_before_are_offered_when_the_file_comes_again_and_asks_for_it(database: Database) -> None:
    store(database, PLAIN)
    assert store(database, PLAIN, offered=True).added == 0
    with database.read() as session:
        assert all(p.offered for p in session.exec(select(Prompt)))


def test_the_starters_prompts_keep_group_split_tags_and_reference(database: Database) -> None:
    row = {
        "id": "capital-france-1",
        "group": "capital:france",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "split": "heldout",
        "tags": ["fact"],
        "reference": "Paris.",
        "check": {"contains": "Paris"},
    }
    store(database, json.dumps(row).encode(), format="prompts", source="starter", offered=True, strict=True)
    with database.read() as session:
        prompt = session.exec(select(Prompt)).one()
    assert (prompt.group_key, prompt.split, prompt.tags, prompt.reference) == (
        "capital:france",
        "heldout",
        ["fact"],
        "Paris.",
    )
    assert (prompt.source, prompt.offered, prompt.messages) == ("starter", True, row["messages"])


def test_prompts_without_a_split_are_split_by_their_group(database: Database) -> None:
    rows = [
        json.dumps({"prompt": f"{way} {n}?", "group": f"g{n}"}) for n in range(20) for way in ("What is", "Tell me")
    ]
    store(database, "\n".join(rows).encode(), format="prompts")
    with database.read() as session:
        assert all(p.split is split_of(p.group_key) for p in session.exec(select(Prompt)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "x"}, "neither 'messages' nor 'prompt'"),
        ({"prompt": "  "}, "needs a user message"),
        ({"prompt": 5}, "'prompt' is a number"),
        ({"prompt": "x", "split": "test"}, "the split 'test' is none of train, validation, heldout"),
        ({"prompt": "x", "tags": "fact"}, "'tags' is 'fact', not a list"),
        ({"prompt": "x", "reference": ["y"]}, "'reference' is a list, not text"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
            "a prompt ends with the user's",
        ),
    ],
)
def test_a_bad_prompt_says_why(database: Database, row: dict[str, Any], reason: str) -> None:
    report = store(database, json.dumps(row).encode(), format="prompts")
    assert reason in report.skipped[0].reason


def test_prompts_round_trip_through_another_database(database: Database, tmp_path: Path) -> None:
    rows = [
        {"prompt": "Sky?", "tags": ["a"], "reference": "Blue"},
        {"prompt": "Sea?", "group": "g", "split": "heldout"},
    ]
    store(database, "\n".join(map(json.dumps, rows)).encode(), format="prompts")
    other = Database.in_directory(tmp_path / "other")
    other.migrate()
    with database.read() as session:
        first = b"".join(export(session, format="prompts"))
    store(other, first, format="prompts", strict=True)
    with other.read() as session:
        assert b"".join(export(session, format="prompts")) == first
    other.close()


def test_a_withdrawn_import_is_not_put_before_people_and_does_not_come_back(database: Database) -> None:
    store(database, ROWS[0])
    with database.write() as session:
        withdraw_preference(session, preference_id=1)
        for comparison in session.exec(select(Comparison)):
            comparison.leased_until = now() - timedelta(seconds=1)
    with database.write() as session:
        assert claim_comparison(session, labeller_id="ann") is None
    assert store(database, ROWS[0] + b"\n").added == 0
