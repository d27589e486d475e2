"""Does every algorithm move the model when it is asked to? Sixty steps each, three seeds, one table.

    python experiments/sixty_steps.py run --seed 0 --out sixty.jsonl      # goes on where it was ended
    python experiments/sixty_steps.py table --out sixty.jsonl

A project is labelled 100 times by a rule. Then each algorithm makes one run of 60 steps from the initial model, from
the queue to the gate's decision as `prefloop train NAME --set max_steps=60` does: the methods that learn from pairs
from those labels, the others with the rule as their reward. Measured is the rule's share of completions of prompts that
are held out. The gate looks at 24 prompts, enough to show that every run reaches it; its decisions are measured in
movement.py.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from inprocess import Project, by_rule
from movement import read, shared

from storage.checkpoints import get_checkpoint
from storage.runs import get_run
from storage.tables import RunStatus
from trainer.configs import ALGORITHMS
from trainer.starter.rules import find_rule

STEPS = 60
LABELS = 100
MEASURED = 400  # completions
ONLINE = ("ppo", "rloo", "grpo", "online_dpo")
ROLLOUTS = 32  # completions of a step: sixty steps of the default 64 take five minutes

OWN: dict[str, dict[str, Any]] = {
    "dpo": {"learning_rate": 5e-4},  # the default is for the hundred steps it takes to its margin
    "reward_model": {"validation_share": 0.3},  # a tenth is eight pairs
}


def config_of(algorithm: str, rule: str) -> dict[str, Any]:
    """Sixty steps; with the rule as reward where the algorithm makes its own completions."""
    if algorithm in ONLINE:
        return {"max_steps": STEPS, "rollouts": ROLLOUTS, "epochs": 1000, "rewards": [{"kind": "rule", "rule": rule}]}
    config: dict[str, Any] = {"max_steps": STEPS, "epochs": 1000, **OWN.get(algorithm, {})}
    if "target_margin" in ALGORITHMS[algorithm].model_fields:
        config["target_margin"] = 0.0  # else it would end earlier
    return config


def case(project: Project, algorithm: str, rule_name: str) -> dict[str, Any]:
    rules = {rule_name: find_rule(rule_name)}
    begun = time.monotonic()
    run_id = project.run(algorithm, **config_of(algorithm, rule_name))
    spent = time.monotonic() - begun
    with project.application.database.read() as session:
        run = get_run(session, run_id)
        if run.status is not RunStatus.succeeded:
            raise RuntimeError(f"{run_id} {run.status}: {run.error}")
        metrics = get_checkpoint(session, run_id).metrics
    row: dict[str, Any] = {"algorithm": algorithm, "seed": project.seed, "seconds": round(spent)}
    if algorithm == "reward_model":
        return row | {"accuracy": metrics["validation/accuracy"], "pairs": metrics["validation/pairs"]}
    measured = project.measure(run_id, rules, n=MEASURED)
    return row | {"share": measured.shares[rule_name], "right": measured.right}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, a row a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rule", default="polite")
    parser.add_argument("--algorithms", nargs="*", default=list(ALGORITHMS), choices=list(ALGORITHMS))
    given = parser.parse_args()
    if given.what == "table":
        print(table(read(given.out)))
        return
    done = {row["algorithm"] for row in read(given.out) if row["seed"] == given.seed}
    with tempfile.TemporaryDirectory() as folder, open_project(folder, given.seed) as project:
        decided = project.label(by_rule(find_rule(given.rule)), LABELS)
        print(f"{LABELS} labels, {decided} decided", flush=True)
        if "initial" not in done:
            measured = project.measure("initial", {given.rule: find_rule(given.rule)}, n=MEASURED)
            keep(given.out, {"algorithm": "initial", "seed": given.seed, **shares(measured, given.rule)})
        for algorithm in given.algorithms:
            if algorithm not in done:
                keep(given.out, case(project, algorithm, given.rule))


def open_project(folder: str, seed: int) -> Project:
    return Project(Path(folder) / "data", seed=seed, shared_samples=shared(), gate_prompts=24)


def shares(measured: Any, rule: str) -> dict[str, float]:
    return {"share": measured.shares[rule], "right": measured.right}


def keep(out: Path, row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """By algorithm: mean and deviation over seeds of share and right, in per cent, and the points moved."""
    initial = {row["seed"]: row for row in rows if row["algorithm"] == "initial"}
    lines = ["| algorithm | seeds | share | moved | right | seconds a run |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(row["algorithm"] for row in rows):
        found = [row for row in rows if row["algorithm"] == name]
        seconds = f"{fmean(row.get('seconds', 0) for row in found):.0f}"
        if name == "reward_model":
            told = ", ".join(f"{row['accuracy']:.0%} of {row['pairs']:.0f}" for row in found)
            lines.append(f"| {name} | {len(found)} | orders {told} held-out pairs | | | {seconds} |")
            continue
        moved = [100 * (row["share"] - initial[row["seed"]]["share"]) for row in found]
        share, right = ([100 * row[key] for row in found] for key in ("share", "right"))
        cells = [f"{fmean(values):.1f} ± {pstdev(values):.1f}" for values in (share, moved, right)]
        lines.append(f"| {name} | {len(found)} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
