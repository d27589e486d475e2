"""Around every algorithm: which save counts, what an epoch's metrics are, whose result is given again."""

from pathlib import Path

import pytest
import torch
from recorder import Recorder
from transformers import TrainerState, TrainingArguments

from trainer import algorithms
from trainer.algorithms.callbacks import (
    COMPLETE,
    InvariantViolated,
    ReportingCallback,
    finished_result,
    last_complete_save,
    last_epoch,
    remember_result,
    trainer_settings,
)
from trainer.base_config import InvalidConfig
from trainer.configs import ALGORITHMS, parse_config


def save(work, step: int, *, complete: bool):
    folder = work / f"checkpoint-{step}"
    folder.mkdir()
    if complete:
        (folder / COMPLETE).touch()
    return folder


def test_the_newest_complete_save_is_taken_and_half_written_ones_removed(tmp_path):
    save(tmp_path, 9, complete=True)
    newest = save(tmp_path, 10, complete=True)
    half = save(tmp_path, 11, complete=False)
    assert last_complete_save(tmp_path) == newest
    assert not half.exists()


def test_without_a_complete_save_a_run_begins_anew(tmp_path):
    save(tmp_path, 5, complete=False)
    assert last_complete_save(tmp_path) is None


def test_metrics_are_means_over_the_last_epoch():
    history = [
        {"loss": 9.0, "accuracy": 0.0, "epoch": 0.5, "step": 1},
        {"loss": 7.0, "accuracy": 0.0, "epoch": 1.0, "step": 2},
        {"loss": 3.0, "accuracy": 0.5, "epoch": 1.5, "step": 3},
        {"loss": 1.0, "accuracy": 1.0, "epoch": 2.0, "step": 4},
        {"train_runtime": 3.0, "epoch": 2.0, "step": 4},
    ]
    assert last_epoch(history, {"accuracy": "rewards/accuracies"}) == {"loss": 2.0, "rewards/accuracies": 0.75}


def test_a_result_without_its_checkpoint_is_not_a_result(tmp_path):
    remember_result(tmp_path, {"loss": 1.0}, 3)
    assert finished_result(tmp_path, tmp_path / "dpo-0001") is None


def test_every_algorithm_with_a_config_can_be_started_by_name():
    for name in ALGORITHMS:
        with pytest.raises(TypeError, match="missing"):
            algorithms.train(name)
    with pytest.raises(InvalidConfig, match="'ppoo' is not known"):
        algorithms.train("ppoo")


def settings(**values: float) -> dict:
    return trainer_settings(parse_config("dpo", values), Path("work"), torch.device("cpu"))


def test_a_warm_up_over_all_steps_reaches_the_peak_at_the_last() -> None:
    arguments = TrainingArguments(**settings(warmup_share=1.0))
    assert arguments.get_warmup_steps(200) == 200
    assert TrainingArguments(**settings(warmup_share=0.25)).get_warmup_steps(200) == 50
    assert TrainingArguments(**settings(warmup_share=0.0)).get_warmup_steps(200) == 0


@pytest.mark.parametrize("broken", [{"loss": float("nan"), "grad_norm": 1.0}, {"loss": 0.7, "grad_norm": float("nan")}])
def test_a_loss_or_gradient_that_is_not_a_number_stops_the_run(broken: dict[str, float]) -> None:
    recorder = Recorder()
    state = TrainerState(global_step=3, max_steps=10)
    with pytest.raises(InvariantViolated, match="nan at step 3"):
        ReportingCallback(recorder).on_log(None, state, None, logs=broken)
    assert recorder.steps == []
