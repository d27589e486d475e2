"""Saves of runs that have a loop of their own: one file a save, complete or absent, the two newest kept."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from trainer.algorithms.callbacks import COMPLETE, last_complete_save

STATE = "state.pt"


def save_state(work: Path, step: int, state: dict[str, Any]) -> None:
    """Write tensors and plain values as the save of `step`; it counts once the mark is there."""
    folder = work / f"checkpoint-{step}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / STATE).open("wb") as file:
        torch.save(state, file)
        os.fsync(file.fileno())
    with (folder / COMPLETE).open("w") as file:
        os.fsync(file.fileno())
    for older in sorted(work.glob("checkpoint-*"), key=lambda one: int(one.name.rpartition("-")[2]))[:-2]:
        shutil.rmtree(older)


def load_state(work: Path) -> dict[str, Any] | None:
    """The newest complete save, on the CPU; None without any. Nothing in it is run: tensors and plain values only."""
    save = last_complete_save(work)
    if save is None:
        return None
    state: dict[str, Any] = torch.load(save / STATE, map_location="cpu", weights_only=True)
    return state
