"""Offline reinforcement learning from stored completions: one weighted likelihood, eight names.

Baheti et al. 2023, "Leftover Lunch: Advantage-based Offline RL for Language Models". With L the log-probability of a
completion, summed over its tokens, and a weight that carries no gradient,

    loss = weight (-L)          weight = 1, R, or max(0, R - V_ref), times a bounded ratio e^(L - L_ref) or without it

mean over completions; the equations of nll, wbc, reward_gold, r_lol, a_lol and its variants are in
`trainer/losses/offline.py`. R is what a completion is worth, V_ref what the reference's own completion of the prompt
would be. Where choices are the reward, the chosen is worth 1, the rejected 0, and V_ref is one half: of two samples of
the reference either is chosen half of the time. Otherwise V_ref is fitted before the first step.

Leaves out: data, values and draws (`offline_data.py`), the reward (given by the caller), moving the reference to a
better checkpoint in the middle of a run (`offline_rounds.py`), rows (`trainer/worker.py`), generation, the gate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import TrainingArguments, set_seed

from trainer.algorithms.callbacks import (
    InvariantViolated,
    TrainResult,
    finish_policy,
    finished_result,
    last_steps,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.divided import DividedTrainer
from trainer.algorithms.offline_data import OfflineData, Scored, prepare, scored
from trainer.algorithms.reference import ReferenceStore, allowed_difference
from trainer.algorithms.start import open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.configs import OfflineConfig, RewardGoldConfig
from trainer.examples import Pair
from trainer.losses.offline import OfflineBatch, OfflineLoss, OfflineName, offline_loss
from trainer.offline_fields import PREFERENCES, Clipped, PushedDown, Rewarded
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.tensors import Rows, pad_rows, token_logprobs


class OfflineCollator:
    """A batch of B scored completions: their rows, `rewards` [B], and where the method needs them `values` [B] and the
    reference's log-probabilities, `reference` [B] or, beside its tokens, [B, T]."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[Scored]) -> dict[str, Any]:
        rows = pad_rows([(one.row.prompt, one.row.completion) for one in batch], pad_id=self.pad_id)
        made: dict[str, Any] = {**rows, "rewards": torch.tensor([one.reward for one in batch])}
        if batch[0].value is not None:
            made["values"] = torch.tensor([one.value for one in batch])
        if isinstance(batch[0].reference, list):
            made["reference"] = torch.zeros(rows["input_ids"].shape)
            made["reference"][rows["completion_mask"].bool()] = torch.tensor(
                [value for one in batch for value in cast(list[float], one.reference)]
            )
        elif batch[0].reference is not None:
            made["reference"] = torch.tensor([one.reference for one in batch])
        return made


class OfflineTrainer(DividedTrainer):
    """transformers' Trainer with an offline loss and its metrics; it takes its examples in the order they are given.

    With `starts_at_reference` the first batch must have ratios of 1, else InvariantViolated.
    """

    def __init__(self, *, config: OfflineConfig, starts_at_reference: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config
        self.settings = loss_settings(config)
        self.starts_at_reference = starts_at_reference

    def losses(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        rewards, values, reference = inputs["rewards"], inputs.get("values"), inputs.get("reference")
        logprobs, mask = token_logprobs(model, cast(Rows, inputs))
        if reference is not None and reference.dim() > 1:
            reference = reference[:, -logprobs.shape[1] :]
        batch = OfflineBatch(logprobs, mask, rewards, reference, values)
        result = offline_loss(cast(OfflineName, self.config.method), batch, **self.settings)
        if self.starts_at_reference and self.state.global_step == 0 and reference is not None:
            self._check_start(batch)
        self._record(batch, result)
        return result.losses

    def _check_start(self, batch: OfflineBatch) -> None:
        assert batch.reference_logprobs is not None
        policy = (batch.logprobs * batch.mask).detach()
        if batch.reference_logprobs.dim() == 1:
            policy = policy.sum(dim=-1)
        apart = float((policy - batch.reference_logprobs).abs().max())
        if not apart <= allowed_difference(self.model, float(policy.abs().max())):
            raise InvariantViolated(
                "the run starts at its reference, so every ratio must be 1 at first; "
                f"log-ratios are up to {apart:.4f} nats"
            )

    def _record(self, batch: OfflineBatch, result: OfflineLoss) -> None:
        tokens = batch.mask.sum(dim=-1).clamp(min=1)
        measured = {
            "logps/completions": (batch.logprobs * batch.mask).sum(dim=-1).detach(),
            "rewards/mean": batch.rewards,
            "weights/mean": result.weights.sum(dim=-1) / tokens,
            "advantages/mean": result.advantages,
            "logratios/mean": result.log_ratio,
            "pushes/guarded": result.guarded.float() if isinstance(self.config, PushedDown) else None,
        }
        self.note({name: values for name, values in measured.items() if values is not None})


def loss_settings(config: OfflineConfig) -> dict[str, Any]:
    """The config's settings under the names of `offline_loss`."""
    settings: dict[str, Any] = {"clip": config.ratio_clip if isinstance(config, Clipped) else None}
    if isinstance(config, PushedDown):
        settings |= {"kl_beta": config.kl_beta, "log_ratio_floor": config.log_ratio_floor}
    if isinstance(config, RewardGoldConfig):
        settings["gold_floor"] = config.gold_floor
    return settings


def train(
    *,
    config: OfflineConfig,
    examples: Sequence[Pair],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    reward: Reward | None = None,
    reference_source: str | None = None,
    reference_store: ReferenceStore | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on the completions of pairs and write the checkpoint `output`.

    `reward` says what completions are worth, from 0 up; without one people's choices do. Sources, saves and what is
    raised are those of the pair algorithms; ValueError too for a reward that cannot be a weight, and where no
    completion is worth learning.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no pairs to learn from; choose between some completions first")
    if isinstance(config, Rewarded) and reward is None and config.reward != PREFERENCES:
        raise ValueError(f"the settings name the reward {config.reward!r}, but no reward was given to the training")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    data = prepare(examples, start, config, reward=reward, store=reference_store, work=work, reporter=reporter)
    set_seed(config.seed)
    trainer = OfflineTrainer(
        config=config,
        starts_at_reference=start.is_reference,
        model=trainable(start, config),
        args=TrainingArguments(**_arguments(config, data, work, start.base.model.device)),
        train_dataset=[data.completions[place] for place in data.order],
        data_collator=OfflineCollator(start.base.tokenizer.pad_token_id),
    )
    looks = open_looks(
        config,
        unseen,
        trainer,
        start.base,
        lambda seen: scored(seen, start, config, reward=reward, store=reference_store, reporter=reporter),
        seed=config.seed,
        work=work,
        reporter=reporter,
    )
    counts = run_trainer(trainer, reporter, work, looks=looks)
    metrics = last_steps(trainer.state.log_history, data.steps_per_pass) | counts
    return finish_policy(
        trained_model(trainer), metrics, trainer.state.global_step, start, config, work=work, output=output
    )


def _arguments(config: OfflineConfig, data: OfflineData, work: Path, device: torch.device) -> dict[str, Any]:
    """The draws are made already, so that the data are one pass, in order."""
    widest = max(len(one.row.prompt) + len(one.row.completion) for one in data.completions)
    return trainer_settings(config, work, device, widest=widest) | {
        "max_steps": data.steps,
        "train_sampling_strategy": "sequential",
    }
