"""How long the starter's judge takes for 200 prompts in both orders, and for the same evaluation once more.

    python benchmarks/judge_throughput.py [--judge FOLDER]

A project of its own with the starter's prompts, and a candidate: the starter with slightly changed weights. Each row is
one `prefloop evaluate` in a process of its own, by the clock: first another judge (similarity), so that the samples are
there as they are after a gate, then the judge, then the same again. Beside them, what Python takes to start and import
the command. Status 1 where the judge takes 15 s or more, or the second time asks for anything or takes 1 s or more
beyond that start.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from app.project import bind_model, open_database
from app.settings import Settings
from storage.checkpoints import record_checkpoint
from storage.tables import Checkpoint, CheckpointKind
from storage.transfer import import_file
from trainer.policy import load_policy, save_checkpoint
from trainer.starter import PROMPTS as STARTER_PROMPTS
from trainer.starter import WEIGHTS

PROMPTS = 200
FIRST_S, AGAIN_S = 15.0, 1.0
CANDIDATE = "sft-0001"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
NOISE = 0.02  # on weights: most replies change, none breaks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="starter", help="starter, or a folder of a starter's judge")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = Path(scratch)
        create_project(data_dir)
        rows = [evaluate(data_dir, judge) for judge in ("similarity", given.judge, given.judge)]
    start = starting()
    table = Table("judge", "calls made", "replies stored", "identical texts", "seconds")
    for judge, (seconds, figures) in zip(("similarity, with sampling", "starter", "starter again"), rows, strict=True):
        calls = figures["calls"]
        table.add_row(judge, str(calls["asked"]), str(calls["stored"]), str(figures["identical"]), f"{seconds:.2f}")
    table.add_row("the command's start alone", "", "", "", f"{start:.2f}")
    Console().print(table)
    (first, _), (again, figures) = rows[1:]
    return 0 if first < FIRST_S and again - start < AGAIN_S and not figures["calls"]["asked"] else 1


def create_project(data_dir: Path) -> None:
    """The starter's prompts, and the candidate as a full checkpoint."""
    settings = Settings(data_dir=data_dir)
    database = open_database(settings)
    bind_model(database, initial_model=settings.initial_model, model_source=settings.model_source)
    import_file(database, path_or_stream=STARTER_PROMPTS, format="prompts", source="starter", offered=True, strict=True)
    policy = load_policy(WEIGHTS, device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in policy.model.parameters():
            weights.add_(NOISE * torch.randn_like(weights))
    folder = data_dir / "checkpoints" / CANDIDATE
    digest = save_checkpoint(folder, model=policy.model, tokenizer=policy.tokenizer, kind="full")
    source = str(folder.relative_to(data_dir))
    row = Checkpoint(id=CANDIDATE, name=CANDIDATE, kind=CheckpointKind.full, source=source, digest=digest)
    with database.write() as session:
        record_checkpoint(session, checkpoint=row, preference_ids=())
    database.close()


def starting() -> float:
    """Seconds of Python's start and the command's imports."""
    started = time.monotonic()
    imports = "import app.cli, app.follow, trainer.evaluation.judging, trainer.evaluation.judged_rows"
    subprocess.run([sys.executable, "-c", imports], check=True, env=ENVIRONMENT)
    return time.monotonic() - started


def evaluate(data_dir: Path, judge: str) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and what it printed."""
    command = [sys.executable, "-m", "app", "evaluate", CANDIDATE, "--judge", judge, "--json"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--prompts", str(PROMPTS), "--data-dir", str(data_dir)],
        check=True,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    return time.monotonic() - started, json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
