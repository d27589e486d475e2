"""A launcher whose processes only pretend: they live and end as a test says."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeProcess:
    pid: int
    started_at: float = 1.0
    living: bool = True
    terminated: int = 0

    def alive(self) -> bool:
        return self.living

    def terminate(self) -> None:
        self.terminated += 1

    def wait(self, *, timeout_s: float) -> bool:
        return True

    def how_it_ended(self) -> str:
        return "was killed by signal 9"


@dataclass
class FakeLauncher:
    """`launched` has what was started, in order: a run's or an evaluation's id, and its process."""

    launched: list[tuple[Any, FakeProcess]] = field(default_factory=list)
    adopted: dict[int, FakeProcess] = field(default_factory=dict)

    def launch(self, run_id: str) -> FakeProcess:
        return self._start(run_id)

    def launch_evaluation(self, evaluation_id: int) -> FakeProcess:
        return self._start(evaluation_id)

    def adopt(self, what: str, pid: int, started_at: float) -> FakeProcess:
        return self.adopted.setdefault(pid, FakeProcess(pid, started_at))

    def _start(self, what: Any) -> FakeProcess:
        process = FakeProcess(pid=100 + len(self.launched))
        self.launched.append((what, process))
        return process
