"""A trainer whose disk fills up in mid-run: no half checkpoint stays, and with room again the run ends as it should."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from project import TrainingProject
from small_disk import SmallDisk, small_disk

from storage.runs import mark_dead
from storage.tables import FINAL, RunStatus
from trainer.manifest import verify_manifest

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(600)]

LONG = {"target_margin": 0, "epochs": 16, "batch_size": 4, "save_steps": 10, "max_length": 128}  # 160 steps


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", mib=64) as disk:
        yield disk


def test_a_run_on_a_full_disk_ends_with_its_reason_and_goes_on_from_its_save_once_there_is_room(
    disk: SmallDisk, tiny_model_dir: Path
) -> None:
    project = TrainingProject.make(disk.folder / "data", tiny_model_dir)
    run_id = project.queue(**LONG)
    process = project.launcher.launch(run_id)
    project.wait_for_step(run_id, 20, process)
    disk.fill(process.pid)
    assert process.wait(timeout_s=120), "it goes on, though nothing can be written"
    assert not (project.data_dir / "checkpoints" / run_id).exists()
    disk.free()
    run = project.run(run_id)
    if run.status is RunStatus.running:  # not even its end could be written; the app's clock does this
        with project.database.write() as session:
            run = mark_dead(session, run_id, attempt=run.attempt, reason="Its process ended with status 1.")
    assert run.error
    if run.status in FINAL:
        assert run.status is RunStatus.failed and not list((project.data_dir / "checkpoints").glob("*"))
        return
    assert project.finish(run_id, project.launcher.launch(run_id)).status is RunStatus.succeeded, project.log(run_id)
    assert "resuming from step" in project.log(run_id)
    assert verify_manifest(project.data_dir / "checkpoints" / run_id)
