"""Further processes that train a run together with the one that owns it: its companions, on the same machine.

A companion is the same command with the number of its place, as `accelerate launch` and torchrun would start it; the
run's owner is number 0, claims the run, reports, saves and judges. Where one of those launchers has started the trainer
already, nothing is started here. A companion is killed when its owner ends, however that is. Leaves out what a
companion does (`trainer/companion_work.py`). Free of torch.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage.database import Database
from storage.runs import get_run
from storage.tables import RunStatus, TrainingRun

T = TypeVar("T")

PR_SET_PDEATHSIG = 1
CLAIMED_WITHIN_S = 120.0


def place() -> int:
    """This process's number among those that train the run."""
    return int(os.environ.get("RANK", "0"))


def start_companions(count: int, arguments: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    """`python -m trainer ARGUMENTS` for the places 1 to `count` - 1; this process takes place 0.

    Their output goes where this process's does. Nothing is started for one process, nor under another launcher.
    """
    if count < 2 or "WORLD_SIZE" in os.environ:
        return []
    meeting = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    meeting |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    command = [sys.executable, "-m", "trainer", *arguments]
    started = [
        subprocess.Popen(command, env=os.environ | meeting | _numbered(number), stdin=subprocess.DEVNULL)
        for number in range(1, count)
    ]
    os.environ.update(meeting | _numbered(0))
    return started


def end_companions(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill those that are still there, and collect them all."""
    for companion in started:
        companion.kill()
    for companion in started:
        companion.wait()


def claimed_run(database: Database, run_id: str) -> TrainingRun:
    """The run once its owner has claimed it. Raises TimeoutError where nobody does."""

    def claimed() -> TrainingRun | None:
        with database.read() as session:
            run = get_run(session, run_id)
        return run if run.status == RunStatus.running else None

    return waited(claimed, CLAIMED_WITHIN_S, f"run {run_id} was not claimed")


def waited(look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
    began = time.monotonic()
    while (found := look()) is None:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{otherwise} after {seconds:.0f} s")
        time.sleep(0.1)
    return found


def _numbered(number: int) -> dict[str, str]:
    return {"RANK": str(number), "LOCAL_RANK": str(number)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def die_with_owner() -> None:
    """Called by a companion: an owner that is killed must not leave it waiting. Linux; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
