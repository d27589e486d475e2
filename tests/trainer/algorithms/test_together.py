"""Two processes learn what one does, and only one of them speaks and writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import two_processes

from trainer.algorithms import together

NEAR = 1e-3  # nats and gradients in float32, added up in another order
SUPPORT = Path(two_processes.__file__).parent


@pytest.fixture(scope="module")
def one(tiny_model_dir, tmp_path_factory):
    return two_processes.traces(str(tiny_model_dir), tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def two(tiny_model_dir, tmp_path_factory):
    """The folder of a run of two processes under `accelerate launch`."""
    folder = tmp_path_factory.mktemp("two")
    # with --cpu it starts one process, whatever their number is; without a GPU what it starts speaks gloo
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    done = subprocess.run(
        [*launch, str(SUPPORT / "two_processes.py"), str(tiny_model_dir), str(folder)],
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", two_processes.RUNS)
def test_two_processes_learn_what_one_does(one, two, name):
    told = json.loads((two / "told-0.json").read_text())[name]
    assert len(told) == len(one[name]) > 2
    for step, alone in zip(told, one[name], strict=True):
        assert step.keys() == alone.keys()
        for metric in ("loss", "grad_norm", "rewards/margins", "objective/kl", "policy/approxkl_avg", "val/ratio"):
            if metric in alone:
                assert step[metric] == pytest.approx(alone[metric], rel=NEAR, abs=NEAR), metric


@pytest.mark.slow
def test_only_the_first_of_them_speaks_and_writes(two):
    silent = json.loads((two / "told-1.json").read_text())
    assert silent == {name: [] for name in two_processes.RUNS}
    for name in two_processes.RUNS:
        assert (two / name / "run-0001" / "manifest.json").is_file()


def test_with_one_process_nothing_is_shared():
    assert together.dealt([3, 1, 2]) == together.collected([3, 1, 2]) == [3, 1, 2]
    assert together.added([0.5, 2.0]) == [0.5, 2.0]
    assert together.agreed(True) and not together.agreed(False)


def test_shares_are_put_together_in_the_order_they_were_dealt(monkeypatch):
    items, shares = list("abcdefg"), {}
    monkeypatch.setattr(together, "count", lambda: 3)
    for number in range(3):
        monkeypatch.setattr(together, "rank", lambda number=number: number)
        shares[number] = together.dealt(items)
    assert sorted(map(len, shares.values())) == [2, 2, 3]
    monkeypatch.setattr(together, "_several", lambda: True)
    monkeypatch.setattr(
        together.dist, "all_gather_object", lambda found, _: found.__setitem__(slice(None), list(shares.values()))
    )
    assert together.collected(shares[0]) == items
