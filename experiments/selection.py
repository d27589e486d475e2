"""Which two of four samples should people see? Movement per label of each strategy, three rules by three seeds.

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
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from inprocess import Labeller, by_rule
from movement import open_project, read, spread

from app.selection import SameContent, Selection, least_alike, plain
from storage.tables import Choice
from trainer.evaluation.features import features
from trainer.evaluation.preference_model import fit
from trainer.policy import Policy, load_policy
from trainer.prompting import Messages
from trainer.starter import WEIGHTS
from trainer.starter.rules import RULES

NAMES = ("polite", "emoji", "detailed")
SEEDS = (0, 1, 2)
SAMPLES = 4
FIRST = 10  # decided pairs before the preference model is asked


class LeastCertain:
    """The two that a preference model of the choices so far gives the most even chance; until there are some, two."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._prompts: list[Messages] = []
        self._sides: tuple[list[str], list[str]] = ([], [])  # chosen, rejected

    def watching(self, labeller: Labeller) -> Labeller:
        """The same labeller, whose choices are learnt from."""

        def choose(messages: Messages, left: str, right: str) -> Choice:
            choice = labeller(messages, left, right)
            if choice is not Choice.tie:
                self._prompts.append(messages)
                for side, text in zip(self._sides, (left, right)[:: 1 if choice is Choice.left else -1], strict=True):
                    side.append(text)
            return choice

        return choose

    def __call__(self, messages: Messages, texts: Sequence[str]) -> tuple[int, int]:
        if (count := len(self._prompts)) < FIRST:
            return (0, 1)
        chosen, rejected = (list(zip(self._prompts, side, strict=True)) for side in self._sides)
        table = features(self._policy, [*chosen, *rejected, *((messages, text) for text in texts)])
        model = fit(table[:count], table[count : 2 * count], [json.dumps(prompt) for prompt in self._prompts])
        scores = model.score(table[2 * count :])
        return min(combinations(range(len(texts)), 2), key=lambda pair: abs(scores[pair[0]] - scores[pair[1]]))


STRATEGIES = ("plain", "least alike", "same content", "least certain")


def strategy(name: str, labeller: Labeller) -> tuple[Selection, Labeller]:
    """A new strategy of that name, and the labeller to be used with it."""
    if name == "least certain":
        certain = LeastCertain(load_policy(WEIGHTS, device="cpu"))
        return certain, certain.watching(labeller)
    return {"plain": plain, "least alike": least_alike, "same content": SameContent()}[name], labeller


def case(name: str, rule_name: str, seed: int, labels: int, completions: int) -> dict[str, Any]:
    rule = RULES[rule_name]
    selection, labeller = strategy(name, by_rule(rule))
    with tempfile.TemporaryDirectory() as folder, open_project(folder, seed, selection, SAMPLES) as project:
        before = project.measure("initial", {rule_name: rule}, n=completions)
        decided = project.label(labeller, labels)
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
