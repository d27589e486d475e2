"""The command line answers a wrong call in one line that names what was wrong, and leaves nothing behind."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app import cli
from storage.checkpoints import record_project
from storage.database import Database

Refuse = Callable[..., str]


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Refuse:
    """refuse("export", ...) is the one line that call ends with."""
    monkeypatch.setenv("PREFLOOP_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["prefloop", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capfd.readouterr().err.strip()
        assert end.value.code == 1, told
        assert told and "\n" not in told, told
        return told

    return run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "--port", "99999"], "port"),
        (["serve", "--host", "0.0.0.0"], "PREFLOOP_TOKEN"),
        (["serve", "--model", "/no/such/folder"], "/no/such/folder"),
        (["train", "magic"], "no algorithm 'magic'"),
        (["train", "dpo", "--set", "beta"], "field=value"),
        (["train", "dpo", "--set", "[beta]"], "'[beta]'"),
        (["train", "dpo", "--set", "beta=-1"], "beta"),
        (["evaluate", "dpo-9999"], "no project"),
        (["import", __file__, "--format", "csv"], "'csv'"),
        (["import", __file__, "--format", "trl", "--split", "some"], "no split 'some'"),
        (["simulate", "--rule", "nonsense"], "nonsense"),
        (["simulate", "--rule", "exclaims", "--url", "nonsense"], "nonsense"),
        (["simulate", "--rule", "exclaims", "--url", "http://["], "Nothing answers"),
        (["checkpoints"], "no project"),
        (["checkpoints", "export", "dpo-0001", "out"], "no project"),
        (["export", "--format", "trl", "--output", "out.jsonl"], "no project"),
    ],
)
def test_a_wrong_call_is_answered_in_one_line(refuse: Refuse, arguments: list[str], told: str) -> None:
    assert told in refuse(*arguments)


def test_a_setting_of_the_environment_that_cannot_be_used_is_named(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFLOOP_GATE_PROMPTS", "many")
    assert "PREFLOOP_GATE_PROMPTS" in refuse("checkpoints")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    database = Database.in_directory(tmp_path / "data")
    database.migrate()
    with database.write() as session:
        record_project(session, initial_model="m", name="m", digest="d")
    database.close()
    return tmp_path


def test_an_export_that_is_refused_leaves_no_file(refuse: Refuse, project: Path) -> None:
    assert "'csv'" in refuse("export", "--format", "csv", "--output", str(project / "out"))
    assert {path.name for path in project.iterdir()} == {"data"}


def test_an_export_to_a_folder_that_is_not_there_is_refused(refuse: Refuse, project: Path) -> None:
    assert "nowhere" in refuse("export", "--format", "trl", "--output", str(project / "nowhere" / "out"))


def test_a_port_that_is_taken_is_told_before_the_project_is_touched(refuse: Refuse, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"port {port}: Address already in use" in refuse("serve", "--port", port)
    assert not (tmp_path / "data").exists()
