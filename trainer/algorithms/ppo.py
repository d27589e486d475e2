"""Proximal policy optimisation of a language model against a reward.

A step samples completions of prompts, scores them, shapes the score into a reward per token (less the distance to the
reference, Ziegler et al. 2019), estimates advantages (GAE, Schulman et al. 2016), and makes several passes of clipped
updates (Schulman et al. 2017), each with the likelihood of chosen completions mixed in where wished (PTX, Ouyang et
al. 2022). Every few steps those may be imitated by themselves. A step is the smallest thing a run resumes from: what it
samples follows from the seed and its number. Leaves out the loop (`online.py`), the mathematics (`trainer/losses`),
sampling (`rollouts.py`), and what a reward is.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import set_seed

from trainer.adapters import counts_sentence, parameter_counts
from trainer.algorithms import together
from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.appraisal import open_appraiser
from trainer.algorithms.callbacks import TrainResult, finish_policy, finished_result
from trainer.algorithms.online import fitting, follow, open_own_looks, reference_of
from trainer.algorithms.ppo_step import PPO
from trainer.algorithms.rollouts import Roller
from trainer.algorithms.start import open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen
from trainer.examples import Demonstration, Question, encode, length_limit
from trainer.ppo_config import PPOConfig
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.rewards.gold import Gold
from trainer.sampling import Sampling


def train(
    *,
    config: PPOConfig,
    examples: Sequence[Question],
    reward: Reward,
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    demonstrations: Sequence[Demonstration] = (),
    gold: Gold | None = None,
    reference_source: str | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on `examples` to please `reward`, and write the checkpoint `output`.

    Sources and `work` as in `pairs.train`. `demonstrations` are what PTX and the imitation in between learn from.
    `gold`: rewards that are measured and not learnt from. Raises Stopped, InvariantViolated, GuardTripped, ValueError
    for no examples or missing demonstrations, CorruptCheckpoint.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no prompts to complete; import some first")
    if (config.ptx_weight or config.sft_every) and not demonstrations:
        raise ValueError("ptx_weight and sft_every need chosen completions to imitate; choose between some first")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    together.join(start.base.model.device)
    set_seed(config.seed)
    actor = ActorCritic(trainable(start, config))
    tokenizer = start.base.tokenizer
    limit = length_limit(start.base.model, config.max_length)
    shown = [encode(tokenizer, d.prompt, [d.completion], max_length=limit) for d in demonstrations]
    sampling = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    roller = Roller(
        actor, tokenizer, reference_of(start, config, device), sampling, config.batch_size, reporter.should_stop
    )
    asked = fitting(examples, roller, reporter)
    run = PPO(
        config,
        roller,
        open_appraiser(config, roller, asked, reward, gold, work, reporter),
        reporter,
        [(one.prompt, one.completions[0]) for one in shown],
        starts_at_reference=start.is_reference,
    )
    counts = parameter_counts(actor.model)
    reporter.log(counts_sentence(counts))
    looks = open_own_looks(config, unseen, reward, start.base, actor.model, work=work, reporter=reporter)
    metrics = follow(run, asked, work, reporter, looks) | counts
    return finish_policy(actor.model, metrics, run.steps, start, config, work=work, output=output)
