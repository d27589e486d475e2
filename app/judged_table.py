"""A judge's evaluation on the terminal: as JSON, or as one table and the sentences that qualify it."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

VERDICTS = ("win", "loss", "tie", "flip", "invalid")


def print_judged(figures: dict[str, Any], *, as_json: bool) -> None:
    """The figures of trainer/evaluation/protocol_report.py."""
    console = Console()
    if as_json:
        console.file.write(json.dumps(figures, indent=1, allow_nan=False) + "\n")
        return
    title = f"{figures['candidate']} against {figures['baseline']}, judged by {figures['judge']['name']}"
    table = Table("prompts", *VERDICTS, "win rate", "95%", "at equal length", title=title.replace("[", r"\["))
    counts = [str(figures["verdicts"][kind]) for kind in VERDICTS]
    rate = _percent(figures["win_rate"]) if figures["trusted"] else "none"
    ends = figures["interval"] if figures["trusted"] else None
    between = "" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"
    controlled = _percent(figures["length_controlled_win_rate"]) if figures["trusted"] else ""
    table.add_row(str(figures["prompts"]), *counts, rate, between, controlled)
    console.print(table)
    calls = figures["calls"]
    told = f"{calls['asked']} calls made, {calls['stored']} replies were stored."
    lines = [*figures["alarms"], *figures["notes"], told]
    if calls["spent"]["cost"]:
        lines.append(f"Spent {calls['spent']['cost']:.4f}.")
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
