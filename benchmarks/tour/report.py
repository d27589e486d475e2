"""What the tour found, as moments and tables, and the file that keeps them."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.simulation import Measured

LIMIT_S = 300.0


@dataclass(frozen=True)
class Moment:
    """Something seen on the page, `at_s` seconds after the command was given."""

    name: str
    at_s: float
    told: str


@dataclass
class Moments:
    """Marks moments as they come, in seconds since `zero` on the clock; `tell` gets a line for each."""

    zero: float
    tell: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic
    marked: list[Moment] = field(default_factory=list)

    def mark(self, name: str, told: str = "") -> Moment:
        moment = Moment(name, self.clock() - self.zero, told)
        self.marked.append(moment)
        self.tell(f"{moment.at_s:6.1f} s  {name}: {told}")
        return moment

    def first(self, name: str) -> Moment | None:
        return next((moment for moment in self.marked if moment.name == name), None)


@dataclass(frozen=True)
class Choice:
    """One choice: what decided it, how many seconds late it was, and how long the next pair took, where one came."""

    by: str
    late_s: float
    next_pair_s: float | None


def choices_told(choices: Sequence[Choice]) -> str:
    """The choices in one sentence: what decided them, how late they were, how fast the page was."""
    if not choices:
        return "no choices"
    decided = ", ".join(f"{count} by {by}" for by, count in Counter(c.by for c in choices).most_common())
    late = [c.late_s for c in choices if c.late_s > 0]
    lateness = f"{len(late)} late, {max(late):.1f} s at most, {sum(late):.1f} s in all" if late else "none late"
    waits = [c.next_pair_s for c in choices if c.next_pair_s is not None]
    told = f"{len(choices)} choices: {decided}; {lateness}"
    if waits:
        told += f"; the next pair after {statistics.median(waits):.2f} s (median), {max(waits):.2f} s at most"
    return told


def moments_table(moments: Sequence[Moment]) -> str:
    """Markdown: each moment, seconds since the command was given, seconds since the moment before."""
    lines = ["| moment | s | + s | seen on the page |", "|---|---:|---:|---|"]
    before = 0.0
    for moment in moments:
        told = moment.told.replace("|", "\\|")
        lines.append(f"| {moment.name} | {moment.at_s:.1f} | {moment.at_s - before:.1f} | {told} |")
        before = moment.at_s
    return "\n".join(lines)


def shares_table(rule: str, measured: Sequence[Measured]) -> str:
    """Markdown: a column for each model, of its completions of held-out prompts."""
    rows = [
        ("", [m.checkpoint_id for m in measured]),
        ("---", ["---:" for _ in measured]),
        (f"satisfy {rule}", [f"{m.share:.1%} of {m.n}" for m in measured]),
        ("right", ["–" if m.right is None else f"{m.right:.1%} of {m.right_n}" for m in measured]),
        ("well-formed", [f"{m.well_formed:.1%}" for m in measured]),
        ("mean length, characters", [f"{m.mean_length:.0f}" for m in measured]),
    ]
    return "\n".join(f"| {' | '.join([name, *values])} |" for name, values in rows)


def shortfall(moments: Moments, *, limit_s: float = LIMIT_S) -> str:
    """Why the tour does not hold; empty where its checkpoint took over and was charted within the limit."""
    gate, chart = moments.first("gate"), moments.first("chart")
    if gate is None:
        return "the run's outcome was never seen"
    if not gate.told.startswith("promoted"):
        return f"the checkpoint was not promoted: {gate.told}"
    if moments.first("swap") is None:
        return "the header never named the promoted checkpoint"
    if chart is None:
        return "the chart never showed the promoted checkpoint"
    if chart.at_s > limit_s:
        return f"the chart came after {chart.at_s:.1f} s, the limit is {limit_s:.0f} s"
    return ""


@dataclass
class Report:
    """Parts of Markdown, printed and kept in a file as they come: what was found stays, however the tour ends."""

    path: Path
    parts: list[str] = field(default_factory=list)

    def add(self, part: str) -> None:
        self.parts.append(part)
        self.path.write_text("\n\n".join(self.parts) + "\n", encoding="utf-8")
        print(f"\n{part}", flush=True)
