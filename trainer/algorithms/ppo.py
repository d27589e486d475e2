"""Proximal policy optimisation of a language model against a reward.

A step samples completions of prompts, scores them, shapes the score into a reward per token (less the distance to the
reference, Ziegler et al. 2019), estimates advantages (GAE, Schulman et al. 2016), and makes several passes of clipped
updates (Schulman et al. 2017), each with the likelihood of chosen completions mixed in where wished (PTX, Ouyang et
al. 2022). Every few steps those may be imitated by themselves. A step is the smallest thing a run resumes from: what it
samples follows from the seed and its number. Leaves out the mathematics (`trainer/losses`), sampling (`rollouts.py`),
and what a reward is.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import set_seed

from trainer.adapters import counts_sentence, parameter_counts
from trainer.algorithms import together
from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.callbacks import TrainResult, finished_result, remember_result
from trainer.algorithms.division import is_main
from trainer.algorithms.guarding import open_guards
from trainer.algorithms.ppo_step import PPO
from trainer.algorithms.rollout_state import load_state, save_state
from trainer.algorithms.rollouts import Roller
from trainer.algorithms.start import Start, open_start, trainable
from trainer.examples import Demonstration, Question, encode, length_limit
from trainer.manifest import verify_manifest
from trainer.policy import load_policy, save_checkpoint
from trainer.ppo_config import PPOConfig
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.rewards.gold import Gold
from trainer.sampling import Sampling
from trainer.tensors import disable_dropout


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
        reward,
        reporter,
        [(one.prompt, one.completions[0]) for one in shown],
        open_guards(config, roller, asked, work, reporter, seed=config.seed),
        starts_at_reference=start.is_reference,
        gold=gold,
    )
    counts = parameter_counts(actor.model)
    reporter.log(counts_sentence(counts))
    metrics = follow(run, asked, work, reporter) | counts
    if is_main():
        remember_result(work, metrics, run.steps)
        save_checkpoint(
            output,
            model=actor.model,
            tokenizer=tokenizer,
            kind="full" if config.adapter == "full" else "adapter",
            base=start.base_source,
            base_digest=start.base.digest,
        )
    together.wait()
    return TrainResult(verify_manifest(output), metrics, run.steps)


def reference_of(start: Start, config: PPOConfig, device: str) -> ActorCritic | None:
    """What the policy is held to; None for the base under its adapter. Trained in full, the base is loaded again."""
    if start.reference is start.base and config.adapter != "full":
        return None
    held = load_policy(start.base_source, device=device) if start.reference is start.base else start.reference
    reference = ActorCritic(held.model)
    disable_dropout(reference)
    return reference


def fitting(questions: Sequence[Question], roller: Roller, reporter: Reporter) -> list[Question]:
    """Those that leave the model room for a completion. Raises ValueError where none does."""
    fitted = [question for question in questions if roller.fits(question)]
    if not fitted:
        raise ValueError(
            f"none of the {len(questions)} prompts leaves the model room for {roller.sampling.max_new_tokens} tokens; "
            "set max_new_tokens lower, or import shorter prompts"
        )
    if len(fitted) < len(questions):
        reporter.log(f"{len(questions) - len(fitted)} of {len(questions)} prompts are too long and were left out")
    return fitted


def follow(run: PPO, questions: Sequence[Question], work: Path, reporter: Reporter) -> dict[str, float]:
    """All steps of the run, from its last save on; the metrics of the last one. Raises like PPO.step."""
    config, total = run.config, planned_steps(run.config, len(questions))
    if (state := load_state(work)) is not None:
        run.restore(state)
        reporter.log(f"resuming from step {run.steps}")
    metrics: dict[str, float] = {} if state is None else state["metrics"]
    while run.steps < total:
        metrics = run.step(questions, rate=rate_of(config, run.steps, total))
        if is_main():
            reporter.step(run.steps, total, metrics)
        stopping = together.agreed(reporter.should_stop(), run.actor.model.device)
        if is_main() and (stopping or run.steps % config.save_steps == 0 or run.steps == total):
            save_state(work, run.steps, {**run.state(), "metrics": metrics})
        if stopping and run.steps < total:
            raise Stopped(f"stopped on request after step {run.steps}; the run can be resumed")
    return metrics


def planned_steps(config: PPOConfig, questions: int) -> int:
    """Rollout batches of the whole run: `epochs` passes over the questions, at most `max_steps`."""
    passes = -(-config.epochs * questions // config.rollouts)
    return min(passes, config.max_steps) if config.max_steps else passes


def rate_of(config: PPOConfig, step: int, total: int) -> float:
    """The learning rate of a step: up to its peak over `warmup_share` of the steps, then linear down to 0."""
    warm = max(1, round(config.warmup_share * total))
    return config.learning_rate * min((step + 1) / warm, (total - step) / max(1, total - warm + 1), 1.0)
