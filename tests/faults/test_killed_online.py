"""Runs that learn from their own completions, killed or told to stop in mid-run: real processes, real signals."""

import time
from pathlib import Path
from typing import Any

import pytest
from project import TrainingProject, assert_same_weights
from recorder import Recorder

from storage.checkpoints import get_checkpoint
from storage.evaluations import get_gate_decision
from storage.runs import request_cancel
from storage.tables import RunStatus
from trainer.algorithms import train
from trainer.configs import parse_config
from trainer.dataset import train_questions
from trainer.rewards.opening import open_rewards

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 60
SETTINGS: dict[str, Any] = {
    "max_steps": STEPS,
    "epochs": 1000,
    "save_steps": 5,
    "rollouts": 8,
    "batch_size": 4,
    "max_new_tokens": 8,
    "max_length": 64,
    "rewards": '[{"kind": "length", "unit": "characters", "longest": 1, "margin": 10}, {"kind": "script"}]',
    "filters": '{"script": false, "repetition": false, "shortest": 0}',
    "guards": "watch",  # a random model's text trips them
}
STOP_S = 5


def every_method(*short: tuple[str, str]) -> list[Any]:
    """(method, adapter), all of them; those that are not `short` are left to the soak."""
    pairs = [(method, adapter) for method in ("ppo", "rloo", "grpo", "online_dpo") for adapter in ("lora", "full")]
    pairs.append(("ppo", "bottleneck"))
    return [pytest.param(*pair, marks=[] if pair in short else [pytest.mark.soak]) for pair in pairs]


@pytest.fixture
def project(tmp_path: Path, tiny_model_dir: Path) -> TrainingProject:
    return TrainingProject.make(tmp_path / "data", tiny_model_dir)


def uninterrupted(project: TrainingProject, method: str, settings: dict[str, Any], folder: Path) -> dict[str, float]:
    """The metrics of the last step of the same run, not killed."""
    config: Any = parse_config(method, settings)
    result = train(
        method,
        config=config,
        examples=train_questions(project.database),
        reward=open_rewards(config),
        policy_source=project.launcher.model_source,
        output=folder / "made",
        work=folder / "work",
        reporter=Recorder(),
        device="cpu",
    )
    return result.metrics


@pytest.mark.parametrize(("method", "adapter"), every_method(("ppo", "lora"), ("rloo", "full")))
def test_a_killed_run_resumes_and_ends_with_the_loss_of_an_uninterrupted_one_and_is_judged(
    project: TrainingProject, tmp_path: Path, method: str, adapter: str
) -> None:
    settings = SETTINGS | {"adapter": adapter}
    run_id = project.queue(method, **settings)
    assert project.kill(run_id, at_step=8).status is RunStatus.interrupted
    run = project.work(run_id)
    assert run.status is RunStatus.succeeded and run.attempt == 2, run.error
    with project.database.read() as session:
        found, decision = get_checkpoint(session, run_id).metrics, get_gate_decision(session, run_id)
    assert decision is not None and decision.reasons and len(decision.guards) >= 8
    expected = uninterrupted(project, method, settings, tmp_path / "calm")
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-4)
    assert found["objective/scores"] == pytest.approx(expected["objective/scores"], abs=1e-4)
    assert_same_weights(project.data_dir / "checkpoints" / run_id, tmp_path / "calm" / "made")


@pytest.mark.parametrize(("method", "adapter"), every_method(("grpo", "lora"), ("online_dpo", "full")))
def test_a_run_told_to_cancel_ends_as_cancelled_within_seconds(
    project: TrainingProject, method: str, adapter: str
) -> None:
    run_id = project.queue(method, **SETTINGS | {"adapter": adapter, "max_steps": 5000})
    process = project.launcher.launch(run_id)
    project.wait_for_step(run_id, 2, process)
    with project.database.write() as session:
        request_cancel(session, run_id)
    process.terminate()
    told = time.monotonic()
    while project.run(run_id).status is RunStatus.running and time.monotonic() - told < STOP_S:
        time.sleep(0.05)
    assert project.run(run_id).status is RunStatus.cancelled, project.log(run_id)
    process.wait(timeout_s=60)
