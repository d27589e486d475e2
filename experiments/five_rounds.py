"""Five rounds of changing wishes in one project: does the loop follow, and does anything break on the way?

    python experiments/five_rounds.py --start-from initial
    python experiments/five_rounds.py --start-from served

Each round labels comparisons by another rule, with the canary watching as in the app, trains with `preferences: auto`,
and serves what the gate promotes. After each round the served model is measured against the initial one; it must stay
within five points in right, well-formed and distinct completions. The tables in docs/results.md are its output.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from inprocess import Measured, Project, by_rule

from trainer.starter.rules import find_rule

WISHES = ("polite", "brief", "emoji", "not-polite", "detailed")
ALLOWED = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start-from", choices=("initial", "served"), default="initial")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--completions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    wishes = {name: find_rule(name) for name in WISHES}
    collapsed = False
    with (
        tempfile.TemporaryDirectory() as folder,
        Project(Path(folder) / "data", seed=given.seed, canary=True) as project,
    ):
        initial = project.measure("initial", wishes, n=given.completions)
        print("| round | wish | decided | gate | served | wish before | after | right | well-formed | distinct |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        print(f"| 0 | | | | initial | | | {kept(initial)} |", flush=True)
        before, reasons = initial, []
        for number, wish in enumerate(WISHES, 1):
            decided = project.label(by_rule(wishes[wish]), given.labels)
            trained = project.train(start_from=given.start_from)
            project.serve_if_promoted()
            served = project.served
            after = project.measure(served, wishes, n=given.completions)
            collapsed |= any(ours < theirs - ALLOWED for ours, theirs in zip(fates(after), fates(initial), strict=True))
            print(
                f"| {number} | {wish} | {decided} | {trained.outcome} | {served} | {before.shares[wish]:.3f} | "
                f"{after.shares[wish]:.3f} | {kept(after)} |",
                flush=True,
            )
            reasons.append(f"{number}. {trained.checkpoint_id}: {' '.join(trained.reasons)}")
            before = after
    print("\n" + "\n".join(reasons))
    print(
        "\nCollapsed: right, well-formed or distinct fell by more than five points." if collapsed else "\nNo collapse."
    )
    return 1 if collapsed else 0


def fates(measured: Measured) -> tuple[float, float, float]:
    return measured.right, measured.well_formed, measured.distinct


def kept(measured: Measured) -> str:
    return " | ".join(f"{share:.3f}" for share in fates(measured))


if __name__ == "__main__":
    sys.exit(main())
