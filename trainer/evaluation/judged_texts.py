"""The texts that a judge is given to compare: one sample of a checkpoint, chosen texts, or a file of outputs.

Samples are those of the gate where it has made them, so judging a checkpoint that the gate has seen samples nothing.
Torch is loaded only here, when the first checkpoint is.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.checkpoints import INITIAL, get_checkpoint
from storage.database import Database
from storage.errors import Invalid
from storage.pairs import preference_pairs
from storage.prompts import get_prompt
from storage.tables import CheckpointKind, Split
from storage.transfer.reading import read_lines, rewindable
from trainer.evaluation.protocol import Case

if TYPE_CHECKING:
    from trainer.evaluation.compare import Side
    from trainer.evaluation.samples import HeldoutPrompt

CHOSEN = "chosen"
MOST_PROMPTS = 300  # of an evaluation and of the gate

Tell = Callable[[str, int, int], None]


def gather_cases(
    database: Database,
    *,
    data_dir: Path,
    model_source: str,
    device: str,
    candidate: str,
    baseline: str,
    prompts: int,
    tell: Tell,
    should_stop: Callable[[], bool],
) -> tuple[list[Case], str]:
    """The cases, and what the baseline is called. Raises Invalid where there is nothing to compare, Stopped."""
    from trainer.evaluation.compare import Side, heldout_prompts
    from trainer.policy import load_policy

    initial = Side(INITIAL, load_policy(model_source, device=device))
    wide = heldout_prompts(database, initial.policy, count=max(prompts, MOST_PROMPTS))

    def texts_of(checkpoint_id: str) -> dict[int, str]:
        side = load_side(database, checkpoint_id, initial, data_dir=data_dir, model_source=model_source, device=device)
        return _samples(side, wide, prompts, folder=data_dir / "samples", tell=tell, should_stop=should_stop)

    ours, file = texts_of(candidate), Path(baseline)
    if baseline == CHOSEN:
        theirs = chosen_texts(database)
    elif file.is_file():
        theirs = texts_of_file(file, {_asked(p.messages): p.id for p in wide[:prompts]})
    else:
        theirs = texts_of(baseline)
    cases = build_cases(database, ours, theirs)
    if not cases:
        raise Invalid(
            f"None of the {len(ours)} held-out prompts has a text of {baseline!r}.",
            hint="Take more prompts, or another baseline.",
        )
    return cases, f"file:{file.name}" if file.is_file() else baseline


def load_side(
    database: Database, checkpoint_id: str, initial: "Side", *, data_dir: Path, model_source: str, device: str
) -> "Side":
    """A checkpoint that writes. Raises NotFound, and Invalid for a reward model."""
    from trainer.evaluation.compare import Side
    from trainer.policy import load_policy

    if checkpoint_id == INITIAL:
        return initial
    with database.read() as session:
        row = get_checkpoint(session, checkpoint_id)
    if row.kind is CheckpointKind.reward_model:
        raise Invalid(f"{checkpoint_id} is a reward model; it writes nothing that could be compared.")
    return Side(checkpoint_id, load_policy(data_dir / row.source, device=device, base=model_source))


def _samples(
    side: "Side",
    wide: "Sequence[HeldoutPrompt]",
    count: int,
    *,
    folder: Path,
    tell: Tell,
    should_stop: Callable[[], bool],
) -> dict[int, str]:
    """Prompt id -> its first sample, for the first `count` prompts. The gate's samples of all are used where made."""
    from trainer.evaluation.samples import SAMPLES, is_sampled, sample

    prompts = wide if is_sampled(side.policy, wide, folder=folder) else wide[:count]
    made = sample(
        side.policy,
        prompts,
        folder=folder,
        on_progress=lambda step, total: tell(f"sampling {side.id}", step, total),
        should_stop=should_stop,
    )
    return {prompt.id: made[i * SAMPLES].text for i, prompt in enumerate(prompts[:count])}


def _asked(messages: Sequence[dict[str, str]]) -> str:
    """What a file of outputs calls a prompt: its last user turn."""
    return next((m["content"].strip() for m in reversed(messages) if m["role"] == "user"), "")


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


def build_cases(database: Database, candidate: dict[int, str], baseline: dict[int, str]) -> list[Case]:
    """The prompts that both sides have a text for, with their references and tags."""
    cases = []
    with database.read() as session:
        for prompt_id, text in candidate.items():
            if prompt_id in baseline:
                prompt = get_prompt(session, prompt_id)
                other, tags = baseline[prompt_id], tuple(prompt.tags)
                cases.append(Case(str(prompt_id), prompt.messages, text, other, prompt.reference, tags))
    return cases
