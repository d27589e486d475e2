"""What an import tells: how many rows were read, which of them are new, and which could not be used and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.errors import Invalid

MOST_SKIPPED = 100_000  # then it is hardly a file of that format, and every reason takes memory
LONGEST_REASON = 300  # characters; it names a value, which may be a megabyte


@dataclass(frozen=True)
class SkippedRow:
    """`line` counts from 1, blank lines included."""

    line: int
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """`rows` that were read (blank lines are none), of which `added` are new and `skipped` could not be used.

    `models`, of a file of outputs: each outside model that it names, with how many prompts it has a text for now.
    """

    rows: int
    added: int
    skipped: list[SkippedRow]
    models: Mapping[str, int] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Rows that were here already."""
        return self.rows - self.added - len(self.skipped)


def skip(skipped: list[SkippedRow], line: int, reason: object) -> None:
    """Note that the row in this line could not be used. Raises Invalid where MOST_SKIPPED could not."""
    told = str(reason)
    skipped.append(SkippedRow(line, told if len(told) <= LONGEST_REASON else f"{told[:LONGEST_REASON]}…"))
    if len(skipped) >= MOST_SKIPPED:
        first = skipped[0]
        raise Invalid(
            f"{len(skipped):,} rows cannot be used (first: line {first.line}: {first.reason}).",
            hint="Look whether the file has the format that was named.",
        )


class RefusedFile(Invalid):
    """A strict import met bad rows; nothing was written. `report` lists them."""

    code = "bad_rows"

    def __init__(self, name: str, report: ImportReport) -> None:
        first = report.skipped[0]
        super().__init__(
            f"{name} has {len(report.skipped)} bad rows of {report.rows} "
            f"(first: line {first.line}: {first.reason}); nothing was imported.",
            hint="Mend them, or import without --strict to skip them.",
        )
        self.report = report
