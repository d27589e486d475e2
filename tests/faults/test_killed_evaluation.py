"""Evaluations killed and stopped in the middle: real processes, real signals, a real server that holds them up."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from judged_project import CANDIDATE, record_judged_project
from judging import FakeServer, Said, reply, serving

from app.evaluation_clock import EvaluationClock
from app.evaluations import Evaluations
from app.settings import Settings
from storage.database import Database
from storage.tables import Evaluation, RunStatus
from trainer.gate_options import GateOptions
from trainer.launcher import Launcher

pytestmark = pytest.mark.slow

PATIENCE_S = 120
KEY = "sk-only-in-the-environment"
PROBES = 4  # to find out what the server offers


@dataclass
class Judged:
    """An app's part in evaluations, with a judge on a server that answers six calls and then waits for `go`."""

    evaluations: Evaluations
    clock: EvaluationClock
    data_dir: Path
    server: FakeServer
    go: threading.Event = field(default_factory=threading.Event)

    def start(self) -> int:
        view, _ = self.evaluations.start(candidate=CANDIDATE, baseline="initial", judge="slow", prompts=8)
        self.clock.tick()
        assert view.evaluation.id is not None
        return view.evaluation.id

    def row(self, evaluation_id: int) -> Evaluation:
        return self.evaluations.get(evaluation_id).evaluation

    def wait_until(self, condition: Callable[[], bool], evaluation_id: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            log = self.data_dir / "evaluations" / str(evaluation_id) / "log"
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
            self.clock.tick()

    def hold_up(self, evaluation_id: int) -> int:
        """Its pid, once six calls were answered and the server keeps the others waiting."""
        self.wait_until(lambda: len(self.server.seen) > PROBES + 6, evaluation_id)
        pid = self.row(evaluation_id).pid
        assert pid is not None
        return pid

    def wait_for(self, evaluation_id: int, status: RunStatus) -> Evaluation:
        self.wait_until(lambda: self.row(evaluation_id).status is status, evaluation_id)
        return self.row(evaluation_id)


@pytest.fixture
def judged(tmp_path: Path, database: Database, tiny_model_dir: Path) -> Iterator[Judged]:
    data_dir, go = tmp_path / "data", threading.Event()
    record_judged_project(database, data_dir, tiny_model_dir)

    def rule(payload: dict[str, Any]) -> Said:
        if len(fake.seen) > PROBES + 6:
            go.wait(PATIENCE_S)
        return reply("Reasons.\n[[A]]")

    with serving(rule=rule) as fake:
        settings = Settings(data_dir=data_dir, model=str(tiny_model_dir), judges=f"slow={fake.url}#m", judge_key=KEY)
        launcher = Launcher(data_dir, database.url, str(tiny_model_dir), "cpu", 8, GateOptions(key=KEY))
        clock = EvaluationClock(database, launcher, data_dir=data_dir)
        yield Judged(Evaluations(database, settings), clock, data_dir, fake, go)
        go.set()
        clock.stop()


def test_a_killed_evaluation_says_so_and_asked_for_again_asks_nothing_twice(judged: Judged) -> None:
    first = judged.start()
    os.kill(judged.hold_up(first), signal.SIGKILL)
    failed = judged.wait_for(first, RunStatus.failed)
    assert failed.error is not None and "killed by signal 9" in failed.error
    judged.go.set()
    done = judged.wait_for(judged.start(), RunStatus.succeeded)
    calls = done.config["calls"]
    assert calls["stored"] >= 1 and calls["asked"] + calls["stored"] == 16
    assert done.config["trusted"] is not None and done.judge_id is not None


def test_one_told_to_stop_stores_the_calls_under_way_and_is_cancelled(judged: Judged) -> None:
    one = judged.start()
    judged.hold_up(one)
    judged.evaluations.cancel(one)
    judged.clock.tick()
    judged.go.set()
    assert judged.wait_for(one, RunStatus.cancelled).error is None
    asked = len(judged.server.seen)
    done = judged.wait_for(judged.start(), RunStatus.succeeded)
    assert done.config["calls"]["stored"] >= 6 and len(judged.server.seen) - asked == done.config["calls"]["asked"]


def test_when_the_app_stops_it_waits_in_the_queue_and_goes_on_with_the_next_start(judged: Judged) -> None:
    one = judged.start()
    judged.hold_up(one)
    judged.go.set()
    judged.clock.stop()
    assert judged.row(one).status in (RunStatus.queued, RunStatus.succeeded)
    done = judged.wait_for(one, RunStatus.succeeded)
    assert sum(judged.evaluations.get(one).verdicts.values()) == 8 and done.finished_at is not None


def test_the_key_reaches_the_server_and_neither_arguments_nor_log(judged: Judged) -> None:
    one = judged.start()
    pid = judged.hold_up(one)
    arguments = Path(f"/proc/{pid}/cmdline")
    if arguments.exists():
        assert KEY.encode() not in arguments.read_bytes()
    judged.go.set()
    judged.wait_for(one, RunStatus.succeeded)
    assert judged.server.headers[-1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in (judged.data_dir / "evaluations" / str(one) / "log").read_text()
