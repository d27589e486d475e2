"""Our PPO, rewarded by a classifier of the model's own shape.

At the start of a run 128 completions of the initial model are sampled for the live guards, which TRL has none of. A run
of thousands of episodes does not notice; here they would be most of the time, so it is told apart.
"""

from typing import Any

from speed.setting import ALPHA, MAX_LENGTH, PPO_BATCH, PPO_EPOCHS, RANK, SEED, TEMPERATURE, asked
from speed.task import Losses, Task, classifier
from trainer.algorithms import ppo as algorithm
from trainer.algorithms import reward_scores  # noqa: F401  what the reward imports late belongs to the imports
from trainer.examples import Question
from trainer.policy import RewardModel, load_tokenizer
from trainer.ppo_config import PPOConfig
from trainer.rewards.reward_model import RewardModelReward


def ppo(task: Task) -> dict[str, Any]:
    tokenizer = load_tokenizer(task.model)
    judge = RewardModel(classifier(task.model), tokenizer, "")
    told, size = Losses(), task.size
    batch = min(PPO_BATCH, size.rollouts)
    result = algorithm.train(
        config=PPOConfig(
            epochs=1,
            rollouts=size.rollouts,
            max_new_tokens=size.new_tokens,
            batch_size=batch,
            gradient_accumulation=size.rollouts // batch,
            ppo_epochs=PPO_EPOCHS,
            temperature=TEMPERATURE,
            rank=RANK,
            alpha=ALPHA,
            max_length=MAX_LENGTH,
            save_steps=500,
            seed=SEED,
            threads=task.threads,
        ),
        examples=[Question(prompt) for prompt in asked(size.episodes)],
        reward=RewardModelReward(judge, form="score", max_length=MAX_LENGTH, batch_size=batch),
        policy_source=str(task.model),
        output=task.folder / "checkpoint",
        work=task.folder / "work",
        reporter=told,
        device="cpu",
    )
    apart = next((took for stage, took in told.stages.items() if "guards" in stage), (0.0, 0.0))
    return {"steps": result.steps * size.rollouts, "apart_seconds": apart[0], "apart_processor_seconds": apart[1]}
