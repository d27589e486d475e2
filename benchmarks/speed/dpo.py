"""Our DPO, with the paper's loss alone and no early end, as TRL has it."""

from typing import Any

from speed.setting import ALPHA, BETA, EPOCHS, MAX_LENGTH, RANK, SEED, pairs
from speed.task import Losses, Task
from trainer.algorithms import pairs as algorithm
from trainer.configs import DPOConfig


def config(task: Task, **changes: Any) -> DPOConfig:
    settings: dict[str, Any] = {
        "learning_rate": task.size.learning_rate,
        "epochs": EPOCHS,
        "batch_size": task.size.batch,
        "beta": BETA,
        "loss_type": "sigmoid",
        "loss_weights": "1",
        "target_margin": 0.0,
        "rank": RANK,
        "alpha": ALPHA,
        "max_length": MAX_LENGTH,
        "save_steps": 500,
        "seed": SEED,
        "threads": task.threads,
    }
    return DPOConfig(**(settings | changes))


def dpo(task: Task, **changes: Any) -> dict[str, Any]:
    told = Losses()
    result = algorithm.train(
        config=config(task, **changes),
        examples=pairs(task.size.pairs),
        policy_source=str(task.model),
        output=task.folder / "checkpoint",
        work=task.folder / "work",
        reporter=told,
        device="cpu",
    )
    return {"steps": result.steps, "losses": told.losses}
