"""Our training beside TRL's: steps a second, memory, losses; our methods beside each other; the machine's peak.

    make bench
    python benchmarks/side_by_side.py [--only dpo methods products ppo] [--model starter smollm2] [--rounds N] [--short]

Every measured part is a process of its own (`speed/part.py`), so that memory is that part's alone, and the sides take
turns, round after round, so that a busy machine hurts both. Of a part's rounds the fastest counts. Memory is the peak
of the resident set less the resident set after the imports. Beside the ratio by the clock stands that of the
processor's time, which other programs on the machine disturb less. Status 1 where the losses of the two DPO trainers
are apart by more than 1e-3; a ratio that is missed is told, and does not fail the command.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from speed.environment import other_python
from speed.setting import TITLES, model_folder

HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(HERE), str(HERE.parent)])
SAME = 1e-3
TIMEOUT_S = 3600
GROUPS = {
    "dpo": ("dpo", "dpo_trl", "dpo_trl_checkpointing"),
    "methods": ("dpo", "offline", "pro"),
    "products": ("products",),
    "ppo": ("ppo", "ppo_trl"),
}
NAMES = {
    "dpo": "DPO, ours",
    "dpo_trl": "DPO, TRL 1.16, no checkpointing",
    "dpo_trl_checkpointing": "DPO, TRL 1.16, gradient checkpointing",
    "offline": "A-LoL, ours",
    "pro": "PRO, ours",
    "ppo": "PPO, ours",
    "ppo_trl": "PPO, TRL 1.12",
}
Figures = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """Against whom, and what is wanted: our rate at least so many times theirs, our memory at most."""

    beside: str
    faster: float
    memory: float


BARS = {
    "dpo": (Bar("dpo_trl_checkpointing", 1.3, 0.5), Bar("dpo_trl", 1.3, 0.5)),
    "ppo": (Bar("ppo_trl", 2.0, 0.5),),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--model", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a quarter of the data, one round: for a quick look")
    given = parser.parse_args()
    console = Console(width=140)
    console.print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, {given.threads} thread(s) a process")
    with tempfile.TemporaryDirectory() as scratch:
        apart = [of_model(name, given, Path(scratch), console) for name in given.model]
    return 1 if max(apart) > SAME else 0


def of_model(name: str, given: argparse.Namespace, scratch: Path, console: Console) -> float:
    """Measures and prints everything of one model; how far apart the losses of the DPO trainers were."""
    model_folder(name, scratch)
    wanted = list(dict.fromkeys(part for group in given.only for part in GROUPS[group]))
    found = measured(name, wanted, given, scratch)
    console.print(f"\n[bold]{TITLES[name]}[/bold]")
    console.print(times(found))
    apart = 0.0
    for part, bars in BARS.items():
        for bar in (bar for bar in bars if part in found and bar.beside in found):
            console.print(verdict(found[part], found[bar.beside], part, bar))
            if part == "dpo":
                apart = max(apart, difference(found[part], found[bar.beside]))
    if "ppo" in found:
        once = found["ppo"]["apart_seconds"]
        console.print(f"{NAMES['ppo']}: not counted are {once:.1f} s of sampling for the live guards, once a run")
    for part in ("offline", "pro"):
        if part in found and "dpo" in found:
            console.print(f"{NAMES[part]}: {rate(found[part]) / rate(found['dpo']):.2f} of DPO's steps/s")
    if "products" in found:
        console.print(told_products(found["products"]))
    return apart


def measured(model: str, parts: list[str], given: argparse.Namespace, scratch: Path) -> dict[str, Figures]:
    """The figures of every part: the fastest of its rounds, with the least memory of them."""
    found: dict[str, Figures] = {}
    for _ in range(1 if given.short else given.rounds):
        for part in parts:
            if part == "products" and part in found:
                continue
            new = run(part, model, given, scratch)
            known = found.get(part, new)
            best = min(known, new, key=lambda one: one["seconds"])
            found[part] = best | {field: min(known[field], new[field]) for field in ("processor_seconds", "growth_mib")}
    return found


def run(part: str, model: str, given: argparse.Namespace, scratch: Path) -> Figures:
    """One part in a process of its own. Raises SystemExit with the end of its output where it fails."""
    python = other_python() if part == "ppo_trl" else Path(sys.executable)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        command = [str(python), "-m", "speed.part", part, model, "--scratch", str(scratch), "--folder", folder]
        command += ["--threads", str(given.threads), *(["--short"] if given.short else [])]
        done = subprocess.run(
            command,
            check=False,
            cwd=HERE,
            env=os.environ | {"PYTHONPATH": PATHS},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            raise SystemExit(f"{part} on {model} ended with status {done.returncode}:\n{done.stdout[-3000:]}")
        figures: Figures = json.loads((Path(folder) / "figures.json").read_text())
    for field in ("seconds", "processor_seconds"):
        figures[field] -= figures.get(f"apart_{field}", 0.0)
    return figures


def rate(figures: Figures) -> float:
    """Steps, or for PPO episodes, a second."""
    return float(figures["steps"] / figures["seconds"])


def times(found: dict[str, Figures]) -> Table:
    table = Table("", "steps", "seconds", "of the processor", "steps/s", "memory growth, MiB")
    for part, one in found.items():
        if part in NAMES:
            seconds = f"{one['seconds']:.1f}", f"{one['processor_seconds']:.1f}"
            table.add_row(NAMES[part], str(one["steps"]), *seconds, f"{rate(one):.3f}", f"{one['growth_mib']:.0f}")
    return table


def verdict(ours: Figures, theirs: Figures, part: str, bar: Bar) -> str:
    """One line: the ratios, and whether they are what is wanted."""
    faster, memory = rate(ours) / rate(theirs), ours["growth_mib"] / theirs["growth_mib"]
    processor = theirs["processor_seconds"] / ours["processor_seconds"]
    line = (
        f"{NAMES[part]} / {NAMES[bar.beside]}: "
        f"{faster:.2f}x as fast (wanted {bar.faster}: {_held(faster >= bar.faster)}; "
        f"by the processor's time {processor:.2f}x), {memory:.2f}x the memory (wanted {bar.memory}: "
        f"{_held(memory <= bar.memory)})"
    )
    if part == "dpo":
        line += f", losses at most {difference(ours, theirs):.1e} apart"
    return line


def _held(is_so: bool) -> str:
    return "held" if is_so else "missed"


def difference(ours: Figures, theirs: Figures) -> float:
    """The largest difference between two trajectories of losses; infinite where they differ in length."""
    if len(ours["losses"]) != len(theirs["losses"]):
        return float("inf")
    return max(abs(one - other) for one, other in zip(ours["losses"], theirs["losses"], strict=True))


def told_products(found: Figures) -> str:
    others = ", ".join(f"{name.removeprefix('aten::')} {share:.0%}" for name, share in found["others"])
    return (
        f"Matrix products take {found['share']:.0%} of DPO's time, attention's kernels {found['attention_share']:.0%}; "
        f"the products run at {found['gflops']:.0f} of {found['peak_gflops']:.0f} GFLOP/s, "
        f"the whole at {found['of_peak']:.0%} of that peak. Then: {others}"
    )


def machine() -> str:
    """The processor's name and the number of its cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
