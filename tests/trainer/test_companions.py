"""Processes that train a run with its owner: who starts them, what they are told, and that they end with it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import project as project_module
import psutil
import pytest
from project import TrainingProject

from storage.tables import RunStatus
from trainer import companions
from trainer.__main__ import parse
from trainer.companions import start_companions
from trainer.launcher import Launcher

OWNER = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
    '\'from trainer.companions import die_with_owner; die_with_owner(); print("ready", flush=True); '
    "import time; time.sleep(120)']); print(child.pid, flush=True); child.wait()"
)


@pytest.fixture
def started(monkeypatch):
    """Commands and environments of the companions that would be started; this process's environment is put back."""
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    seen = []
    monkeypatch.setattr(companions.subprocess, "Popen", lambda command, env, **_: seen.append((command, env)))
    return seen


def test_each_companion_has_a_place_of_its_own_and_one_meeting_point(started):
    start_companions(3, ["dpo-0001", "--device=cpu"])
    places = [env["RANK"] for _, env in started]
    assert places == ["1", "2"] and os.environ["RANK"] == "0"
    assert all(command[1:] == ["-m", "trainer", "dpo-0001", "--device=cpu"] for command, _ in started)
    for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        assert {env[name] for _, env in started} == {os.environ[name]}
    assert os.environ["WORLD_SIZE"] == "3"


def test_one_process_has_no_companions(started):
    assert start_companions(1, ["dpo-0001"]) == [] == started
    assert "WORLD_SIZE" not in os.environ


def test_under_another_launcher_none_are_started(started, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert start_companions(2, ["dpo-0001"]) == [] == started


def test_the_launcher_says_how_many_processes_train(tmp_path, monkeypatch):
    said = []

    def look(_, module, further, folder):
        said.extend([*module[1:], *further])

    monkeypatch.setattr(Launcher, "_start", look)
    Launcher(tmp_path, "sqlite://", "model", "cpu", 8, processes=2).launch("dpo-0001")
    needed = [f"--data-dir={tmp_path}", "--database-url=sqlite://", "--model-source=model"]
    assert parse([*said, *needed]).processes == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise to kill a child with its parent is Linux's")
def test_a_companion_ends_when_its_owner_is_killed():
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    companion = psutil.Process(int(owner.stdout.readline()))
    assert owner.stdout.readline() == "ready\n"
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    try:
        companion.wait(timeout=20)
    except psutil.TimeoutExpired:
        companion.kill()
        raise


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_of_two_processes_ends_as_that_of_one_does(tmp_path: Path, tiny_model_dir: Path, monkeypatch) -> None:
    monkeypatch.setattr(project_module, "PATIENCE_S", 1200)  # twice the processes on the same cores
    config = {"target_margin": 0, "max_steps": 4, "batch_size": 8, "max_length": 128}
    losses = {}
    for count in (1, 2):
        project = TrainingProject.make(tmp_path / f"{count}", tiny_model_dir)
        project.launcher = replace(project.launcher, processes=count)
        run_id = project.queue(**config)
        process = project.launcher.launch(run_id)
        helping = psutil.Process(process.pid)
        assert project.finish(run_id, process).status is RunStatus.succeeded, project.log(run_id)
        assert not (helping.is_running() and helping.children())
        losses[count] = project.losses(run_id)
    assert losses[1].keys() == losses[2].keys() == {1, 2, 3, 4}
    assert losses[2] == pytest.approx(losses[1], abs=1e-3)
