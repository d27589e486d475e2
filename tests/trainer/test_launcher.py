"""Trainer processes by pid and start time: alive, told to stop, waited for; ours, adopted, or long gone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from trainer.__main__ import parse
from trainer.gate_options import GateOptions
from trainer.launcher import Launcher, TrainerProcess


def start(code: str) -> TrainerProcess:
    child = subprocess.Popen([sys.executable, "-c", code])
    return TrainerProcess(child.pid, psutil.Process(child.pid).create_time(), child)


@pytest.fixture
def sleeper() -> Iterator[TrainerProcess]:
    process = start("import time; time.sleep(60)")
    yield process
    assert process.child is not None
    process.child.kill()
    process.child.wait()


def adopted(process: TrainerProcess) -> TrainerProcess:
    return TrainerProcess(process.pid, process.started_at)


def test_a_process_is_alive_by_pid_and_start_time(sleeper: TrainerProcess) -> None:
    assert sleeper.alive() and adopted(sleeper).alive()
    assert not TrainerProcess(sleeper.pid, sleeper.started_at - 60).alive()


def test_after_the_clock_was_set_back_a_process_is_known_by_its_command_line(tmp_path: Path) -> None:
    mine = ["dpo-0001", f"--data-dir={tmp_path}"]
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *mine])
    told = psutil.Process(child.pid).create_time() + 3600  # what the system said of it before
    launcher = Launcher(tmp_path, "", "", "cpu", 8)
    try:
        assert launcher.adopt("dpo-0001", child.pid, told).alive()
        assert not launcher.adopt("dpo-0002", child.pid, told).alive()
        assert not launcher.adopt("dpo-0001", os.getpid(), told).alive()
    finally:
        child.kill()
        child.wait()
    assert not launcher.adopt("dpo-0001", child.pid, told).alive()


def test_a_zombie_is_not_alive() -> None:
    process = start("")
    deadline = time.monotonic() + 20
    while adopted(process).alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert not process.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="threads outlive the first one in this way on Linux only")
def test_a_child_whose_first_thread_ended_before_the_others_is_alive_until_its_status_is_known() -> None:
    others = "threading.Thread(target=lambda: (time.sleep(0.5), os._exit(3))).start()"
    process = start(f"import ctypes, os, threading, time; {others}; ctypes.CDLL(None).pthread_exit(None)")
    deadline = time.monotonic() + 20
    while process.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.how_it_ended() == "ended with status 3"


def test_a_process_told_to_stop_ends_and_says_how(sleeper: TrainerProcess) -> None:
    assert not sleeper.wait(timeout_s=0.05)
    sleeper.terminate()
    assert sleeper.wait(timeout_s=20)
    assert sleeper.how_it_ended() == "was killed by signal 15"


def test_telling_a_process_that_ends_just_then_to_stop_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    process = start("")
    assert process.wait(timeout_s=20)
    monkeypatch.setattr(TrainerProcess, "alive", lambda _: True)
    adopted(process).terminate()


def test_a_pid_that_another_process_has_by_now_is_not_waited_for() -> None:
    assert TrainerProcess(os.getpid(), started_at=0.0).wait(timeout_s=0.2)


def test_the_judges_key_goes_through_the_environment_and_not_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = tmp_path / "python"
    echo.write_text('#!/bin/sh\necho "$@"\necho "told: $PREFLOOP_JUDGE_KEY"\n')
    echo.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(echo))
    launcher = Launcher(tmp_path, "sqlite://", "starter", "cpu", 8, GateOptions(judge="starter", key="secret"))
    assert launcher.launch("dpo-0001").wait(timeout_s=20)
    command, said = (tmp_path / "runs" / "dpo-0001" / "log").read_text().splitlines()
    assert "secret" not in command and '"judge": "starter"' in command and said == "told: secret"


def test_the_rewards_that_the_operator_allows_reach_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = tmp_path / "python"
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    echo.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(echo))
    launcher = Launcher(tmp_path, "sqlite://", "starter", "cpu", 8, reward_functions=("my.rewards:a", "my.rewards:b"))
    assert launcher.launch("ppo-0001").wait(timeout_s=20)
    _, _, *arguments = (tmp_path / "runs" / "ppo-0001" / "log").read_text().splitlines()
    assert parse(arguments).reward_function == ["my.rewards:a", "my.rewards:b"]
