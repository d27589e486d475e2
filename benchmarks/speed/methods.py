"""Our other methods on the same pairs, with as many tokens a step as DPO: offline RL and PRO."""

from typing import Any

from speed.setting import ALPHA, EPOCHS, MAX_LENGTH, RANK, SEED, pairs
from speed.task import Losses, Task
from trainer.algorithms import offline_rl
from trainer.algorithms import pro as ranking
from trainer.base_config import AlgorithmConfig
from trainer.configs import ALoLConfig, PROConfig


def offline(task: Task) -> dict[str, Any]:
    """A-LoL; its steps take two completions where DPO's take a pair. It draws among the chosen ones."""
    batch = 2 * task.size.batch
    steps = EPOCHS * -(-task.size.pairs // task.size.batch)
    config = ALoLConfig(sampling="good_random", max_steps=steps, **_settings(task, batch) | {"epochs": 4 * EPOCHS})
    return _run(offline_rl.train, task, config)


def pro(task: Task) -> dict[str, Any]:
    """Every pair as a ranking of two."""
    return _run(ranking.train, task, PROConfig(**_settings(task, task.size.batch)))


def _settings(task: Task, batch: int) -> dict[str, Any]:
    return {
        "learning_rate": task.size.learning_rate,
        "epochs": EPOCHS,
        "batch_size": batch,
        "rank": RANK,
        "alpha": ALPHA,
        "max_length": MAX_LENGTH,
        "save_steps": 500,
        "seed": SEED,
        "threads": task.threads,
    }


def _run(train: Any, task: Task, config: AlgorithmConfig) -> dict[str, Any]:
    told = Losses()
    result = train(
        config=config,
        examples=pairs(task.size.pairs),
        policy_source=str(task.model),
        output=task.folder / "checkpoint",
        work=task.folder / "work",
        reporter=told,
        device="cpu",
    )
    return {"steps": result.steps, "losses": told.losses}
