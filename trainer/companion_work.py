"""The part of a companion in a run: it reads what the owner reads and trains with it, and writes no rows
but the reference's log-probabilities.

Leaves out how it is started (`trainer/companions.py`) and everything before and after training, which is the owner's
alone (`trainer/worker.py`).
"""

import threading

from trainer.companions import waited
from trainer.configs import parse_config
from trainer.dataset import TrainingData, build_dataset
from trainer.live_guards import GuardTripped
from trainer.policy import Policy, load_policy
from trainer.reporter import Stopped
from trainer.worker import Worker

STARTED_WITHIN_S = 3600.0  # the owner reads the choices first


class Quiet:
    """A reporter that tells nobody; it stops where the signal says so."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None: ...

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None: ...

    def log(self, line: str) -> None: ...

    def flush(self) -> None: ...

    def should_stop(self) -> bool:
        return self.stopping

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()


class Companion(Worker):
    """One companion in one attempt at a run. `work` returns the process's exit status."""

    def work(self) -> int:
        try:
            initial = load_policy(self._model_source, device=self._device)
            data = self._read_choices(initial)
            self._train(data, self._start())
        except (Stopped, GuardTripped):  # the owner, which sees the same, tells why
            return 0
        return 0

    def _open_reporter(self) -> Quiet:
        return Quiet(self._stopping)

    def _read_choices(self, initial: Policy) -> TrainingData:
        needed = parse_config(self._run.algorithm, self._run.config).needs_choices
        return build_dataset(self._database, self._run, initial, needed=needed, should_stop=self._reporter.should_stop)

    def _begun_from(self) -> str:
        """The checkpoint that the owner has written down."""
        note = self._work / "started_from"
        return waited(lambda: note.read_text() if note.exists() else None, STARTED_WITHIN_S, f"{note} is not there")
