"""How far do labels move the starter, and what does the gate say? Rules by seeds, 40 and 100 labels, and coin tossers.

    python experiments/movement.py run --out movement.jsonl            # hours; goes on where it was ended
    python experiments/movement.py run --out movement.jsonl --part 0/2 # half of it, for two processes
    python experiments/movement.py table --out movement.jsonl

Each case labels 40 comparisons as the product shows them, trains, asks the gate, labels 60 more with the initial model
still served, and trains on all 100. The coin tossers decide 100 pairs. The tables in docs/results.md are its output.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from inprocess import Project, Rule, at_random, by_rule
from late_rules import LATE

from app.selection import Selection
from trainer.starter.rules import RULES

KNOWN = ("polite", "brief", "emoji", "detailed")
LATE_SHARE = (0.20, 0.50)  # of the initial model's completions, for a late rule to count
LATE_COUNT = 4
SEEDS = (0, 1, 2)
COIN_SEEDS = range(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, a row a run")
    parser.add_argument("--part", default="0/1", help="I/N: every N-th case from the I-th on")
    parser.add_argument("--completions", type=int, default=1000)
    parser.add_argument("--only", nargs="*", help="rules, or coin; default: all")
    given = parser.parse_args()
    if given.what == "table":
        print(table([json.loads(line) for line in given.out.read_text().splitlines()]))
        return
    rules = {name: RULES[name] for name in KNOWN} | late_rules(given.completions)
    cases = [(name, seed) for seed in SEEDS for name in rules] + [("coin", s) for s in COIN_SEEDS]
    cases = [case for case in cases if not given.only or case[0] in given.only]
    part, parts = map(int, given.part.split("/"))
    done = {(row["rule"], row["seed"]) for row in read(given.out)}
    for name, seed in cases[part::parts]:
        if (name, seed) not in done:
            rows = coin(seed) if name == "coin" else case(name, rules[name], seed, given.completions)
            with given.out.open("a") as file:  # a case is written whole, so that an ended run does it again
                file.write("".join(json.dumps(row) + "\n" for row in rows))


def late_rules(completions: int) -> dict[str, Rule]:
    """The first four late rules that count; prints the initial model's share of each."""
    named = {rule.__name__.replace("_", "-"): rule for rule in LATE}
    with tempfile.TemporaryDirectory() as folder, open_project(folder, 0) as project:
        shares = project.measure("initial", named, n=completions).shares
    for name, share in shares.items():
        print(f"{name}: {share:.3f} of the initial model's completions", flush=True)
    counting = [name for name, share in shares.items() if LATE_SHARE[0] <= share <= LATE_SHARE[1]]
    return {name: named[name] for name in counting[:LATE_COUNT]}


def case(name: str, rule: Rule, seed: int, completions: int) -> list[dict[str, Any]]:
    """Two rows: after 40 labels and after 100."""
    rows: list[dict[str, Any]] = []
    decided = 0
    with tempfile.TemporaryDirectory() as folder, open_project(folder, seed) as project:
        before = project.measure("initial", {name: rule}, n=completions)
        for labels, more in ((40, 40), (100, 60)):
            decided += project.label(by_rule(rule), more)
            trained = project.train(preferences="all")
            after = project.measure(trained.checkpoint_id, {name: rule}, n=completions)
            rows.append(
                {
                    "rule": name,
                    "seed": seed,
                    "labels": labels,
                    "decided": decided,
                    "outcome": trained.outcome,
                    "reasons": trained.reasons,
                    "before": before.shares[name],
                    "after": after.shares[name],
                    "right_before": before.right,
                    "right": after.right,
                    "well_formed": after.well_formed,
                    "n": completions,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def coin(seed: int) -> list[dict[str, Any]]:
    """One row: what the gate says to 100 coin tosses."""
    with tempfile.TemporaryDirectory() as folder, open_project(folder, seed) as project:
        decided = project.label(at_random(seed), 100)
        trained = project.train(preferences="all")
    row = {"rule": "coin", "seed": seed, "labels": 100, "decided": decided, "outcome": trained.outcome}
    print(json.dumps(row), flush=True)
    return [row | {"reasons": trained.reasons}]


def open_project(folder: str, seed: int, selection: Selection | None = None, samples: int | None = None) -> Project:
    """A new project that shares the initial model's samples with all others; by default it shows what people see."""
    return Project(Path(folder) / "data", seed=seed, selection=selection, samples=samples, shared_samples=shared())


def shared() -> Path:
    """Where all projects of experiments keep the initial model's samples."""
    return Path(tempfile.gettempdir()) / "prefloop-experiment-samples"


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and spread (standard deviation) over seeds, in points."""
    lines = [
        "| rule | labels | decided | before | after | moved (sd) | right moved (sd) | gate |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["rule"], row["labels"]].append(row)
    for (rule, labels), found in sorted(groups.items(), key=lambda item: (item[0][0] == "coin", item[0][1], item[0])):
        outcomes = ", ".join(
            f"{sum(r['outcome'] == o for r in found)} {o}" for o in sorted({r["outcome"] for r in found})
        )
        decided = f"{fmean(r['decided'] for r in found):.0f}"
        if rule == "coin":
            lines.append(f"| coin | {labels} | {decided} | | | | | {outcomes} |")
            continue
        moved = [100 * (r["after"] - r["before"]) for r in found]
        right = [100 * (r["right"] - r["right_before"]) for r in found]
        lines.append(
            f"| {rule} | {labels} | {decided} | {fmean(r['before'] for r in found):.3f} | "
            f"{fmean(r['after'] for r in found):.3f} | {spread(moved)} | {spread(right)} | {outcomes} |"
        )
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{fmean(values):+.1f}" + (f" ({stdev(values):.1f})" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
