"""What the benchmark makes up: checkpoints that write something else than the starter (adapters with random weights),
and a queue of comparisons that stays warm, which no swap drops."""

from pathlib import Path

import torch

from storage.checkpoints import INITIAL, record_checkpoint
from storage.comparisons import record_comparison
from storage.database import Database
from storage.prompts import list_prompts
from storage.tables import Checkpoint, CheckpointKind, Completion, Purpose, Split
from trainer.adapters import attach_adapter
from trainer.policy import load_policy, save_checkpoint
from trainer.starter import WEIGHTS

LATER = 10**6  # than any deployment: a swap drops what was made before it
STRENGTH = 0.02  # enough to change what is said, too little to make it endless


def make_checkpoints(data_dir: Path, count: int) -> list[str]:
    """In a project whose app has been started before; their ids."""
    database = Database.in_directory(data_dir)
    names = [_make(database, data_dir, seed) for seed in range(1, count + 1)]
    database.close()
    return names


def warm_queue(data_dir: Path, count: int) -> None:
    """So many comparisons of made-up texts wait; the app then makes none of its own."""
    database = Database.in_directory(data_dir)
    with database.write() as session:
        prompts = [prompt.id for prompt in list_prompts(session, split=Split.train, limit=50)]
        for number in range(count):
            prompt = prompts[number % len(prompts)]
            assert prompt is not None
            texts = f"It is the {number}th.", f"I would say, the {number}th of them."
            left, right = (Completion(prompt_id=prompt, text=text) for text in texts)
            record_comparison(
                session, prompt_id=prompt, left=left, right=right, purpose=Purpose.train, generation=LATER
            )
    database.close()


def _make(database: Database, data_dir: Path, seed: int) -> str:
    policy, name = load_policy(WEIGHTS, device="cpu"), f"seam-{seed}"
    torch.manual_seed(seed)
    adapted = attach_adapter(policy.model, kind="lora", rank=4, alpha=8)
    for parameter, values in adapted.named_parameters():
        if "lora_B" in parameter:
            torch.nn.init.normal_(values, std=STRENGTH)
    folder = data_dir / "checkpoints" / name
    folder.parent.mkdir(exist_ok=True)
    digest = save_checkpoint(
        folder,
        model=adapted,
        tokenizer=policy.tokenizer,
        kind="adapter",
        base=str(WEIGHTS),
        base_digest=policy.digest,
    )
    row = Checkpoint(
        id=name,
        name=name,
        kind=CheckpointKind.adapter,
        source=f"checkpoints/{name}",
        digest=digest,
        base_id=INITIAL,
    )
    with database.write() as session:
        record_checkpoint(session, checkpoint=row, preference_ids=[])
    return name
