"""What every algorithm shares around its loss: reporting, stopping, saving to resume from, and the result.

`train` of each algorithm file takes a Reporter and returns a TrainResult. One TrainerCallback stands between
the library's Trainer and the Reporter. A save counts only once it carries the `complete` mark, which is put
there last, so a run that was killed while saving resumes from the save before. Leaves out what is learnt
(the algorithm files) and rows (`trainer/worker.py`).
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainerCallback

from trainer.adapters import counts_sentence, parameter_counts
from trainer.algorithms.division import divide, is_main
from trainer.algorithms.start import Start
from trainer.algorithms.together import agreed, wait
from trainer.algorithms.validation import LookingCallback, Validation
from trainer.base_config import AlgorithmConfig
from trainer.manifest import Kind, is_checkpoint, verify_manifest
from trainer.policy import save_checkpoint
from trainer.reporter import Reporter, Stopped

COMPLETE = "complete"


class InvariantViolated(RuntimeError):
    """What must hold of every run does not; the message has the numbers."""


@dataclass(frozen=True)
class TrainResult:
    """The digest of the checkpoint a run made, its metrics (means over the last epoch), its optimiser steps."""

    digest: str
    metrics: dict[str, float]
    steps: int


class ReportingCallback(TrainerCallback):
    """Reports each logged step, stops on request or at the target margin, and marks saves as complete.

    `target_margin` ends the run after an epoch whose mean `rewards/margins` exceeds it; 0 never does. `names`
    gives a library's metric the name it has here.
    """

    def __init__(
        self, reporter: Reporter, *, target_margin: float = 0.0, names: Mapping[str, str] | None = None
    ) -> None:
        self.reporter = reporter
        self.names = names or {}
        self.target_margin = target_margin
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if agreed(self.reporter.should_stop(), args.device):
            self.stopped = control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        metrics = numbers(logs or {}, self.names)
        if "loss" not in metrics:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise InvariantViolated(
                    f"the {name} is {metrics[name]} at step {state.global_step}; lower the learning rate"
                )
        if state.is_world_process_zero:
            self.reporter.step(state.global_step, state.max_steps, metrics)
        if self.target_margin > 0 and _ends_epoch(state):
            margin = last_epoch(state.log_history).get("rewards/margins", 0.0)
            if margin > self.target_margin and state.global_step < state.max_steps:
                self.reporter.log(
                    f"epoch {state.epoch:.0f} ended with a mean reward margin of {margin:.3f}, above the target of "
                    f"{self.target_margin:.3g}; training ends here"
                )
                control.should_training_stop = True
                control.should_save = False  # a run killed from here on must find this end again, not go past it

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            mark = Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE
            with mark.open("w") as file:
                os.fsync(file.fileno())


def numbers(logs: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, float]:
    """The numeric entries of a log record, under the names given."""
    return {
        (names or {}).get(name, name): float(value) for name, value in logs.items() if isinstance(value, int | float)
    }


def _ends_epoch(state: Any) -> bool:
    return bool(abs(state.epoch - round(state.epoch)) < 1e-6)


def last_epoch(log_history: list[dict[str, Any]], names: Mapping[str, str] | None = None) -> dict[str, float]:
    """The mean of every metric over the steps of the last epoch that was begun."""
    steps = [numbers(entry, names) for entry in log_history if "loss" in entry]
    if not steps:
        return {}
    last = math.ceil(steps[-1]["epoch"] - 1e-6)
    return _means([entry for entry in steps if math.ceil(entry["epoch"] - 1e-6) == last])


def last_steps(log_history: list[dict[str, Any]], count: int) -> dict[str, float]:
    """The mean of every metric over the last `count` steps, for runs whose epochs are no passes over the examples."""
    steps = [numbers(entry) for entry in log_history if "loss" in entry]
    return _means(steps[-count:]) if steps else {}


def _means(steps: list[dict[str, float]]) -> dict[str, float]:
    kept = [name for name in steps[-1] if name not in ("epoch", "step")]
    return {name: sum(entry[name] for entry in steps) / len(steps) for name in kept}


# ---------------------------------------------------------------------------------------------- settings


def trainer_settings(config: AlgorithmConfig, work: Path, device: torch.device, *, widest: int = 0) -> dict[str, Any]:
    """Arguments for transformers' TrainingArguments and TRL's configs, where defaults do not suit a run here.

    `widest` is the tokens of the longest example, where the loss does not depend on how a batch is divided.
    """
    cuda = device.type == "cuda"
    division = divide(config, widest=widest, on_cpu=device.type == "cpu")
    return {
        "output_dir": str(work),
        "learning_rate": config.learning_rate,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": division.rows,
        "gradient_accumulation_steps": division.passes,
        "warmup_steps": min(config.warmup_share, 1 - 1e-9),  # 1 would be one step; this rounds up to all of them
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": 2,
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "use_cpu": not cuda,
        "bf16": cuda,
        "dataloader_pin_memory": cuda,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


def run_trainer(
    trainer: Trainer,
    reporter: Reporter,
    work: Path,
    *,
    target_margin: float = 0.0,
    names: Mapping[str, str] | None = None,
    looks: Validation | None = None,
) -> dict[str, float]:
    """Train to the end, from the last complete save in `work` where there is one; the model is that of the last step,
    or of the best look where the settings keep that.

    How many parameters were trained, and what was seen at the step that is kept. Raises Stopped on request.
    """
    counts = parameter_counts(trainer.model)
    reporter.log(counts_sentence(counts))
    callback = ReportingCallback(reporter, target_margin=target_margin, names=names)
    trainer.remove_callback(PrinterCallback)
    if looks is not None:
        trainer.add_callback(LookingCallback(looks))  # before the report, which has what it found
    trainer.add_callback(callback)
    save = last_complete_save(work)
    if save is not None:
        reporter.log(f"resuming from step {save.name.removeprefix('checkpoint-')}")
    trainer.train(resume_from_checkpoint=None if save is None else str(save))
    if callback.stopped:
        raise Stopped(f"stopped on request after step {trainer.state.global_step}; the run can be resumed")
    if looks is None:
        return counts
    return counts | looks.close(trainer.state.global_step // looks.each, trained_model(trainer))


def last_complete_save(work: Path) -> Path | None:
    """The newest save in `work` that was finished; those that were not are removed."""
    saves = sorted(work.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
    complete = [folder for folder in saves if (folder / COMPLETE).is_file()]
    for folder in saves:
        if folder not in complete and is_main():
            shutil.rmtree(folder)
    return complete[-1] if complete else None


# ---------------------------------------------------------------------------------------------- the result


def finish(
    model: Any,
    metrics: dict[str, float],
    steps: int,
    *,
    work: Path,
    output: Path,
    tokenizer: PreTrainedTokenizerBase,
    kind: Kind,
    base: str,
    base_digest: str,
) -> TrainResult:
    """Write what was measured, then the checkpoint, in the main process; every process gets the result."""
    if is_main():
        remember_result(work, metrics, steps)
        save_checkpoint(output, model=model, tokenizer=tokenizer, kind=kind, base=base, base_digest=base_digest)
    wait()
    return TrainResult(verify_manifest(output), metrics, steps)


def finish_policy(
    model: Any,
    metrics: dict[str, float],
    steps: int,
    start: Start,
    config: AlgorithmConfig,
    *,
    work: Path,
    output: Path,
) -> TrainResult:
    """`finish` for a policy trained from `start`: an adapter on its base, or all weights."""
    return finish(
        model,
        metrics,
        steps,
        work=work,
        output=output,
        tokenizer=start.base.tokenizer,
        kind="full" if config.adapter == "full" else "adapter",
        base=start.base_source,
        base_digest=start.base.digest,
    )


def trained_model(trainer: Trainer) -> Any:
    """The model that the library's Trainer has trained, without what it put around it."""
    return trainer.accelerator.unwrap_model(trainer.model)


def remember_result(work: Path, metrics: dict[str, float], steps: int) -> None:
    """Write what a run measured beside its saves, before its checkpoint is written."""
    record = work / "result.json"
    partial = record.with_suffix(".tmp")
    partial.write_text(json.dumps({"metrics": metrics, "steps": steps}))
    partial.replace(record)


def finished_result(work: Path, output: Path) -> TrainResult | None:
    """The result of a run that was killed after its checkpoint was whole; None where there is still work."""
    record = work / "result.json"
    if not (is_checkpoint(output) and record.is_file()):
        return None
    return TrainResult(digest=verify_manifest(output), **json.loads(record.read_text()))
