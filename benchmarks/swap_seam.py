"""The seam of a hot swap, as clients see it: eight streamed chats and one who labels, while checkpoints change.

    python benchmarks/swap_seam.py [--swaps 100] [--seconds 30] [--training]

Starts `prefloop serve` with the starter on a fresh data directory and a port of loopback, makes four checkpoints of it,
and promotes them in turn: with three kept in memory, each is read from the disk anew. First `--seconds` without swaps
for comparison, then 20 promotions, then the rest of `--swaps`. Every stream is compared with what the checkpoint it is
stamped with says alone, at temperature 0. With --training a run is started at the end, and labelling is measured beside
it and further swaps. Status 1 where a stream failed or differed, too few spanned a swap, or a bar was missed.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from seam.checkpoints import make_checkpoints, warm_queue
from seam.clients import Labelling, Stream, Streams, Swap, promote, solo
from side_by_side import machine
from tour.served import Served, served

PARALLEL = 8
CHECKPOINTS = 4
COUNTED = 20  # promotions that the bars are about
EARLY = 5  # swaps after which memory is first looked at
PAUSE_S = 1.0
QUEUE = 3000
START_S = 300
MIB = 1 << 20
PROMPTS = (
    "Which part of the body do you hear with?",
    "Trains or planes?",
    "What is the opposite of warm?",
    "How many legs does a spider have?",
    "Please tell me about the sea.",
    "What do bees make?",
    "Can you count from one to nine?",
    "Name three animals that live in water.",
)
SETTINGS = {"auto_train": False, "canary": False}


@dataclass
class Phase:
    """What was seen in one stretch of time."""

    streams: list[Stream]
    swaps: list[Swap]
    labelling: Labelling

    @property
    def gap_s(self) -> float:
        return max((one.longest_gap_s for one in self.streams), default=0.0)

    @property
    def spanning(self) -> int:
        return sum(any(one.began < swap.published < one.ended for swap in self.swaps) for one in self.streams)


def main() -> int:
    given = options()
    with tempfile.TemporaryDirectory(prefix="prefloop-seam-") as folder:
        with served(Path(folder) / "log", **SETTINGS) as app:
            return measure(app, given)


def measure(app: Served, given: argparse.Namespace) -> int:
    url = app.address(time.monotonic() + START_S)
    wait_until_ready(app, url)
    names = make_checkpoints(app.data_dir, CHECKPOINTS)
    warm_queue(app.data_dir, QUEUE)
    process, turn = psutil.Process(app.pid), iter(range(1_000_000))

    def phase(swaps: int, *, seconds: float = 0.0, pause_s: float = PAUSE_S) -> Phase:
        with Streams(url, PROMPTS, parallel=PARALLEL) as streams, Labelling(url, pace_s=0.5) as labelling:
            time.sleep(seconds)
            made = []
            for _ in range(swaps):
                made.append(promote(url, names[next(turn) % CHECKPOINTS]))
                time.sleep(pause_s)
        return Phase(streams.done, made, labelling)

    calm = phase(0, seconds=given.seconds)
    early = phase(EARLY)
    rss = {EARLY: process.memory_info().rss}
    rest = phase(COUNTED - EARLY)
    counted = Phase(early.streams + rest.streams, early.swaps + rest.swaps, early.labelling)
    later = phase(given.swaps - COUNTED, pause_s=0.1)
    rss[given.swaps] = process.memory_info().rss
    training = beside_training(url, phase) if given.training else None
    every = calm.streams + counted.streams + later.streams + (training.streams if training else [])
    alone = {key: solo(url, *key) for key in sorted({(s.prompt, s.checkpoint_id) for s in every if not s.error})}
    wrong = [s for s in every if s.error or alone[s.prompt, s.checkpoint_id] != s.text]
    table, held = told(calm, counted, [early, rest, later], training, wrong, len(every), rss)
    Console(width=120).print(table)
    for one in wrong[:5]:
        differs = f"{one.text!r}, alone {alone.get((one.prompt, one.checkpoint_id))!r}"
        print(f"{one.prompt!r} by {one.checkpoint_id}: {one.error or differs}")
    return 0 if held else 1


def wait_until_ready(app: Served, url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        app.check()
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"no model was served in {START_S} s")


def beside_training(url: str, phase: object) -> Phase:
    """Swaps while a run trains on the choices made so far; it is cancelled afterwards."""
    config = {"target_margin": 0, "epochs": 1000}
    started = httpx.post(f"{url}/api/v1/training-runs", json={"algorithm": "dpo", "config": config}, timeout=60)
    run = f"{url}/api/v1/training-runs/{started.raise_for_status().json()['id']}"
    deadline = time.monotonic() + START_S
    while (stage := httpx.get(run, timeout=60).json())["stage"] != "training":
        if stage["status"] in ("failed", "succeeded") or time.monotonic() > deadline:
            raise SystemExit(f"the run did not come to train: {stage['status']} {stage['error']}")
        time.sleep(0.5)
    found: Phase = phase(COUNTED)  # type: ignore[operator]
    httpx.post(f"{run}/cancel", timeout=60).raise_for_status()
    return found


def told(
    calm: Phase,
    counted: Phase,
    swapping: list[Phase],
    training: Phase | None,
    wrong: list[Stream],
    streams: int,
    rss: dict[int, int],
) -> tuple[Table, bool]:
    """The one table, and whether every bar holds."""
    warm_s = max(swap.warm_s for swap in counted.swaps)
    load_s = max(swap.load_s for swap in counted.swaps)
    allowed = 2 * calm.gap_s + warm_s
    first, last = rss.values()
    table = Table(title=f"Seam of a swap, the starter, {machine()}", title_justify="left")
    for column in ("", "measured", "wanted", ""):
        table.add_column(column)
    held = True

    def row(name: str, measured: str, wanted: str = "", holds: bool | None = None) -> None:
        nonlocal held
        held = held and holds is not False
        table.add_row(name, measured, wanted, "" if holds is None else "held" if holds else "missed")

    row("streams, all phases", str(streams))
    row(
        "of these failed, or not what the stamped checkpoint says alone",
        str(len(wrong)),
        "<= 1%",
        len(wrong) <= streams / 100,
    )
    row(f"streams during {len(counted.swaps)} promotions", str(len(counted.streams)))
    row("of these spanning a swap", str(counted.spanning), ">= 15", counted.spanning >= 15)
    row("longest gap between two tokens, no swaps", f"{calm.gap_s * 1000:.0f} ms")
    row("longest gap, swaps", f"{counted.gap_s * 1000:.0f} ms", f"< {allowed * 1000:.0f} ms", counted.gap_s < allowed)
    row("longest load, longest warm-up", f"{load_s * 1000:.0f} ms, {warm_s * 1000:.0f} ms")
    parts = [("no swaps", [calm]), ("swaps", swapping)] + ([("swaps and training", [training])] if training else [])
    for name, phases in parts:
        next_s = [s for p in phases for s in p.labelling.next_s]
        choose_s = [s for p in phases for s in p.labelling.choose_s]
        p95s, cold = (p95(next_s), p95(choose_s)), sum(p.labelling.cold for p in phases)
        row(
            f"labelling p95, {name}: next, choose ({len(choose_s)} choices, {cold} cold)",
            f"{p95s[0] * 1000:.0f} ms, {p95s[1] * 1000:.0f} ms",
            "< 100 ms",
            max(p95s) < 0.1,
        )
    growth = last / first - 1
    row(
        f"memory after {' and '.join(map(str, rss))} swaps",
        f"{first / MIB:.0f}, {last / MIB:.0f} MiB",
        "within 5%",
        abs(growth) <= 0.05,
    )
    return table, held


def p95(seconds: list[float]) -> float:
    """The 95th percentile; infinite of nothing."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else float("inf")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=100, help="promotions in all, more than 20")
    parser.add_argument("--seconds", type=float, default=30.0, help="of streaming without swaps")
    parser.add_argument("--training", action="store_true", help="and 20 promotions beside a run")
    given = parser.parse_args()
    if given.swaps <= COUNTED:
        parser.error(f"--swaps must be more than {COUNTED}")
    return given


if __name__ == "__main__":
    sys.exit(main())
