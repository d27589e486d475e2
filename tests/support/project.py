"""A data directory with a served tiny model and choices in it, for tests that run real trainer processes."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelled import record_choices, record_prompts

from storage.checkpoints import record_project
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.runs import claim_run, get_run, mark_dead, metrics_of, queue_run
from storage.tables import FINAL, DeploymentReason, TrainingRun
from trainer.configs import parse_config
from trainer.launcher import Launcher, TrainerProcess

PATIENCE_S = 120


@dataclass
class TrainingProject:
    """What a trainer needs, without a web app."""

    data_dir: Path
    database: Database
    launcher: Launcher

    @classmethod
    def make(cls, data_dir: Path, model: Path, *, pairs: int = 40, heldout: int = 8) -> "TrainingProject":
        from trainer.sources import source_digest

        database = Database.in_directory(data_dir)
        database.migrate()
        with database.write() as session:
            record_project(session, initial_model=str(model), name="tiny", digest=source_digest(model))
            served, _ = record_deployment(session, checkpoint_id="initial", reason=DeploymentReason.initial, by="test")
            assert served.id is not None
            record_event(session, deployment_id=served.id, event="serving")
        record_prompts(database, train=pairs, heldout=heldout)
        record_choices(database, count=pairs)
        return cls(data_dir, database, Launcher(data_dir, database.url, str(model), "cpu", 8))

    def queue(self, algorithm: str = "dpo", **config: Any) -> str:
        values = parse_config(algorithm, config).model_dump(mode="json")
        with self.database.write() as session:
            return queue_run(
                session,
                algorithm=algorithm,
                config=values,
                trigger="person",
                started_because="test",
                automatic=False,
            ).id

    def run(self, run_id: str) -> TrainingRun:
        with self.database.read() as session:
            return get_run(session, run_id)

    def log(self, run_id: str) -> str:
        return (self.data_dir / "runs" / run_id / "log").read_text()

    def wait_for_step(self, run_id: str, step: int, process: TrainerProcess) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.run(run_id).stage != "training" or self.run(run_id).step < step:
            assert process.alive(), self.log(run_id)
            assert time.monotonic() < deadline, self.log(run_id)
            time.sleep(0.05)

    def finish(self, run_id: str, process: TrainerProcess) -> TrainingRun:
        assert process.wait(timeout_s=PATIENCE_S), self.log(run_id)
        run = self.run(run_id)
        assert run.status in FINAL, self.log(run_id)
        return run

    def kill(self, run_id: str, *, at_step: int) -> TrainingRun:
        """Train in a process that is killed once it has come so far; the run as it then is."""
        process = self.launcher.launch(run_id)
        self.wait_for_step(run_id, at_step, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout_s=10)
        with self.database.write() as session:
            return mark_dead(session, run_id, attempt=1, reason="killed")

    def work(self, run_id: str) -> TrainingRun:
        """One attempt at the run in this process; the run as it then is."""
        from trainer.worker import Worker

        with self.database.write() as session:
            run = claim_run(session, run_id, pid=os.getpid(), process_started_at=0.0)
        place: dict[str, Any] = {"data_dir": self.data_dir, "model_source": self.launcher.model_source}
        Worker(self.database, run, device="cpu", gate_prompts=8, stopping=threading.Event(), **place).work()
        return self.run(run_id)

    def losses(self, run_id: str) -> dict[int, float]:
        with self.database.read() as session:
            return {m.step: m.value for m in metrics_of(session, run_id) if m.name == "loss"}


def weights(folder: Path) -> dict[str, Any]:
    """The tensors of a checkpoint's folder, by name."""
    from safetensors.torch import load_file

    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def assert_same_weights(found: Path, expected: Path) -> None:
    """Of two checkpoints' folders."""
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys() and theirs
    for name, tensor in theirs.items():
        assert ours[name].allclose(tensor, atol=1e-5), name
