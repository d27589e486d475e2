"""Where a gate's per-prompt scores are kept while it is at work: beside its plan, anew after each look at them.

For whoever watches; the decision holds them again, and nothing is decided from here. Leaves out what they
show (gate_rules.py).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

FILE = "gate_scores.json"
PREFERENCE, QUALITY = "preference", "quality"  # question (b), and the judge of quality where there is one

Scores = dict[str, list[float]]


def keep_scores(scores: Mapping[str, Sequence[float]], folder: Path) -> None:
    """Write the candidate's scores so far, by what they are about and in the plan's order, into the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE}.tmp"
    partial.write_text(json.dumps({name: list(row) for name, row in scores.items()}), encoding="utf-8")
    partial.replace(folder / FILE)


def read_scores(folder: Path) -> Scores:
    """What is kept in a run's folder; empty before the first look."""
    try:
        found: Scores = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found
