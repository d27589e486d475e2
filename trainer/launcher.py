"""Starting the trainer: `python -m trainer RUN_ID` in a process session of its own, output to a file; an evaluation by
a judge likewise, as `python -m trainer.evaluation ID`.

The web process starts it by command and never imports its work. A trainer lives on when the app dies; the next app
adopts it by pid and start time, since pids are used again and a zombie still answers to its pid. A clock that was set
changes what the system tells of start times; then the command line decides.
"""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from trainer.gate_options import GateOptions

JUDGE_KEY = "PREFLOOP_JUDGE_KEY"  # to a process by its environment: arguments are public
SAME_START_S = 1.0  # clock ticks make start times differ a little between readings


@dataclass
class TrainerProcess:
    """A trainer by pid and start time (seconds since the epoch), or else by pid and what its command line must hold;
    `child` where this process started it."""

    pid: int
    started_at: float
    child: subprocess.Popen[bytes] | None = None
    arguments: tuple[str, ...] = ()

    def alive(self) -> bool:
        if self.child is not None:  # killed, its first thread is a zombie while others still go: the status comes last
            return self.child.poll() is None
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if abs(process.create_time() - self.started_at) < SAME_START_S:
                return True
            return bool(self.arguments) and set(self.arguments) <= set(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # the latter is another user's
            return False

    def terminate(self) -> None:
        """SIGTERM: save and stop. Nothing happens when it is gone."""
        with suppress(psutil.NoSuchProcess):
            if self.alive():
                psutil.Process(self.pid).terminate()

    def wait(self, *, timeout_s: float) -> bool:
        """Whether it ended in time."""
        try:
            if self.child is not None:  # psutil would take its exit status away
                self.child.wait(timeout_s)
            elif self.alive():
                psutil.Process(self.pid).wait(timeout=timeout_s)
        except psutil.NoSuchProcess:
            return True
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            return False
        return True

    def how_it_ended(self) -> str:
        """In words: exit status or signal where known."""
        code = self.child.poll() if self.child is not None else None
        if code is None:
            return "ended"
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


@dataclass(frozen=True)
class Launcher:
    """Starts trainers with the app's settings as arguments; they read no environment of ours but the judge's key."""

    data_dir: Path
    database_url: str
    model_source: str
    device: str
    gate_prompts: int
    gate: GateOptions = field(default_factory=GateOptions)
    reward_functions: tuple[str, ...] = ()
    processes: int = 1

    def launch(self, run_id: str) -> TrainerProcess:
        """Start the trainer of this run; it claims the run itself."""
        gate = [f"--gate-prompts={self.gate_prompts}", f"--gate={self.gate.argument()}"]
        rewards = [f"--reward-function={path}" for path in self.reward_functions]
        together = [f"--processes={self.processes}"] if self.processes > 1 else []
        return self._start(["trainer", run_id], gate + rewards + together, self.data_dir / "runs" / run_id)

    def launch_evaluation(self, evaluation_id: int) -> TrainerProcess:
        """Start the process of this evaluation; it claims it itself."""
        folder = self.data_dir / "evaluations" / str(evaluation_id)
        return self._start(["trainer.evaluation", str(evaluation_id)], [], folder)

    def adopt(self, what: str, pid: int, started_at: float) -> TrainerProcess:
        """The process that another app started for this run or evaluation."""
        return TrainerProcess(pid, started_at, arguments=(what, f"--data-dir={self.data_dir}"))

    def _start(self, module: list[str], further: list[str], folder: Path) -> TrainerProcess:
        folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            f"--data-dir={self.data_dir}",
            f"--database-url={self.database_url}",
            f"--model-source={self.model_source}",
            f"--device={self.device}",
        ]
        with (folder / "log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *module, *arguments, *further],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {JUDGE_KEY: self.gate.key},
            )
        return TrainerProcess(child.pid, psutil.Process(child.pid).create_time(), child)
