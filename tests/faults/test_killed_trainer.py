"""Trainers killed in mid-run: real processes, real signals."""

from pathlib import Path

import pytest
from project import TrainingProject, assert_same_weights

from storage.runs import request_cancel
from storage.tables import RunStatus

pytestmark = pytest.mark.slow

LONG = {"target_margin": 0, "epochs": 16, "batch_size": 4, "save_steps": 10, "max_length": 128}  # 160 steps


@pytest.fixture
def project(tmp_path: Path, tiny_model_dir: Path) -> TrainingProject:
    return TrainingProject.make(tmp_path / "data", tiny_model_dir)


def test_a_killed_run_resumes_and_ends_with_the_loss_of_an_uninterrupted_one(
    project: TrainingProject, tmp_path: Path, tiny_model_dir: Path
) -> None:
    calm = TrainingProject.make(tmp_path / "calm", tiny_model_dir)
    calm_id = calm.queue(**LONG)
    assert calm.finish(calm_id, calm.launcher.launch(calm_id)).status is RunStatus.succeeded, calm.log(calm_id)

    run_id = project.queue(**LONG)
    assert project.kill(run_id, at_step=30).status is RunStatus.interrupted
    assert project.finish(run_id, project.launcher.launch(run_id)).attempt == 2
    assert "resum" in project.log(run_id).lower()

    ours, theirs = project.losses(run_id), calm.losses(calm_id)
    assert max(ours) == max(theirs) == 160
    assert ours[160] == pytest.approx(theirs[160], abs=1e-4)


@pytest.mark.soak
def test_a_killed_run_of_a_bottleneck_ends_with_the_checkpoint_of_an_uninterrupted_one(
    project: TrainingProject, tmp_path: Path, tiny_model_dir: Path
) -> None:
    calm = TrainingProject.make(tmp_path / "calm", tiny_model_dir)
    settings = LONG | {"adapter": "bottleneck"}
    calm_id, run_id = calm.queue(**settings), project.queue(**settings)
    assert project.kill(run_id, at_step=30).status is RunStatus.interrupted
    runs = project.work(run_id), calm.work(calm_id)
    assert [(run.status, run.attempt) for run in runs] == [(RunStatus.succeeded, 2), (RunStatus.succeeded, 1)]
    assert_same_weights(project.data_dir / "checkpoints" / run_id, calm.data_dir / "checkpoints" / calm_id)


def test_a_run_told_to_cancel_saves_and_ends_as_cancelled(project: TrainingProject) -> None:
    run_id = project.queue(**LONG)
    process = project.launcher.launch(run_id)
    project.wait_for_step(run_id, 5, process)
    with project.database.write() as session:
        request_cancel(session, run_id)
    process.terminate()
    assert project.finish(run_id, process).status is RunStatus.cancelled


def test_sigterm_without_a_cancel_interrupts_and_the_next_attempt_goes_on(project: TrainingProject) -> None:
    run_id = project.queue(**LONG)
    process = project.launcher.launch(run_id)
    project.wait_for_step(run_id, 5, process)
    process.terminate()
    assert process.wait(timeout_s=60)
    assert project.run(run_id).status is RunStatus.interrupted
    assert project.finish(run_id, project.launcher.launch(run_id)).status is RunStatus.succeeded, project.log(run_id)


def test_a_second_process_of_a_claimed_run_leaves_it_alone(project: TrainingProject) -> None:
    run_id = project.queue(**(LONG | {"epochs": 400}))
    first = project.launcher.launch(run_id)
    project.wait_for_step(run_id, 1, first)
    second = project.launcher.launch(run_id)
    assert second.wait(timeout_s=60)
    assert second.child is not None and second.child.wait() == 2
    assert first.alive() and project.run(run_id).pid == first.pid
    first.terminate()
    first.wait(timeout_s=60)
