"""Which two of sixteen samples should people see? Movement per label of each strategy, three rules by three seeds.

    python experiments/selection.py run --out selection.jsonl            # goes on where it was ended
    python experiments/selection.py table --out selection.jsonl

A case labels the comparisons that one strategy selects, trains, and measures the share of the rule before and after.
Ties count as labels: a strategy that shows fewer of them wastes less of people's time. The best is the product's
default; the table is in docs/results.md.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from inprocess import by_rule
from movement import open_project, read, spread

from app.selection import Decisive, Judged, SameContent, Selection, least_alike, plain
from trainer.evaluation.features import features
from trainer.evaluation.preference_model import fit
from trainer.policy import Policy, load_policy
from trainer.prompting import Messages
from trainer.starter import WEIGHTS
from trainer.starter.rules import RULES

NAMES = ("polite", "emoji", "detailed")
SEEDS = (0, 1, 2)
SAMPLES = 16
FIRST = 10  # decided pairs before the preference model is asked


class LeastCertain:
    """The two that a preference model of the choices so far gives the most even chance; until there are some, two."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
        decided = [j for j in judged if j.preferred is not None]
        if (count := len(decided)) < FIRST:
            return (0, 1)
        chosen = [(j.messages, j.left if j.preferred == "left" else j.right) for j in decided]
        rejected = [(j.messages, j.right if j.preferred == "left" else j.left) for j in decided]
        table = features(self._policy, [*chosen, *rejected, *((messages, text) for text in texts)])
        model = fit(table[:count], table[count : 2 * count], [json.dumps(j.messages) for j in decided])
        scores = model.score(table[2 * count :])
        return min(combinations(range(len(texts)), 2), key=lambda pair: abs(scores[pair[0]] - scores[pair[1]]))


STRATEGIES: dict[str, Callable[[], Selection]] = {
    "plain": lambda: plain,
    "least alike": lambda: least_alike,
    "same content": SameContent,
    "least certain": lambda: LeastCertain(load_policy(WEIGHTS, device="cpu")),
    "decisive": Decisive,
}


def case(name: str, rule_name: str, seed: int, labels: int, completions: int) -> dict[str, Any]:
    rule = RULES[rule_name]
    with tempfile.TemporaryDirectory() as folder, open_project(folder, seed, STRATEGIES[name](), SAMPLES) as project:
        before = project.measure("initial", {rule_name: rule}, n=completions)
        decided = project.label(by_rule(rule), labels)
        trained = project.train()
        after = project.measure(trained.checkpoint_id, {rule_name: rule}, n=completions)
    return {
        "strategy": name,
        "rule": rule_name,
        "seed": seed,
        "labels": labels,
        "decided": decided,
        "moved": after.shares[rule_name] - before.shares[rule_name],
        "right": after.right - before.right,
        "outcome": trained.outcome,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, a row a run")
    parser.add_argument("--part", default="0/1", help="I/N: every N-th case from the I-th on")
    parser.add_argument("--labels", type=int, default=60)
    parser.add_argument("--completions", type=int, default=600)
    given = parser.parse_args()
    if given.what == "table":
        print(table(read(given.out)))
        return
    part, parts = map(int, given.part.split("/"))
    cases = [(name, rule, seed) for seed in SEEDS for rule in NAMES for name in STRATEGIES]
    done = {(row["strategy"], row["rule"], row["seed"]) for row in read(given.out)}
    for name, rule, seed in cases[part::parts]:
        if (name, rule, seed) not in done:
            row = case(name, rule, seed, given.labels, given.completions)
            print(json.dumps(row), flush=True)
            with given.out.open("a") as file:
                file.write(json.dumps(row) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Points moved, mean and standard deviation over seeds, by strategy and rule; the last columns over all runs."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["strategy"]].append(row)
    lines = [
        "| strategy | " + " | ".join(NAMES) + " | mean | decided | right | promoted |",
        "|---" * (len(NAMES) + 5) + "|",
    ]
    for name, found in groups.items():
        cells = [spread([100 * r["moved"] for r in found if r["rule"] == rule]) for rule in NAMES]
        cells.append(f"{100 * fmean(r['moved'] for r in found):+.1f}")
        cells.append(f"{fmean(r['decided'] for r in found):.0f} of {found[0]['labels']}")
        cells.append(f"{100 * fmean(r['right'] for r in found):+.1f}")
        cells.append(f"{sum(r['outcome'] == 'promote' for r in found)} of {len(found)}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
