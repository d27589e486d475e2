"""The worker on real parts: a run from the queue to the gate's decision, in its own process."""

from pathlib import Path

import pytest
from project import TrainingProject

from storage.checkpoints import get_checkpoint, lineage
from storage.evaluations import evaluations_of, get_gate_decision
from storage.tables import CheckpointKind, RunStatus
from trainer.policy import load_policy

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, tiny_model_dir: Path) -> TrainingProject:
    return TrainingProject.make(tmp_path / "data", tiny_model_dir)


def finish(project: TrainingProject, algorithm: str, **config: object) -> str:
    run_id = project.queue(algorithm, **config)
    run = project.finish(run_id, project.launcher.launch(run_id))
    assert run.status is RunStatus.succeeded, project.log(run_id)
    return run_id


def test_a_dpo_run_ends_with_a_checkpoint_its_lineage_and_a_decision_with_reasons(project: TrainingProject) -> None:
    run_id = finish(project, "dpo", epochs=2)
    with project.database.read() as session:
        checkpoint = get_checkpoint(session, run_id)
        decision = get_gate_decision(session, run_id)
        assert lineage(session, checkpoint)["preference_ids"] == list(range(1, 41))
        assert [e.baseline for e in evaluations_of(session, run_id)] == ["initial"]
    assert decision is not None and decision.reasons and len(decision.guards) >= 8
    assert checkpoint.kind is CheckpointKind.adapter
    loaded = load_policy(project.data_dir / checkpoint.source, device="cpu")
    assert loaded.digest == checkpoint.digest
    first = project.losses(run_id)[1]
    assert first == pytest.approx(0.6931, abs=1e-3)


def test_an_sft_run_makes_a_full_checkpoint(project: TrainingProject) -> None:
    run_id = finish(project, "sft", epochs=1)
    with project.database.read() as session:
        assert get_checkpoint(session, run_id).kind is CheckpointKind.full
        assert get_gate_decision(session, run_id) is not None


def test_a_reward_model_run_has_no_gate_and_cannot_be_served(project: TrainingProject) -> None:
    run_id = finish(project, "reward_model", epochs=1)
    with project.database.read() as session:
        assert get_checkpoint(session, run_id).kind is CheckpointKind.reward_model
        assert get_gate_decision(session, run_id) is None


def test_a_run_without_choices_fails_with_the_reason(tmp_path: Path, tiny_model_dir: Path) -> None:
    project = TrainingProject.make(tmp_path / "data", tiny_model_dir, pairs=0)
    run_id = project.queue("dpo")
    run = project.finish(run_id, project.launcher.launch(run_id))
    assert run.status is RunStatus.failed
    assert run.error is not None and "nothing to learn from" in run.error
