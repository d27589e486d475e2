"""Files that try to break an importer: every hostile text in every format, arbitrary bytes and rows, bombs.

Whatever comes, an import ends with a report or one of our own errors, and what it stored can be exported and read
again. `make soak` tries many more (MORE).
"""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import ALL, NUL, ROLES, texts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from storage.comparisons import record_comparison
from storage.database import Database
from storage.errors import Invalid, PrefLoopError
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.tables import Choice, ComparisonState, Completion, Preference, Prompt, Purpose, Split
from storage.transfer import FORMATS, IMPORTS, export, import_file
from storage.transfer import reading as reading_module
from storage.transfer import report as report_module

FEW, MORE = 40, 2000
SHORT_TEXTS = texts(nul=False)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    made = Database.in_directory(tmp_path / "other")
    made.migrate()
    yield made
    made.close()


def store(database: Database, content: bytes, format: str = "trl", **options: Any) -> Any:
    return import_file(database, path_or_stream=io.BytesIO(content), format=format, **options)


def written(database: Database, format: str) -> bytes:
    with database.read() as session:
        return b"".join(export(session, format=format))


def lines(rows: list[dict[str, Any]], *, ascii_only: bool = False) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=ascii_only).encode() + b"\n" for row in rows)


def pair_rows() -> list[dict[str, Any]]:
    return [{"prompt": f"{n}? {t}", "chosen": t, "rejected": f"not {t}"} for n, t in enumerate(SHORT_TEXTS.values())]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_hostile_pair_comes_back_byte_for_byte(database: Database, ascii_only: bool) -> None:
    content = lines(pair_rows(), ascii_only=ascii_only)
    report = store(database, content, strict=True)
    assert report.added == len(SHORT_TEXTS)
    assert written(database, "trl") == content


def test_every_hostile_prompt_comes_back_with_its_tags_and_reference(database: Database, other: Database) -> None:
    rows = [
        {"messages": [{"role": "system", "content": t}, {"role": "user", "content": t}], "tags": [t], "reference": t}
        for t in SHORT_TEXTS.values()
    ]
    assert store(database, lines(rows), "prompts", strict=True).added == len(rows)
    content = written(database, "prompts")
    store(other, content, "prompts", strict=True)
    assert written(other, "prompts") == content
    with other.read() as session:
        stored = [(p.messages, p.tags, p.reference) for p in session.exec(select(Prompt).order_by(Prompt.id))]
    assert stored == [(row["messages"], row["tags"], row["reference"]) for row in rows]


def test_a_choice_made_here_keeps_its_roles_through_every_format(database: Database, other: Database) -> None:
    """An export to transcripts marks turns by words that a text may hold as well."""
    for n, text in enumerate(SHORT_TEXTS.values()):
        _choose(database, f"{n}? {text}", text, f"not {text}")
    for format in ("trl", "hh-rlhf"):
        store(other, written(database, format), format, strict=True)
    with other.read() as session:
        assert {len(p.messages) for p in session.exec(select(Prompt))} == {1}
        assert not [c for c in session.exec(select(Completion)) if c.turns]


def _choose(database: Database, question: str, left: str, right: str) -> None:
    with database.write() as session:
        prompt = record_prompt(session, messages=[{"role": "user", "content": question}], source="typed")
        assert prompt.id is not None
        sides = [Completion(prompt_id=prompt.id, text=text) for text in (left, right)]
        comparison = record_comparison(
            session,
            prompt_id=prompt.id,
            left=sides[0],
            right=sides[1],
            purpose=Purpose.train,
            state=ComparisonState.leased,
        )
        record_preference(
            session, comparison_id=comparison.id, labeller_id="ann", choice=Choice.left, client_id=question[:80]
        )


def test_outputs_of_other_models_may_say_anything_but_not_be_named_anything(database: Database) -> None:
    with database.write() as session:
        for text in SHORT_TEXTS.values():
            record_prompt(
                session,
                messages=[{"role": "user", "content": text}],
                source="typed",
                split=Split.heldout,
                group_key="g",
            )
    rows = [{"instruction": t, "output": t, "generator": "them"} for t in SHORT_TEXTS.values()]
    report = store(database, lines(rows), "alpaca-eval")
    assert report.added == len(SHORT_TEXTS), report.skipped
    named = [{"instruction": "x", "output": "y", "generator": t} for t in ALL.values()]
    told = store(database, lines(named), "alpaca-eval").skipped
    unprintable = [t for t in ALL.values() if not t.strip().isprintable()]
    assert sum("the generator is" in row.reason for row in told) >= len(unprintable) > 8
    with database.read() as session:
        assert not [c for c in session.exec(select(Completion)) if c.outside_model in unprintable]


@pytest.mark.parametrize("format", ["trl", "hh-rlhf", "prompts"])
def test_a_nul_is_refused_with_its_line(database: Database, format: str) -> None:
    text = NUL["NUL"]
    row = {
        "trl": {"prompt": text, "chosen": "a", "rejected": "b"},
        "hh-rlhf": {name: f"\n\nHuman: {text}\n\nAssistant: {name}" for name in ("chosen", "rejected")},
        "prompts": {"prompt": text},
    }[format]
    report = store(database, lines([row]), format)
    assert (report.added, report.skipped[0].line) == (0, 1) and "NUL" in report.skipped[0].reason


@pytest.mark.parametrize("field", ["split", "tags", "choice", "role", "generator"])
def test_a_reason_is_short_however_long_what_it_names(database: Database, field: str) -> None:
    long = "x" * 2**20
    row = {"prompt": "a", "chosen": "b", "rejected": "c", "instruction": "i", "output": "o", "generator": "g"}
    row |= {"messages": [{"role": long, "content": "x"}]} if field == "role" else {field: long}
    format = {"choice": "trl", "generator": "alpaca-eval"}.get(field, "prompts")
    (skipped,) = store(database, lines([row]), format).skipped
    assert len(skipped.reason) < 500


@pytest.mark.parametrize("depth", [200, 900, 5000, 100_000])
@pytest.mark.parametrize("format", IMPORTS)
def test_a_row_that_is_nested_deeply_is_stored_or_told(
    database: Database, other: Database, format: str, depth: int
) -> None:
    nested = "[" * depth + "]" * depth
    fields = '"chosen": "b", "rejected": "c", "instruction": "i", "output": "o", "generator": "g"'
    rows = [
        f'{{"prompt": "a", {fields}, "more": {nested}}}',
        f'{{"prompt": "a2", {fields}, "tags": {nested}, "split": {nested}, "choice": {nested}}}',
        f'{{"messages": {nested}, "prompt": {nested}, "chosen": {nested}, "rejected": {nested}}}',
        f'{{"instruction": {nested}, "output": {nested}, "generator": {nested}}}',
    ]
    report = store(database, "\n".join(rows).encode(), format)
    assert report.rows == 4
    for kind in FORMATS:
        store(other, written(database, kind), kind) if written(database, kind) else None


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "MAX_UNPACKED_BYTES", 10**5)
    bomb = gzip.compress(b"\n" * 2 * 10**5)
    assert len(bomb) < 1000
    with pytest.raises(Invalid, match="unpacks to more than"):
        store(database, bomb)
    monkeypatch.setattr(reading_module, "MAX_WHOLE_BYTES", 10**5)
    with pytest.raises(Invalid, match="is larger than"):
        store(database, bomb, "alpaca-eval")


def test_a_file_with_nothing_but_bad_rows_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MOST_SKIPPED", 100)
    for format in IMPORTS:
        with pytest.raises(Invalid, match="100 rows cannot be used"):
            store(database, b"x\n" * 1000, format)


# ---- arbitrary files ------------------------------------------------------------------------------------------------
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*texts(long=False).values(), "user", "assistant", "system", "left", "tie", "train", "\ud800"])
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]) | LEAVES, "content": st.text(max_size=9) | LEAVES}
    ),
    max_size=4,
)
VALUES = st.recursive(LEAVES, lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some))
TRANSCRIPTS = st.lists(st.sampled_from(["\n\nHuman:", "\n\nAssistant:", " hi", ROLES["plain markers"]])).map("".join)
NAMES = ("prompt", "chosen", "rejected", "messages", "choice", "split", "tags", "reference", "group")
ROWS = st.dictionaries(
    st.sampled_from([*NAMES, "instruction", "output", "generator", "extra"]),
    st.text(max_size=9) | MESSAGES | TRANSCRIPTS | VALUES,
    max_size=8,
)
WRITTEN = st.tuples(ROWS, st.booleans()).map(lambda made: json.dumps(made[0], ensure_ascii=made[1]))
LINES = st.lists(WRITTEN | st.text(max_size=9) | st.just("[") | st.just("\ufeff"), min_size=1, max_size=6)
FILES = st.one_of(
    LINES.map(lambda made: "\n".join(made).encode("utf-8", "surrogatepass")),
    LINES.map(lambda made: gzip.compress("\r\n".join(made).encode("utf-8", "surrogatepass"))),
    LINES.map(lambda made: ("[" + ",".join(made) + "]").encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda made: b"\x1f\x8b\x08" + made),
)


def try_files(database: Database, other: Database, *, count: int) -> Counter[str]:
    """Import `count` arbitrary files; how many were read, refused as a whole, and what was added and skipped."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        content=FILES, format=st.sampled_from(IMPORTS), strict=st.booleans(), split=st.none() | st.sampled_from(Split)
    )
    def tried(content: bytes, format: str, strict: bool, split: Split | None) -> None:
        seen["files"] += 1
        try:
            report = store(database, content, format, strict=strict, split=None if format == "alpaca-eval" else split)
        except PrefLoopError as error:
            assert error.message
            seen["refused"] += 1
        else:
            assert 0 <= report.added <= report.rows - len(report.skipped)
            seen["rows"], seen["added"] = seen["rows"] + report.rows, seen["added"] + report.added

    tried()
    for format in FORMATS:
        content = written(database, format)
        if content:
            store(other, content, format, strict=True)
    return seen


def test_no_file_breaks_an_import_and_what_was_stored_can_be_exported_and_read_again(
    database: Database, other: Database
) -> None:
    seen = try_files(database, other, count=FEW)
    assert seen["files"] >= FEW and seen["rows"] > 10


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_no_file_of_very_many_breaks_an_import(database: Database, other: Database) -> None:
    seen = try_files(database, other, count=MORE)
    print(f"\nimporters: {dict(seen)}, failures 0")
    assert seen["added"] > 20
    with database.read() as session:
        assert session.exec(select(Preference)).first() is not None
