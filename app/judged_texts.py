"""What a judge is given to compare besides samples: chosen texts, a file of outputs, prompts with both sides."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.database import Database
from storage.errors import Invalid
from storage.pairs import preference_pairs
from storage.prompts import get_prompt
from storage.tables import Split
from storage.transfer.reading import read_lines, rewindable

if TYPE_CHECKING:
    from trainer.evaluation.protocol import Case

CHOSEN = "chosen"


def texts_of_file(path: Path, asked: dict[str, int]) -> dict[int, str]:
    """Prompt id -> text of an outputs file: JSON lines or a JSON list of {"instruction" or "prompt", "output"}.

    `asked` maps the text of a prompt to its id. Raises Invalid with the line's number, and where no prompt is in it.
    """
    with rewindable(path) as stream:
        lines = [(line.number, line.text()) for line in read_lines(stream)]
    rows: list[tuple[int, Any]]
    try:
        whole = json.loads("\n".join(text for _, text in lines)) if lines and lines[0][1].lstrip()[:1] == "[" else None
        rows = list(enumerate(whole, 1)) if whole is not None else [(at, json.loads(text)) for at, text in lines]
    except ValueError as error:
        hint = 'It needs {"instruction": ..., "output": ...} rows.'
        raise Invalid(f"{path} is not JSON: {error}.", hint=hint) from error
    found: dict[int, str] = {}
    for number, row in rows:
        given = row if isinstance(row, dict) else {}
        prompt, output = given.get("instruction", given.get("prompt")), given.get("output")
        if not isinstance(prompt, str) or not isinstance(output, str):
            raise Invalid(f"Row {number} of {path} has no instruction and output.", hint="Both must be texts.")
        if prompt.strip() in asked:
            found[asked[prompt.strip()]] = output
    if not found:
        raise Invalid(
            f"None of the {len(rows)} instructions in {path} is one of the {len(asked)} held-out prompts.",
            hint="Import its prompts first: prefloop import --format prompts --split heldout FILE.",
        )
    return found


def chosen_texts(database: Database) -> dict[int, str]:
    """Prompt id -> the text that people or an imported file chose, for held-out prompts. Raises Invalid without any."""
    with database.read() as session:
        pairs = preference_pairs(session, splits=[Split.heldout])
    if not pairs:
        raise Invalid(
            "No held-out prompt has a chosen text.",
            hint="Import pairs with --split heldout, or name a checkpoint or a file of outputs as the baseline.",
        )
    return {pair.prompt_id: pair.chosen.text for pair in pairs}


def build_cases(database: Database, candidate: dict[int, str], baseline: dict[int, str]) -> "list[Case]":
    """The prompts that both sides have a text for, with their references and tags."""
    from trainer.evaluation.protocol import Case

    cases = []
    with database.read() as session:
        for prompt_id, text in candidate.items():
            if prompt_id in baseline:
                prompt = get_prompt(session, prompt_id)
                other, tags = baseline[prompt_id], tuple(prompt.tags)
                cases.append(Case(str(prompt_id), prompt.messages, text, other, prompt.reference, tags))
    return cases
