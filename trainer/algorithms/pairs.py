"""Learning from pairs of a chosen and a rejected completion: DPO and its relatives, ORPO, SimPO, CPO.

DPO is Rafailov et al. 2023, "Direct Preference Optimization", equation 7. With L = log pi(y|x) summed over the
completion's tokens, for the policy and for the frozen reference,

    u = L(chosen) - L_ref(chosen)        v = L(rejected) - L_ref(rejected)
    loss = -log sigmoid(beta (u - v))

mean over pairs. `label_smoothing` e gives conservative DPO: -(1-e) log sigmoid(beta h) - e log sigmoid(-beta h)
with h = u - v. By default the likelihood of the chosen completions is mixed in, a mean over their tokens (Pang et al.
2024, "Iterative Reasoning Preference Optimization"): DPO alone lowers the chosen ones too, and what they say.
The reference's log-probabilities are computed once, before training, and kept by the caller. ORPO, SimPO and CPO have
other losses and no reference: what holds the policy is the likelihood of the chosen, or with SimPO the learning rate.

Leaves out: the losses (`trainer/losses/pair_mixture.py`), the pairs (`trainer/dataset.py`), rows (`trainer/worker.py`),
generation, the gate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    last_epoch,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.divided import DividedTrainer
from trainer.algorithms.reference import (
    ReferenceStore,
    Row,
    allowed_difference,
    autocast,
    pair_rows,
    reference_logprobs,
)
from trainer.algorithms.start import Start, open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.examples import Pair, length_limit
from trainer.losses.pair_mixture import PairLogprobs, PairSettings, pair_loss
from trainer.losses.pairs import PairLoss, dpo_loss
from trainer.pair_config import PairConfig
from trainer.reporter import Reporter
from trainer.shared_prefix import PairIds, SharedRows, pad_pairs, pair_logprobs, shares_prefix
from trainer.tensors import Rows, completion_logprobs, pad_rows, sequence_logprobs

# ---------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class EncodedPair:
    """A pair ready to train on; the reference log-probabilities are in nats."""

    chosen: Row
    rejected: Row
    reference_chosen: float
    reference_rejected: float

    @property
    def ids(self) -> PairIds:
        return PairIds(self.chosen.prompt, self.chosen.completion, self.rejected.completion)


class PairCollator:
    """A batch of B pairs with [B] reference log-probabilities and counts of tokens of each side.

    Shared, a pair is one row; else the batch has 2B rows, the chosen first.
    """

    def __init__(self, pad_id: int, *, shared: bool) -> None:
        self.pad_id = pad_id
        self.shared = shared

    def __call__(self, pairs: Sequence[EncodedPair]) -> dict[str, Any]:
        if self.shared:
            rows: Any = pad_pairs([pair.ids for pair in pairs], pad_id=self.pad_id)
        else:
            sides = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
            rows = pad_rows([(row.prompt, row.completion) for row in sides], pad_id=self.pad_id)
        return {
            **rows,
            "reference_chosen": torch.tensor([pair.reference_chosen for pair in pairs]),
            "reference_rejected": torch.tensor([pair.reference_rejected for pair in pairs]),
            "chosen_tokens": torch.tensor([float(len(pair.chosen.completion)) for pair in pairs]),
            "rejected_tokens": torch.tensor([float(len(pair.rejected.completion)) for pair in pairs]),
        }


class PairTrainer(DividedTrainer):
    """transformers' Trainer with a pair loss and its metrics.

    Without a reference in the config, those of the batch are 0 and unused. With `starts_at_reference` the first batch
    must have the loss ln 2 and log-ratios of 0, else InvariantViolated.
    """

    averaged = ("chosen_tokens",)

    def __init__(self, *, config: PairConfig, starts_at_reference: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config
        self.terms = config.terms
        self.settings = PairSettings(**config.loss_settings)
        self.starts_at_reference = starts_at_reference

    def losses(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        reference_chosen, reference_rejected = inputs.pop("reference_chosen"), inputs.pop("reference_rejected")
        counts = inputs.pop("chosen_tokens"), inputs.pop("rejected_tokens")
        if "visible" in inputs:
            chosen, rejected = pair_logprobs(model, cast(SharedRows, inputs))
        else:
            chosen, rejected = sequence_logprobs(model, cast(Rows, inputs)).chunk(2)
        batch = PairLogprobs(chosen, rejected, reference_chosen, reference_rejected, *counts)
        settings = replace(self.settings, mean_tokens=self.step_means.get("chosen_tokens"))
        result = pair_loss(batch, self.terms, settings)
        if self.starts_at_reference and self.state.global_step == 0:
            self._check_start(batch)
        self._record(result, chosen.detach(), rejected.detach())
        return result.losses

    def _check_start(self, batch: PairLogprobs) -> None:
        result = dpo_loss(*batch[:4], beta=self.config.beta)
        logprob = float(torch.cat([batch.chosen, batch.rejected]).detach().abs().max())
        loss = float(result.losses.detach().mean())
        ratio = float(torch.cat([result.chosen_rewards, result.rejected_rewards]).abs().max()) / self.config.beta
        allowed = allowed_difference(self.model, logprob)
        if not (ratio <= allowed and abs(loss - math.log(2)) <= max(1e-3, self.config.beta * allowed)):
            raise InvariantViolated(
                f"the run starts at its reference, so the first loss must be ln 2 = {math.log(2):.4f} and the "
                f"log-ratios 0; they are {loss:.4f} and up to {ratio:.4f} nats"
            )

    def _record(self, result: PairLoss, chosen: Tensor, rejected: Tensor) -> None:
        self.note(
            {
                "rewards/chosen": result.chosen_rewards,
                "rewards/rejected": result.rejected_rewards,
                "rewards/margins": result.chosen_rewards - result.rejected_rewards,
                "rewards/accuracies": (result.chosen_rewards > result.rejected_rewards).float(),
                "logps/chosen": chosen,
                "logps/rejected": rejected,
            }
        )


def train(
    *,
    config: PairConfig,
    examples: Sequence[Pair],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    reference_source: str | None = None,
    reference_store: ReferenceStore | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on pairs and write the checkpoint `output`.

    An adapter checkpoint as source is trained further as the same adapter on the same base, which lies at
    `initial_source` where it is the initial model and has moved. The reference is `reference_source`, else that base,
    else the source itself. `unseen` is only looked at (`validation.py`). Saves go to `work`, and a run that finds one
    there resumes from it. Raises Stopped where the reporter asks for it, InvariantViolated, ValueError for no pairs,
    CorruptCheckpoint for a damaged source.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no pairs to learn from; choose between some completions first")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    pairs = prepare_pairs(examples, start, config, store=reference_store, reporter=reporter)
    set_seed(config.seed)
    model = trainable(start, config)
    pad_id = start.base.tokenizer.pad_token_id
    trainer = PairTrainer(
        config=config,
        starts_at_reference=config.uses_reference and start.is_reference,
        model=model,
        args=TrainingArguments(
            **trainer_settings(config, work, start.base.model.device, widest=_widest(pairs, config))
        ),
        train_dataset=pairs,
        data_collator=PairCollator(pad_id, shared=can_share(model, pairs, pad_id)),
    )
    looks = open_looks(
        config,
        unseen,
        trainer,
        start.base,
        lambda seen: prepare_pairs(seen, start, config, store=reference_store, reporter=reporter),
        seed=config.seed,
        work=work,
        reporter=reporter,
    )
    target = config.margin_of(len(pairs), further=start.continues_adapter)
    counts = run_trainer(trainer, reporter, work, target_margin=target, looks=looks)
    metrics = last_epoch(trainer.state.log_history) | counts
    return finish_policy(
        trained_model(trainer), metrics, trainer.state.global_step, start, config, work=work, output=output
    )


def _widest(pairs: Sequence[EncodedPair], config: PairConfig) -> int:
    """Tokens of the longest pair in one row; 0 for losses that compare the pairs of a batch with each other."""
    if {"aot", "aot_unpaired"} & {name for name, _ in config.terms}:
        return 0
    return max(sum(map(len, pair.ids)) for pair in pairs)


def can_share(model: Any, pairs: Sequence[EncodedPair], pad_id: int) -> bool:
    """Whether a pair can be one row on this model, tried out on the first two pairs."""
    sample = pairs[:2]
    sides = [(side.prompt, side.completion) for pair in sample for side in (pair.chosen, pair.rejected)]
    with autocast(model.device):
        alone = completion_logprobs(model, sides, pad_id=pad_id, batch_size=len(sides))
        allowed = allowed_difference(model, max(map(abs, alone)))
        return shares_prefix(model, [pair.ids for pair in sample], pad_id=pad_id, allowed=allowed)


def prepare_pairs(
    examples: Sequence[Pair],
    start: Start,
    config: PairConfig,
    *,
    store: ReferenceStore | None,
    reporter: Reporter,
) -> list[EncodedPair]:
    """The examples as token ids with their reference log-probabilities, which are 0 where the loss has none; says how
    many had to be shortened."""
    max_length = length_limit(start.base.model, config.max_length)
    rows = pair_rows(examples, start, max_length=max_length, reporter=reporter)
    if not config.uses_reference:
        return [EncodedPair(chosen, rejected, 0.0, 0.0) for chosen, rejected in rows]
    known = reference_logprobs(
        [row for both in rows for row in both],
        start.reference,
        store=store,
        batch_size=2 * config.batch_size,
        seed=config.seed,
    )
    return [EncodedPair(chosen, rejected, known[chosen.key], known[rejected.key]) for chosen, rejected in rows]
