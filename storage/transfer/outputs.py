"""AlpacaEval's outputs, rows of `instruction`, `output`, `generator`, as lines of JSON or one list: what outside models
wrote for the held-out prompts, kept as completions to hold checkpoints against.

A row belongs to the held-out prompt whose last user turn is its instruction. A row that cannot be used is reported with
its line and left out; a text that is here already is not added again, and never replaced by another one.
https://github.com/tatsu-lab/alpaca_eval (model_outputs.json)
"""

import io
import json
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import IO, Any

from sqlmodel import Session, select

from storage.database import Database
from storage.errors import Invalid
from storage.outside import LONGEST_NAME, outside_models, stored_outputs
from storage.tables import Completion, Prompt, Split
from storage.transfer.json_line import read_object
from storage.transfer.reading import read_lines, read_whole
from storage.transfer.report import ImportReport, RefusedFile, SkippedRow, skip
from storage.transfer.rows import BadRow, check_texts, text_field

FORMAT = "alpaca-eval"
TITLE = "AlpacaEval outputs: instruction, output, generator"
ROWS_PER_TRANSACTION = 100
SHOWN = 60  # characters of an instruction in a reason

Prompts = Mapping[str, Sequence[tuple[int, int]]]  # text -> (id, number of messages) of the prompts that ask it


@dataclass(frozen=True)
class OutputRow:
    line: int
    instruction: str
    output: str
    model: str


def import_outputs(
    database: Database, file: IO[bytes], *, name: str, strict: bool, on_progress: Callable[[int, int], None] | None
) -> tuple[ImportReport, str]:
    """Store what is new; the report, and the SHA-256 of the uncompressed file.

    Prompts that came after an earlier import find their rows then. Raises Invalid (damaged gzip, no rows) and, when
    `strict`, RefusedFile before anything is written.
    """
    whole = read_whole(file)
    rows, skipped = _read(whole)
    total = len(rows) + len(skipped)
    if not total:
        raise Invalid(f"{name} has no rows.", hint="Give lines of JSON, or one JSON list, of objects.")
    with database.read() as session:
        prompts = _heldout(session)
        if strict and (bad := [*skipped, *_sort(session, rows, prompts)[1]]):
            raise RefusedFile(name, ImportReport(total, 0, _by_line(bad)))
    added, done, left = 0, len(skipped), iter(rows)
    while batch := list(islice(left, ROWS_PER_TRANSACTION)):
        with database.write() as session:
            new, bad = _sort(session, batch, prompts)
            session.add_all(new)
        added, done, skipped = added + len(new), done + len(batch), skipped + bad
        if on_progress is not None:
            on_progress(done, total)
    with database.read() as session:
        counts = outside_models(session)
    models = {row.model: counts.get(row.model, 0) for row in rows}
    return ImportReport(total, added, _by_line(skipped), models), sha256(whole).hexdigest()


def _by_line(skipped: Iterable[SkippedRow]) -> list[SkippedRow]:
    return sorted(skipped, key=lambda row: row.line)


def _read(whole: bytes) -> tuple[list[OutputRow], list[SkippedRow]]:
    """Every row that says what it must, and why the others do not."""
    rows: list[OutputRow] = []
    skipped: list[SkippedRow] = []
    for line, value in _listed(whole) if whole.lstrip()[:1] == b"[" else _lines(whole):
        try:
            rows.append(_row(line, value))
        except BadRow as error:
            skip(skipped, line, error)
    return rows, skipped


def _lines(whole: bytes) -> Iterator[tuple[int, Any]]:
    for line in read_lines(io.BytesIO(whole)):
        try:
            yield line.number, read_object(line.text())
        except BadRow as error:
            yield line.number, error


def _listed(whole: bytes) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON list with the lines they begin on; a fault in the JSON hides what comes after it."""
    try:
        text = whole.decode("utf-8")
    except UnicodeDecodeError as error:
        yield whole.count(b"\n", 0, error.start) + 1, BadRow(f"the file is not UTF-8 (byte {error.start + 1})")
        return
    decoder, at, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    while True:
        at = _past_space(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            told = getattr(error, "msg", "nested too deeply")
            yield line, BadRow(f"the list is not JSON from here on ({told}); what follows was not read")
            return
        yield line, value
        at = _past_space(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            told = "a comma is missing" if text[at:] else "it ends without a ]"
            yield line + text.count("\n", counted, at), BadRow(f"the list is not whole ({told}); nothing follows")
            return


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\n", "\r", "\t"):
        at += 1
    return at


def _row(line: int, value: Any) -> OutputRow:
    if isinstance(value, BadRow):
        raise value
    if not isinstance(value, dict):
        raise BadRow("the row is not a JSON object")
    instruction, output, model = (text_field(value, name) for name in ("instruction", "output", "generator"))
    model = model.strip()
    if not model or len(model) > LONGEST_NAME or not model.isprintable():
        raise BadRow(f"the generator is {model[:LONGEST_NAME]!r}; name it in 1 to {LONGEST_NAME} characters, on a line")
    check_texts([instruction, output, model])
    return OutputRow(line, instruction, output, model)


def _heldout(session: Session) -> Prompts:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, messages in session.exec(select(Prompt.id, Prompt.messages).where(Prompt.split == Split.heldout)):
        if number is not None:
            found[_alike(_last_turn(messages))].append((number, len(messages)))
    return found


def _last_turn(messages: Sequence[Mapping[str, str]]) -> str:
    return next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")


def _alike(text: str) -> str:
    """The same for texts that differ in line ends, outer space or how an accent is spelled."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").strip())


def _prompt_of(row: OutputRow, prompts: Prompts) -> int:
    """The prompt that is meant; of several that end alike, the one that is this question alone. Raises BadRow."""
    found = prompts.get(_alike(row.instruction), ())
    single = [number for number, messages in found if messages == 1]
    if len(found) == 1 or len(single) == 1:
        return single[0] if single else found[0][0]
    asked = f"{row.instruction.strip()[:SHOWN]!r}"
    if found:
        raise BadRow(f"{len(found)} held-out prompts end with {asked}, so it cannot be told which one is meant")
    raise BadRow(f"no held-out prompt has the instruction {asked}")


def _sort(session: Session, rows: Sequence[OutputRow], prompts: Prompts) -> tuple[list[Completion], list[SkippedRow]]:
    """What is new among the rows, and what cannot be used; the rest is here already."""
    matched: list[tuple[OutputRow, int]] = []
    skipped: list[SkippedRow] = []
    for row in rows:
        try:
            matched.append((row, _prompt_of(row, prompts)))
        except BadRow as error:
            skip(skipped, row.line, error)
    stored = _stored(session, matched)
    new: list[Completion] = []
    for row, prompt_id in matched:
        key = row.model, prompt_id
        if key not in stored:
            stored[key] = row.output
            new.append(Completion(prompt_id=prompt_id, text=row.output, outside_model=row.model))
        elif stored[key] != row.output:
            told = f"{row.model} has another text for {row.instruction.strip()[:SHOWN]!r} already, which stays"
            skipped.append(SkippedRow(row.line, f"{told}; another generator name would keep both"))
    return new, skipped


def _stored(session: Session, matched: Sequence[tuple[OutputRow, int]]) -> dict[tuple[str, int], str]:
    """A few at a time: SQLite binds a limited number of variables."""
    found: dict[tuple[str, int], str] = {}
    for start in range(0, len(matched), ROWS_PER_TRANSACTION):
        part = matched[start : start + ROWS_PER_TRANSACTION]
        models, prompt_ids = {row.model for row, _ in part}, {prompt_id for _, prompt_id in part}
        found |= stored_outputs(session, models=sorted(models), prompt_ids=sorted(prompt_ids))
    return found
