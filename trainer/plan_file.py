"""Where a gate's plan is kept: beside the run's log, from before the first sample on. The decision holds it again.

A gate that was stopped goes on by the plan it began with. One that had to change in between (another checkpoint is
served by then) says what it replaces. Leaves out what a plan says (gate_plan.py).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "gate_plan.json"


def keep_plan(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the plan into the run's folder, or find it there: the plan that holds, with the time it was written.

    `replaces` names the time of an earlier plan and the fields in which it differed.
    """
    made: dict[str, Any] = json.loads(json.dumps(plan))
    known = read_plan(folder)
    if known is not None:
        differing = sorted(name for name in made if made[name] != known.get(name))
        if not differing:
            return known
        made["replaces"] = {"written_at": known["written_at"], "differing": differing}
    made["written_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE}.tmp"
    partial.write_text(json.dumps(made, indent=1), encoding="utf-8")
    partial.replace(folder / FILE)
    return made


def read_plan(folder: Path) -> dict[str, Any] | None:
    """The plan in a run's folder; None before there is one."""
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
