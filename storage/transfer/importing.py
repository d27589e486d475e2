"""Import: rows of a file become prompts, or prompts with two completions, a decided comparison and a preference.

A bad row is skipped and reported; with `strict` one bad row refuses the file before anything is written. A file is
stored a few rows at a time, so that people can go on labelling; one that was cut short is completed by the next
import, because a row already here is never added again. Imported choices are not new choices: they trigger no run.
Outputs of other models are read by outputs.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO

from storage.database import Database
from storage.errors import Invalid
from storage.preferences import record_labeller
from storage.tables import ImportedFile, Split
from storage.transfer import outputs
from storage.transfer.formats import FORMATS, Format, get_format
from storage.transfer.json_line import read_object
from storage.transfer.reading import Line, read_lines, rewindable
from storage.transfer.report import ImportReport, RefusedFile, SkippedRow, skip
from storage.transfer.rows import BadRow, PairRow, PromptRow
from storage.transfer.storing import LABELLER, Origin, store_rows

ROWS_PER_TRANSACTION = 100
IMPORTS = (*FORMATS, outputs.FORMAT)


def import_file(
    database: Database,
    *,
    path_or_stream: str | Path | IO[bytes],
    format: str,
    name: str | None = None,
    split: Split | None = None,
    strict: bool = False,
    offered: bool = False,
    source: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import a JSONL file, plain or gzip, in one of IMPORTS; the rows already here are not added again.

    `split` is for every new prompt (else the row's own, else the hash of its group decides); `offered` puts the
    prompts before people, those imported earlier too. `source` names the prompts' origin (default: import:<digest>).
    `on_progress(done, total)` counts rows.
    Raises NotFound (no such file), Invalid (unknown format, damaged gzip, no rows) and, when `strict`, RefusedFile.
    """
    name = name or (Path(path_or_stream).name if isinstance(path_or_stream, str | Path) else "upload")
    if format == outputs.FORMAT:
        _refuse_for_outputs(split=split, offered=offered)
        return _import_outputs(database, path_or_stream, name=name, strict=strict, on_progress=on_progress)
    kind = get_format(format, of=IMPORTS)
    with rewindable(path_or_stream) as file:
        checked, digest = _check(file, kind)
        if not checked.rows:
            raise Invalid(f"{name} has no rows.", hint="Give a file with one JSON object per line.")
        if strict and checked.skipped:
            raise RefusedFile(name, checked)
        with database.read() as session:
            imported = session.get(ImportedFile, digest)
        if imported is not None and imported.format == kind.name and not offered:
            return checked
        origin = Origin(kind, digest[:12], source or f"import:{digest[:12]}", split, offered)
        added = _store(database, file, origin, total=checked.rows, on_progress=on_progress)
    report = ImportReport(checked.rows, added, checked.skipped)
    if imported is None or imported.format != kind.name:
        _record_file(database, digest=digest, name=name, format=kind.name, report=report)
    return report


def _refuse_for_outputs(*, split: Split | None, offered: bool) -> None:
    if split is not None or offered:
        raise Invalid(
            f"A file of the format {outputs.FORMAT} adds no prompts, so none can be put before people or in a split.",
            hint="Import its texts without that, and prompts of your own by the format prompts.",
        )


def _import_outputs(
    database: Database,
    path_or_stream: str | Path | IO[bytes],
    *,
    name: str,
    strict: bool,
    on_progress: Callable[[int, int], None] | None,
) -> ImportReport:
    with rewindable(path_or_stream) as file:
        report, digest = outputs.import_outputs(database, file, name=name, strict=strict, on_progress=on_progress)
    with database.read() as session:
        imported = session.get(ImportedFile, digest)
    if imported is None or report.added:
        before = imported.added if imported else 0
        whole = replace(report, added=before + report.added)
        _record_file(database, digest=digest, name=name, format=outputs.FORMAT, report=whole)
    return report


def _check(file: IO[bytes], kind: Format) -> tuple[ImportReport, str]:
    """Parse every row and store none; the report with nothing added, and the SHA-256 of the uncompressed rows."""
    rows, digest = 0, sha256()
    skipped: list[SkippedRow] = []
    for line in read_lines(file):
        rows += 1
        digest.update(line.raw + line.end.encode())
        try:
            kind.parse(read_object(line.text()))
        except BadRow as error:
            skip(skipped, line.number, error)
    return ImportReport(rows, 0, skipped), digest.hexdigest()


def _store(
    database: Database,
    file: IO[bytes],
    origin: Origin,
    *,
    total: int,
    on_progress: Callable[[int, int], None] | None,
) -> int:
    lines, done, added = read_lines(file), 0, 0
    while batch := list(islice(lines, ROWS_PER_TRANSACTION)):
        with database.write() as session:
            record_labeller(session, labeller_id=LABELLER, name=LABELLER)
            added += store_rows(session, list(_parsed(batch, origin.format)), origin)
        done += len(batch)
        if on_progress is not None:
            on_progress(done, total)
    return added


def _parsed(lines: list[Line], kind: Format) -> Iterator[tuple[Line, PairRow | PromptRow]]:
    for line in lines:
        try:
            yield line, kind.parse(read_object(line.text()))
        except BadRow:  # reported by _check
            continue


def _record_file(database: Database, *, digest: str, name: str, format: str, report: ImportReport) -> None:
    with database.write() as session:
        session.merge(
            ImportedFile(
                digest=digest,
                name=name,
                format=format,
                rows=report.rows,
                added=report.added,
                skipped=[asdict(row) for row in report.skipped],
            )
        )
