"""The model card of an exported checkpoint: what it was made of, what was measured, and what nobody measured.

Every figure comes from the project's rows. Leaves out the weights (app/checkpoint_export.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.win_rates import WinRateRow
from storage.tables import Checkpoint, GateDecisionRow

FRONT = """---
library_name: transformers
pipeline_tag: text-generation
base_model: {base}
---"""
LIMITS = """## Limits

It was moved towards what the people of one project preferred, on that project's prompts; about other prompts, other
languages and other people the figures above say nothing. Preferred is not true: nobody has checked its facts. It has
the limits, and the licence, of the model that it was trained from; read that model's card."""


@dataclass(frozen=True)
class Facts:
    """What the card tells of a checkpoint. `choices` it learned from, made by `labellers` people."""

    checkpoint: Checkpoint
    initial: Checkpoint
    choices: int
    labellers: int
    decision: GateDecisionRow | None
    points: Sequence[WinRateRow]
    sources: Mapping[str, str]  # names of judges by their id


def card(facts: Facts) -> str:
    """The card as Markdown, with the front matter that model hubs read."""
    parts = [
        FRONT.format(base=json.dumps(facts.initial.source)),
        f"# {facts.checkpoint.name}",
        _made(facts),
        _config(facts.checkpoint),
        _gate(facts.decision),
        _win_rates(facts),
        _metrics(facts.checkpoint),
        LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _made(facts: Facts) -> str:
    one, initial = facts.checkpoint, facts.initial
    origin = f"`{initial.source}` (SHA-256 `{initial.digest}`)"
    if one.id == initial.id:
        return f"The initial model of a PrefLoop project, {origin}, as it was."
    text = f"Trained by PrefLoop with `{one.algorithm}` on {origin}"
    if one.started_from_id not in (None, initial.id):
        text += f", going on from `{one.started_from_id}`"
    text += f", on {one.created_at:%Y-%m-%d}. An adapter, where it had one, is merged into these weights."
    people = "1 person" if facts.labellers == 1 else f"{facts.labellers} people"
    data = f"{facts.choices} choices of {people}" if facts.choices else "no choices of people"
    return f"{text}\n\nData: {data}; the data set's SHA-256 is `{one.dataset_digest}`."


def _config(one: Checkpoint) -> str:
    if not one.config:
        return ""
    return "## Config\n\n```json\n" + json.dumps(one.config, indent=2, sort_keys=True) + "\n```"


def _gate(decision: GateDecisionRow | None) -> str:
    if decision is None:
        return "## Gate\n\nNo gate has judged it."
    reasons = "\n".join(f"- {_one_line(reason)}" for reason in decision.reasons)
    against = f"Against `{decision.baseline_id}`, on prompts held out from training:"
    return f"## Gate: {decision.outcome}\n\n{against}\n\n{reasons}"


def _win_rates(facts: Facts) -> str:
    if not facts.points:
        return ""
    lines = ["| against | by | win rate | 95% interval | comparisons |", "|---|---|---|---|---|"]
    for row in facts.points:
        source = _cell(facts.sources.get(row.source, row.source))
        interval = f"{row.low:.1%} to {row.high:.1%}"
        lines.append(f"| {_cell(row.baseline)} | {source} | {row.rate:.1%} | {interval} | {row.n} |")
    return "## Win rates\n\nA tie counts one half.\n\n" + "\n".join(lines)


def _metrics(one: Checkpoint) -> str:
    if not one.metrics:
        return ""
    rows = "\n".join(f"| {_cell(name)} | {value:.4g} |" for name, value in sorted(one.metrics.items()))
    return f"## Metrics of the training\n\nMeans over its last epoch.\n\n| metric | value |\n|---|---|\n{rows}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")
