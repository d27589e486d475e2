"""The texts that a judge is given to compare: samples of a checkpoint, chosen texts, an outside model's or a file's.

Samples are those of the gate where it has made them: judging a checkpoint that the gate has seen samples nothing. And
what a checkpoint wrote is kept, so that the same evaluation loads no model the second time, nor torch.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.checkpoints import INITIAL, get_checkpoint
from storage.database import Database
from storage.errors import Invalid
from storage.outside import outside_model, outside_texts
from storage.pairs import preference_pairs
from storage.prompts import get_prompt, offered_prompts
from storage.tables import CheckpointKind, Split
from storage.transfer.reading import read_lines, rewindable
from trainer.evaluation.protocol import Case
from trainer.evaluation.samples import SAMPLES, SAMPLING, is_sampled, sample

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
    writers = _Writers(database, data_dir, model_source, device, prompts, tell, should_stop)

    def texts_of(checkpoint_id: str) -> dict[int, str]:
        kept = data_dir / "samples" / f"first-{_shape(database, checkpoint_id, prompts)}.json"
        if not kept.exists():
            _write_whole(kept, json.dumps(writers.texts_of(checkpoint_id)))
        return {int(prompt_id): text for prompt_id, text in json.loads(kept.read_text(encoding="utf-8")).items()}

    ours, file = texts_of(candidate), Path(baseline)
    outside = outside_model(baseline)
    if baseline == CHOSEN:
        theirs = chosen_texts(database)
    elif outside is not None:
        with database.read() as session:
            theirs = outside_texts(session, outside)
    elif file.is_file():
        theirs = texts_of_file(file, _asked_of(database, ours))
    else:
        theirs = texts_of(baseline)
    cases = build_cases(database, ours, theirs)
    if not cases:
        raise Invalid(
            f"None of the {len(ours)} held-out prompts has a text of {baseline!r}.",
            hint="Take more prompts, or another baseline.",
        )
    return cases, f"file:{file.name}" if outside is None and file.is_file() else baseline


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


@dataclass
class _Writers:
    """The checkpoints of one evaluation and its prompts, loaded once one of them has to write."""

    database: Database
    data_dir: Path
    model_source: str
    device: str
    prompts: int
    tell: Tell
    should_stop: Callable[[], bool]

    @cached_property
    def initial(self) -> "Side":
        from trainer.evaluation.compare import Side
        from trainer.policy import load_policy

        return Side(INITIAL, load_policy(self.model_source, device=self.device))

    @cached_property
    def wide(self) -> "list[HeldoutPrompt]":
        from trainer.evaluation.compare import heldout_prompts

        return heldout_prompts(self.database, self.initial.policy, count=max(self.prompts, MOST_PROMPTS))

    def texts_of(self, checkpoint_id: str) -> dict[int, str]:
        """Prompt id -> its first sample, for the first prompts. The gate's samples of all are used where made."""
        place = {"data_dir": self.data_dir, "model_source": self.model_source, "device": self.device}
        side = load_side(self.database, checkpoint_id, self.initial, **place)  # type: ignore[arg-type]
        folder = self.data_dir / "samples"
        prompts = self.wide if is_sampled(side.policy, self.wide, folder=folder) else self.wide[: self.prompts]
        made = sample(
            side.policy,
            prompts,
            folder=folder,
            on_progress=lambda step, total: self.tell(f"sampling {side.id}", step, total),
            should_stop=self.should_stop,
        )
        return {prompt.id: made[i * SAMPLES].text for i, prompt in enumerate(prompts[: self.prompts])}


def _shape(database: Database, checkpoint_id: str, prompts: int) -> str:
    """The digest of everything that shapes a checkpoint's texts: weights, sampling, and which prompts there are.

    Which of them fit is told by the initial model. Raises NotFound.
    """
    with database.read() as session:
        digests = [get_checkpoint(session, one).digest for one in (INITIAL, checkpoint_id)]
        asked = [[p.id, p.messages] for p in offered_prompts(session, splits=[Split.heldout])]
    shape = [digests, prompts, asdict(SAMPLING), SAMPLES, MOST_PROMPTS, asked]
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:32]


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _asked_of(database: Database, prompts: Iterable[int]) -> dict[str, int]:
    """What a file of outputs calls the prompts -> their ids."""
    with database.read() as session:
        return {_asked(get_prompt(session, prompt_id).messages): prompt_id for prompt_id in prompts}


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
