"""Who is told how a run goes and may end it, and what the work raises once it has been. Free of torch.

Leaves out who is told what (`trainer/run_reporter.py` for a run of the queue).
"""

from typing import Protocol


class Stopped(Exception):
    """The work was asked to stop and has; what it had to save is saved."""


class Reporter(Protocol):
    """Who is told how a run goes, and who may end it."""

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None: ...

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None: ...

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool: ...
