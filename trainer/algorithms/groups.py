"""RLOO and GRPO through TRL: completions of one prompt are held against each other, no value network.

Ahmadian et al. 2024, "Back to Basics"; Shao et al. 2024, "DeepSeekMath". TRL's trainers compute advantages, loss and
updates; the equations, which tests hold them to, are in `trainer/losses/groups.py`. Ours are the prompts and their
order, the decoding, the rewards, and what the policy is held to: the initial model, also where an adapter is trained
further (docs/decisions/trl-rollouts.md).

A step samples `rollouts` completions and makes several updates of them. It is the smallest thing a run resumes from:
saves lie between steps only, and what a step samples follows from the seed and its number. Leaves out what goes before
TRL's trainers (`own_rollouts.py`) and what a reward is.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import set_seed
from trl.trainer.grpo_config import GRPOConfig as TRLGRPOConfig
from trl.trainer.rloo_config import RLOOConfig as TRLRLOOConfig

from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.appraisal import open_appraiser
from trainer.algorithms.callbacks import (
    TrainResult,
    finish_policy,
    finished_result,
    last_complete_save,
    numbers,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.online import fitting, held_to, open_own_looks, planned_steps
from trainer.algorithms.own_rollouts import GRPO, NAMES, RLOO, STATE, ByStep
from trainer.algorithms.rollouts import Roller, questions_of
from trainer.algorithms.start import open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen
from trainer.examples import Question
from trainer.online_config import GroupConfig, GRPOConfig, RLOOConfig
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.rewards.gold import Gold
from trainer.sampling import Sampling


def train(
    *,
    config: GroupConfig,
    examples: Sequence[Question],
    reward: Reward,
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    gold: Gold | None = None,
    reference_source: str | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on `examples` to please `reward`, and write the checkpoint `output`.

    Sources and `work` as in `pairs.train`. `gold`: rewards that are measured and not learnt from. Raises Stopped,
    InvariantViolated, GuardTripped, ValueError for no examples, CorruptCheckpoint.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no prompts to complete; import some first")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    set_seed(config.seed)
    model, tokenizer = trainable(start, config), start.base.tokenizer
    sampling = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    apart = config.adapter == "bottleneck" and config.kl > 0  # TRL can switch off PEFT's adapters only
    held = held_to(start, config, device, apart=apart)
    reference = None if held is None else ActorCritic(held.model)
    roller = Roller(ActorCritic(model), tokenizer, reference, sampling, config.batch_size, reporter.should_stop)
    questions = fitting(examples, roller, reporter)
    steps = planned_steps(config, len(questions))
    trainer = _open(config, model, tokenizer, _rows(questions, steps, config), work, steps)
    appraiser = open_appraiser(config, roller, questions, reward, gold, work, reporter, group=config.group_size)
    trainer.prepare(config, roller, questions, appraiser, held, starts_at_reference=start.is_reference)
    if (save := last_complete_save(work)) is not None:
        appraiser.restore(json.loads((save / STATE).read_text()))
    looks = open_own_looks(config, unseen, reward, start.base, model, work=work, reporter=reporter, each=config.updates)
    counts = run_trainer(trainer, ByStep(reporter, trainer), work, names=NAMES, looks=looks)
    steps = trainer.state.global_step // config.updates
    told = [numbers(entry, NAMES) for entry in trainer.state.log_history if "loss" in entry][-1]
    metrics = {name: value for name, value in told.items() if name not in ("epoch", "step")} | counts
    return finish_policy(trained_model(trainer), metrics, steps, start, config, work=work, output=output)


def _rows(questions: Sequence[Question], steps: int, config: GroupConfig) -> Dataset:
    """The prompts of the whole run in their order, with the numbers of their questions; TRL repeats each."""
    number = {id(question): place for place, question in enumerate(questions)}
    count = steps * config.rollouts // config.group_size
    asked = questions_of(questions, first=0, count=count, seed=config.seed)
    return Dataset.from_list([{"prompt": list(q.prompt), "number": number[id(q)]} for q in asked])


def _open(config: GroupConfig, model: Any, tokenizer: Any, rows: Dataset, work: Path, steps: int) -> Any:
    """The trainer of this config, its rewards asked of itself."""
    settings = trainer_settings(config, work, model.device) | {
        "num_train_epochs": 1,
        "max_steps": steps * config.updates,
        "save_steps": config.save_steps * config.updates,
        "logging_steps": config.updates,
        "gradient_checkpointing": False,
        "num_generations": config.group_size,
        "generation_batch_size": config.rollouts,
        "num_iterations": config.passes,
        "max_completion_length": config.max_new_tokens,
        "temperature": config.temperature,
        "epsilon": config.clip,
        "shuffle_dataset": False,
        "beta": 0.0,
    }
    holder: list[Any] = []

    def worth_of(**given: Any) -> list[float | None]:
        return holder[0].worth_of(**given)

    common = {"model": model, "reward_funcs": worth_of, "train_dataset": rows, "processing_class": tokenizer}
    match config:
        case RLOOConfig():
            rloo = TRLRLOOConfig(**settings, normalize_advantages=config.normalise_advantages)
            holder.append(RLOO(args=rloo, **common))
        case GRPOConfig():
            grpo = TRLGRPOConfig(
                **settings,
                loss_type=config.loss_type,
                scale_rewards=config.scale,
                importance_sampling_level=config.level,
                epsilon_high=max(config.clip, config.clip_high),
            )
            holder.append(GRPO(args=grpo, **common))
        case _:
            raise TypeError(f"{type(config).__name__} is of no method that compares groups")
    return holder[0]
