"""RLOO and GRPO through TRL: completions of one prompt are held against each other, no value network.

Ahmadian et al. 2024, "Back to Basics"; Shao et al. 2024, "DeepSeekMath". TRL's trainers compute advantages, loss and
updates; the equations, which tests hold them to, are in `trainer/losses/groups.py`. Ours are the prompts and their
order, the decoding (as the app serves, over twice as fast on a CPU as `generate`, see docs/decisions/trl-rollouts.md),
the rewards, and what the policy is held to: the initial model, also where an adapter is trained further.

A step samples `rollouts` completions and makes several updates of them. It is the smallest thing a run resumes from:
saves lie between steps only, and what a step samples follows from the seed and its number. Leaves out what a reward is.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import set_seed
from trl.trainer.grpo_config import GRPOConfig as TRLGRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig as TRLRLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer
from trl.trainer.utils import add_fused_lm_head

from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.callbacks import (
    InvariantViolated,
    TrainResult,
    finished_result,
    last_complete_save,
    numbers,
    remember_result,
    run_trainer,
    trainer_settings,
)
from trainer.algorithms.online import fitting, held_to, planned_steps, worth
from trainer.algorithms.reference import allowed_difference
from trainer.algorithms.rollouts import Roller, questions_of, seeds_of
from trainer.algorithms.start import open_start, trainable
from trainer.examples import Question
from trainer.generation import complete
from trainer.losses.token_rewards import penalise_missing_end
from trainer.manifest import verify_manifest
from trainer.online_config import GroupConfig, GRPOConfig, RLOOConfig
from trainer.policy import Policy, save_checkpoint
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.rewards.composition import Composition
from trainer.sampling import Sampling

STATISTICS = "rewards.json"
NAMES = {  # TRL's metrics under the names that PPO's have
    "reward": "objective/scores",
    "reward_std": "objective/scores_std",
    "kl": "objective/kl_per_token",
    "frac_reward_zero_std": "groups/equal",
    "entropy": "policy/entropy_avg",
    "clip_ratio/region_mean": "policy/clipfrac_avg",
    "completions/mean_length": "tokens/length",
    "learning_rate": "lr",
}
UNTOLD = ("rewards/worth_of/mean", "rewards/worth_of/std")  # what `reward` is already


class OwnRollouts:
    """Goes before a TRL trainer: our prompts, decoding and rewards in place of TRL's, and what must hold of a run."""

    gives_logprobs = False  # whether `_generate_single_turn` also gives log-probabilities, or None for them

    def prepare(
        self,
        config: GroupConfig,
        roller: Roller,
        questions: Sequence[Question],
        reward: Reward,
        held: Policy | None,
        *,
        starts_at_reference: bool,
    ) -> None:
        """What TRL's constructor has no argument for. `held` None is the base under the adapter."""
        self.config, self.roller, self.questions, self.worth = config, roller, questions, reward
        self.starts_at_reference = starts_at_reference
        self.beta = config.kl  # not given to the constructor, which would load a reference of its own
        self.ref_model = None
        if held is not None and config.kl:
            add_fused_lm_head(held.model, temperature=config.temperature)
            self.ref_model = held.model.requires_grad_(False)
        below: Any = self.accelerator.unwrap_model(self.model)
        if "ref" in getattr(below, "peft_config", {}):
            below.delete_adapter("ref")  # TRL's copy of the adapter; ours are held to the model under it

    @property
    def rolled(self) -> int:
        """Steps that are complete: batches of rollouts that all updates have been made on."""
        return int(self.state.global_step) // self.config.updates

    @property
    def between_steps(self) -> bool:
        return int(self.state.global_step) % self.config.updates == 0

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.roller.fitted(Question(messages)) for messages in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *more: Any) -> Any:
        policy = Policy(self.accelerator.unwrap_model(self.model), self.roller.tokenizer, "")
        seeds = seeds_of(first=self.rolled * self.config.rollouts, count=len(prompt_ids), seed=self.config.seed)
        self.made = complete(
            policy,
            prompt_ids,
            sampling=self.roller.sampling,
            seeds=seeds,
            batch_size=self.config.rollouts,
            should_stop=self.roller.should_stop,
        )
        if self.roller.should_stop():
            raise Stopped("stopped while completions were sampled; the run can be resumed")
        torch.manual_seed(seeds[0])  # TRL shuffles them by the global generator
        ids = [list(made.token_ids) for made in self.made]
        return (ids, None) if self.gives_logprobs else ids

    def worth_of(self, *, number: list[int], log_metric: Any, **unused: Any) -> list[float | None]:
        """TRL's reward function: of the completions just made."""
        ended = torch.tensor([made.finish_reason == "stop" for made in self.made])
        found, told = worth(self.worth, [self.questions[n] for n in number], [made.text for made in self.made], ended)
        for name, value in told.items():
            log_metric(name, value)
        log_metric("val/ended", float(ended.float().mean()))
        known = torch.tensor([float("nan") if one is None else one for one in found])
        marked = penalise_missing_end(known, ended, penalty=self.config.missing_end_penalty, mode="subtract")
        return [None if one != one else one for one in marked.tolist()]

    def training_step(self, *given: Any, **named: Any) -> Any:
        if not self.between_steps and self.roller.should_stop():
            raise Stopped("stopped between updates; the run can be resumed")
        return super().training_step(*given, **named)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(self, *given: Any, **named: Any) -> Any:
        found = super()._get_per_token_logps_and_entropies(*given, **named)  # type: ignore[misc]
        self.newest = found[0].detach()
        return found

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
        if self._step % self.args.steps_per_generation == 0 and self.between_steps:
            self._check_ratio(inputs)
            if self.rolled == 0 and self.starts_at_reference and self.beta:
                self._check_start()
        return loss

    def _check_ratio(self, inputs: dict[str, Tensor]) -> None:
        mask = inputs["completion_mask"]
        old, new = inputs.get("old_logps"), (self.newest * mask).sum(dim=-1)
        if old is None:
            by_token = inputs.get("old_per_token_logps")
            old = new if by_token is None else (by_token * mask).sum(dim=-1)
        apart = float((new - old).abs().max())
        if not apart <= allowed_difference(self.model, float(old.abs().max())):
            raise InvariantViolated(
                "before its first update a policy must be the one that sampled; the log-probability of a completion "
                f"differs by {apart:.5f} nats"
            )

    def _check_start(self) -> None:
        found = max(map(abs, self._metrics["train"]["kl"]))
        if not found <= allowed_difference(self.model, 0.0):
            raise InvariantViolated(
                f"the run starts at its reference, so its first distance must be 0; it is {found:.5f} nats per token"
            )

    def log(self, *given: Any, **named: Any) -> None:
        for name in UNTOLD:
            self._metrics["train"].pop(name, None)
        super().log(*given, **named)  # type: ignore[misc]

    def _save_checkpoint(self, *given: Any, **named: Any) -> None:
        super()._save_checkpoint(*given, **named)  # type: ignore[misc]
        if isinstance(self.worth, Composition):
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            (folder / STATISTICS).write_text(json.dumps(self.worth.state()))


class RLOO(OwnRollouts, RLOOTrainer):  # type: ignore[misc]
    """TRL's RLOO on our rollouts."""


class GRPO(OwnRollouts, GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO on our rollouts."""

    gives_logprobs = True


class ByStep:
    """A reporter that counts steps where TRL counts updates, and stops TRL's loop between steps only."""

    def __init__(self, reporter: Reporter, trainer: OwnRollouts) -> None:
        self._reporter, self._trainer = reporter, trainer

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        updates = self._trainer.config.updates
        self._reporter.step(step // updates, total // updates, metrics)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        self._reporter.stage(stage, step, total)

    def log(self, line: str) -> None:
        self._reporter.log(line)

    def should_stop(self) -> bool:
        return self._trainer.between_steps and self._reporter.should_stop()


def train(
    *,
    config: GroupConfig,
    examples: Sequence[Question],
    reward: Reward,
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    reference_source: str | None = None,
    initial_source: str | None = None,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on `examples` to please `reward`, and write the checkpoint `output`.

    Sources and `work` as in `pairs.train`. Raises Stopped, InvariantViolated, ValueError for no examples,
    CorruptCheckpoint.
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
    roller = Roller(ActorCritic(model), tokenizer, None, sampling, config.batch_size, reporter.should_stop)
    questions = fitting(examples, roller, reporter)
    steps = planned_steps(config, len(questions))
    trainer = _open(config, model, tokenizer, _rows(questions, steps, config), work, steps)
    held = held_to(start, config, device)
    trainer.prepare(config, roller, questions, reward, held, starts_at_reference=start.is_reference)
    if (save := last_complete_save(work)) is not None and isinstance(reward, Composition):
        reward.restore(json.loads((save / STATISTICS).read_text()))
    run_trainer(trainer, ByStep(reporter, trainer), work, names=NAMES)
    told = [numbers(entry, NAMES) for entry in trainer.state.log_history if "loss" in entry][-1]
    metrics = {name: value for name, value in told.items() if name not in ("epoch", "step")}
    remember_result(work, metrics, steps)
    save_checkpoint(
        output,
        model=trainer.accelerator.unwrap_model(trainer.model),
        tokenizer=tokenizer,
        kind="adapter" if config.adapter == "lora" else "full",
        base=start.base_source,
        base_digest=start.base.digest,
    )
    return TrainResult(verify_manifest(output), metrics, steps)


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
            arguments = TRLRLOOConfig(**settings, normalize_advantages=config.normalise_advantages)
            holder.append(RLOO(args=arguments, **common))
        case GRPOConfig():
            arguments = TRLGRPOConfig(
                **settings,
                loss_type=config.loss_type,
                scale_rewards=config.scale,
                importance_sampling_level=config.level,
                epsilon_high=max(config.clip, config.clip_high),
            )
            holder.append(GRPO(args=arguments, **common))
        case _:
            raise TypeError(f"{type(config).__name__} is of no method that compares groups")
    return holder[0]
