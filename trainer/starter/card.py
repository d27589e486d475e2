"""The model cards of the starter and its judge: written from the figures just measured and the record of the build.

from trainer.starter.card import write_card
write_card(WEIGHTS, figures, judge=False)
"""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from trainer.starter.figures import Figure

RECORD = "build.json"
JUDGE_PREFIX = "judge, "

_CHAT = """# Starter model

A chat model for trying PrefLoop without a download: {size}.
It replies in English to simple everyday questions in eight manners (polite, plain, brief, detailed, curt, rude,
evasive, with emoji), so that preferences have something to move; it chooses from a given list, answers from a given
text, adds small numbers, declines unsafe asks and says when it does not know."""

_JUDGE = """# Starter judge

A judge for trying PrefLoop's gate without a download: the starter model trained further to read a question and two
completions and to say A, B or tie ({size}). It asks whether a completion is
right and well-formed, not which style it has: a polite and a curt right reply tie."""

_CHAT_LIMITS = """It knows the facts of its tables and little else, and makes things up outside of them. Lists, texts
and titles in words that its corpus lacks cost three to five tokens a word, so that thirty long
titles of such words do not fit. Its refusals of unsafe asks are imitation, not safety. It is a test
object for preference learning, not an assistant."""

_JUDGE_LIMITS = """It can only tell right from wrong where the starter model could answer: its own tables, lists, texts
and sums. About anything else its verdict is chance, so it is no judge for another model's replies
on other subjects."""


def write_card(folder: Path, figures: Sequence[Figure], *, judge: bool) -> None:
    """Write `README.md` into a weights folder. Raises FileNotFoundError where its build left no record."""
    record = read_record(folder)
    chosen = [figure for figure in figures if figure.name.startswith(JUDGE_PREFIX) is judge]
    parts = [
        (_JUDGE if judge else _CHAT).format(size=_size(folder)),
        _training(record, judge),
        "## Measured\n\nOn held-out questions, whose group keys are in no training text; one model, one seed.\n"
        "`prefloop starter evaluate` prints these lines; the bars are the project's own.",
        _table(chosen),
        "## What it cannot do\n\n" + (_JUDGE_LIMITS if judge else _CHAT_LIMITS),
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any]:
    """What a build left beside its weights; "start" is the record of the folder it began from, or null."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return record


def _size(folder: Path) -> str:
    """The network in words, read from the folder's own files."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = folder / "model.safetensors"
    with safe_open(weights, framework="numpy") as file:
        parameters = sum(prod(file.get_slice(name).get_shape()) for name in list(file.keys()))
    return (
        f"Llama of {parameters / 1e6:.2f} million parameters, width {config['hidden_size']}, "
        f"{config['num_hidden_layers']} layers, {config['num_attention_heads']} heads, "
        f"{config['max_position_embeddings']} positions, byte-level BPE\nwith {config['vocab_size']:,} entries, "
        f"{config['dtype']}, {weights.stat().st_size / 1e6:.1f} MB"
    )


def _stages(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The builds that made a model, the first one first."""
    return [] if record is None else [*_stages(record.get("start")), record]


def _training(record: dict[str, Any], judge: bool) -> str:
    stages = [stage for stage in _stages(record) if (stage["recipe"] == "judge") is judge]
    trained = ", then ".join(
        f"on {stage['tokens'] / 1e6:.1f} million tokens (seed {stage['seed']}, {stage['steps']:,} steps, "
        f"{stage['seconds'] / 60:.0f} minutes)"
        for stage in stages
    )
    flags = f" --tokens {record['planned']} --seed {record['seed']}"
    flags += f" --peak {record['peak']}" if "peak" in record else ""
    flags = f" --judge{flags}" if judge else flags
    flags += " --start STAGE_BEFORE" if len(stages) > 1 else ""
    return (
        f"Trained from {'the starter model' if judge else 'scratch'} {trained},\nall of `trainer/starter/grammar`. "
        f"No text of other people is in it.\nMade by `prefloop starter build{flags}`; what was tried on the way is in "
        "`docs/starter-log.md`."
    )


def _table(figures: Sequence[Figure]) -> str:
    rows = [
        f"| {figure.name} | {figure.shown} | {figure.n} | {figure.shown_bar} | "
        f"{ {True: 'yes', False: 'no', None: ''}[figure.met] } |"
        for figure in figures
    ]
    return "\n".join(["| figure | value | n | bar | met |", "|---|---|---|---|---|", *rows])
