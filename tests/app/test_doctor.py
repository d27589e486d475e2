"""The doctor: nothing wrong on a fresh machine; each fault is found, named, and has a remedy."""

import socket
from pathlib import Path

import pytest

from app.doctor import Finding, examine
from app.project import bind_model, open_database
from app.settings import Settings
from storage.checkpoints import record_checkpoint
from storage.directory import take_directory
from storage.errors import Conflict
from storage.tables import Checkpoint, CheckpointKind


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(data_dir=tmp_path / "data", port=0, **given)  # type: ignore[arg-type]


def wrong(made: Settings) -> list[Finding]:
    return [one for one in examine(made) if one.state == "wrong"]


def begun(made: Settings, model: Path) -> None:
    database = open_database(made)
    bind_model(database, initial_model=str(model), model_source=str(model))
    database.close()


def test_nothing_is_wrong_before_the_first_start_and_after_it(tmp_path: Path, tiny_model_dir: Path) -> None:
    made = settings(tmp_path, model=str(tiny_model_dir))
    assert wrong(made) == []
    assert not (tmp_path / "data").exists()
    begun(made, tiny_model_dir)
    assert wrong(made) == []


def test_a_port_in_use_an_open_address_and_a_served_folder_are_found(tmp_path: Path, tiny_model_dir: Path) -> None:
    made = settings(tmp_path, model=str(tiny_model_dir))
    begun(made, tiny_model_dir)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = made.model_copy(update={"port": taken.getsockname()[1]})
        assert [one.check for one in wrong(busy)] == ["address"]
    assert "PREFLOOP_TOKEN" in wrong(made.model_copy(update={"host": "0.0.0.0"}))[0].remedy
    with take_directory(made.data_dir):
        assert [one.check for one in wrong(made)] == ["folder"]


def test_another_model_than_the_projects_is_found(
    tmp_path: Path, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = settings(tmp_path, model=str(tiny_model_dir))
    begun(made, tiny_model_dir)
    other = tmp_path_factory.mktemp("other")
    (other / "model.safetensors").write_bytes(b"other weights")
    assert [one.check for one in wrong(made.model_copy(update={"model": str(other)}))] == ["model"]


def test_a_checkpoint_whose_folder_is_gone_is_found(tmp_path: Path, tiny_model_dir: Path) -> None:
    made = settings(tmp_path, model=str(tiny_model_dir))
    begun(made, tiny_model_dir)
    lost = Checkpoint(id="dpo-0001", name="x", kind=CheckpointKind.adapter, source="checkpoints/dpo-0001", digest="d")
    with open_database(made).write() as session:
        record_checkpoint(session, checkpoint=lost, preference_ids=[])
    (found,) = wrong(made)
    assert found.check == "checkpoints" and "dpo-0001" in found.seen and "backup" in found.remedy


def test_a_damaged_database_is_found(tmp_path: Path, tiny_model_dir: Path) -> None:
    made = settings(tmp_path, model=str(tiny_model_dir))
    begun(made, tiny_model_dir)
    made.database_file.write_bytes(b"this is no database" * 1000)
    assert "database" in [one.check for one in wrong(made)]


def test_a_hub_id_is_not_fetched_and_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = {one.check: one for one in examine(settings(tmp_path, model="someone/some-model", device="cuda"))}
    assert found["model"].state == "worth knowing"
    import torch

    assert (found["device"].state == "wrong") is not torch.cuda.is_available()


def test_two_apps_cannot_serve_one_folder_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    made = settings(tmp_path)
    first = take_directory(made.data_dir)
    with pytest.raises(Conflict, match="Another app serves"):
        take_directory(made.data_dir)
    first.close()
    take_directory(made.data_dir).close()
