"""What goes before TRL's RLOO and GRPO trainers: our prompts, decoding, rewards and saves, and what must hold of a run.

Decoding is the app's own, over twice as fast on a CPU as `generate`, with a seed for each completion. TRL keeps the
completions of a step in memory over its updates, so a run stops and saves between steps only. Leaves out the run
(`groups.py`) and the mathematics, which is TRL's.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer
from trl.trainer.utils import add_fused_lm_head

from trainer.algorithms.appraisal import Appraiser
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.guarding import seen
from trainer.algorithms.reference import allowed_difference
from trainer.algorithms.rollouts import Roller, seeds_of
from trainer.examples import Question
from trainer.generation import complete
from trainer.guard_results import Sample
from trainer.losses.token_rewards import penalise_missing_end
from trainer.online_config import GroupConfig
from trainer.policy import Policy
from trainer.reporter import Reporter, Stopped

STATE = "appraiser.json"
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

    model: Any
    args: Any
    state: Any
    accelerator: Any
    _metrics: Any
    _step: int
    gives_logprobs = False  # whether `_generate_single_turn` also gives log-probabilities, or None for them

    def prepare(
        self,
        config: GroupConfig,
        roller: Roller,
        questions: Sequence[Question],
        appraiser: Appraiser,
        held: Policy | None,
        *,
        starts_at_reference: bool,
    ) -> None:
        """What TRL's constructor has no argument for. `held` None is the base under the adapter."""
        self.config, self.roller, self.questions, self.appraiser = config, roller, questions, appraiser
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
        first = self.rolled * self.config.rollouts + self.accelerator.process_index * len(prompt_ids)
        seeds = seeds_of(first=first, count=len(prompt_ids), seed=self.config.seed)
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
        """TRL's reward function: of the completions just made. Raises GuardTripped, Stopped."""
        mine = self.roller.scored([self.questions[n] for n in number], self.made)
        # rewards' statistics and guards are of all processes
        asked: list[int] = gather_object(number)
        rollouts: list[tuple[str, Sample]] = gather_object(seen(mine))
        samples = [sample for _, sample in rollouts]
        ended = torch.tensor([not sample.hit_limit for sample in samples])
        texts = [sample.text for sample in samples]
        found, told = self.appraiser.worth([self.questions[n] for n in asked], texts, ended)
        known = torch.tensor([float("nan") if one is None else one for one in found])
        marked = penalise_missing_end(known, ended, penalty=self.config.missing_end_penalty, mode="subtract")
        told |= {
            "objective/kl": sum(sample.logprob - sample.initial_logprob for sample in samples) / len(samples),
            "val/ended": float(ended.float().mean()),
        }
        scores = {"objective/scores": float(marked.nanmean())}  # TRL tells it, too
        told |= self.appraiser.look(self.rolled + 1, rollouts, told | scores)
        for name, value in told.items():
            log_metric(name, value)
        begin = self.accelerator.process_index * len(number)
        return [None if one != one else one for one in marked.tolist()[begin : begin + len(number)]]

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
        if self.accelerator.is_main_process:
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            (folder / STATE).write_text(json.dumps(self.appraiser.state()))


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
