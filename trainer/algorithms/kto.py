"""KTO: learning from single completions that are good or bad, without pairs.

Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization", equation 8. With u the log-ratio of
policy to reference of a completion (nats) and z0 the policy's usual log-ratio on completions of other prompts,

    good   w_D (1 - sigmoid(beta (u - z0)))        bad   w_U (1 - sigmoid(beta (z0 - u)))

mean over all completions, good and bad together; the weights bring both kinds to a like total. Every completion brings
a partner, its prompt with a completion of another, chosen once for the run; z0 of a batch is the mean log-ratio of its
partners. So batches may be shuffled, of one kind only, and of any size, and the reference is computed once.

Leaves out which completions are good (`trainer/ratings.py`), the equation (`trainer/losses/unpaired.py`), rows, the
gate.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

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
from trainer.algorithms.reference import ReferenceStore, Row, allowed_difference, make_row, reference_logprobs
from trainer.algorithms.start import Start, open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.examples import Rated, encode, length_limit
from trainer.kto_config import KTOConfig
from trainer.losses.unpaired import balanced_weights, kto_baseline, kto_loss, mismatched
from trainer.reporter import Reporter
from trainer.tensors import Rows, pad_rows, sequence_logprobs


@dataclass(frozen=True)
class EncodedRated:
    """A completion ready to train on, and its partner: the same prompt with another's completion. Nats."""

    row: Row
    good: bool
    reference: float
    partner: Row | None = None
    partner_reference: float = 0.0


class Weights(NamedTuple):
    """Of a good and of a bad completion."""

    good: float
    bad: float


class RatedCollator:
    """A batch of B completions: their rows, `good` [B] and `reference` [B]; of the M partners among them the rows
    `partners` and `partner_reference` [M], absent where there are none."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[EncodedRated]) -> dict[str, Any]:
        made: dict[str, Any] = {
            **self._padded([one.row for one in batch]),
            "good": torch.tensor([one.good for one in batch]),
            "reference": torch.tensor([one.reference for one in batch]),
        }
        if partnered := [(one.partner, one.partner_reference) for one in batch if one.partner is not None]:
            made["partners"] = self._padded([partner for partner, _ in partnered])
            made["partner_reference"] = torch.tensor([reference for _, reference in partnered])
        return made

    def _padded(self, rows: Sequence[Row]) -> Rows:
        return pad_rows([(row.prompt, row.completion) for row in rows], pad_id=self.pad_id)


class KTOTrainer(DividedTrainer):
    """transformers' Trainer with the KTO loss and its metrics.

    With `starts_at_reference` the first batch must have log-ratios of 0, else InvariantViolated.
    """

    def __init__(self, *, config: KTOConfig, weights: Weights, starts_at_reference: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config
        self.weights = weights
        self.starts_at_reference = starts_at_reference

    def losses(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        logprobs = sequence_logprobs(model, cast(Rows, inputs))
        baseline = self._baseline(model, inputs)
        result = kto_loss(
            logprobs,
            inputs["reference"],
            inputs["good"],
            beta=self.config.beta,
            baseline=baseline,
            desirable_weight=self.weights.good,
            undesirable_weight=self.weights.bad,
        )
        if self.starts_at_reference and self.state.global_step == 0:
            self._check_start(logprobs.detach(), inputs["reference"])
        self._record(result.rewards, logprobs.detach(), inputs["good"], baseline)
        return result.losses

    def _baseline(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """z0 of the batch in hand, over all processes."""
        found = torch.zeros(1, 2, device=inputs["reference"].device)  # summed log-ratios and how many they are
        if self.config.loss_type != "kto":
            return found[0, 0]
        if "partners" in inputs:
            with torch.no_grad():
                ratios = sequence_logprobs(model, inputs["partners"]) - inputs["partner_reference"]
            found = torch.stack([ratios.sum(), torch.ones_like(ratios).sum()]).unsqueeze(0)
        total, count = self.accelerator.gather(found).sum(dim=0)
        mean = (total / count.clamp(min=1)).unsqueeze(0)
        return kto_baseline(mean, torch.zeros_like(mean))

    def _check_start(self, logprobs: Tensor, reference: Tensor) -> None:
        apart = float((logprobs - reference).abs().max())
        if not apart <= allowed_difference(self.model, float(logprobs.abs().max())):
            raise InvariantViolated(
                f"the run starts at its reference, so the log-ratios must be 0; they are up to {apart:.4f} nats"
            )

    def _record(self, rewards: Tensor, logprobs: Tensor, good: Tensor, baseline: Tensor) -> None:
        self.note({"rewards/chosen": rewards, "logps/chosen": logprobs}, where=good)
        self.note({"rewards/rejected": rewards, "logps/rejected": logprobs}, where=~good)
        self.note({"rewards/baseline": self.config.beta * baseline.expand(len(rewards)), "examples/good": good.float()})

    def measured(self) -> dict[str, float]:
        found = super().measured()
        if {"rewards/chosen", "rewards/rejected"} <= found.keys():
            found["rewards/margins"] = found["rewards/chosen"] - found["rewards/rejected"]
        return found


def train(
    *,
    config: KTOConfig,
    examples: Sequence[Rated],
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
    """Train the policy at `policy_source` on good and bad completions and write the checkpoint `output`.

    Sources, saves and what is raised are those of the pair algorithms; ValueError too where all completions answer one
    prompt, so that none has a partner.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no completions to learn from; choose between some, or give a thumb in the chat")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    rated = prepare(examples, start, config, store=reference_store, reporter=reporter)
    set_seed(config.seed)
    trainer = KTOTrainer(
        config=config,
        weights=weights_of(rated, config, reporter),
        starts_at_reference=start.is_reference,
        model=trainable(start, config),
        args=TrainingArguments(**trainer_settings(config, work, start.base.model.device)),  # z0 is of a whole batch
        train_dataset=rated,
        data_collator=RatedCollator(start.base.tokenizer.pad_token_id),
    )
    looks = open_looks(
        config,
        unseen,
        trainer,
        start.base,
        lambda seen: prepare(seen, start, config, store=reference_store, reporter=reporter),
        seed=config.seed,
        work=work,
        reporter=reporter,
    )
    counts = run_trainer(trainer, reporter, work, looks=looks)
    metrics = last_epoch(trainer.state.log_history) | counts
    return finish_policy(
        trained_model(trainer), metrics, trainer.state.global_step, start, config, work=work, output=output
    )


def weights_of(rated: Sequence[EncodedRated], config: KTOConfig, reporter: Reporter) -> Weights:
    """What each kind weighs, said aloud with how many there are of it."""
    good = sum(one.good for one in rated)
    bad = len(rated) - good
    raised = balanced_weights(good, bad) if config.balance else (1.0, 1.0)
    weights = Weights(config.good_weight * raised[0], config.bad_weight * raised[1])
    reporter.log(f"{good} good completions of weight {weights.good:.3g}, {bad} bad ones of weight {weights.bad:.3g}")
    return weights


def prepare(
    examples: Sequence[Rated], start: Start, config: KTOConfig, *, store: ReferenceStore | None, reporter: Reporter
) -> list[EncodedRated]:
    """The examples as token ids with partners and reference log-probabilities; says how many had to be shortened."""
    rows = _rows(examples, start, config, reporter)
    partners = _partners(examples, rows, start, config) if config.loss_type == "kto" else {}
    known = reference_logprobs(
        [*rows, *partners.values()], start.reference, store=store, batch_size=config.batch_size, seed=config.seed
    )
    return [
        EncodedRated(row, example.good, known[row.key], partner, known[partner.key] if partner else 0.0)
        for place, (row, example) in enumerate(zip(rows, examples, strict=True))
        for partner in [partners.get(place)]
    ]


def _rows(examples: Sequence[Rated], start: Start, config: KTOConfig, reporter: Reporter) -> list[Row]:
    max_length = length_limit(start.base.model, config.max_length)
    rows, shortened = [], 0
    for one in examples:
        prompt, (completion,), short = encode(start.base.tokenizer, one.prompt, [one.completion], max_length=max_length)
        rows.append(make_row(prompt, completion, reference=start.reference, max_length=max_length))
        shortened += short
    if shortened:
        reporter.log(f"{shortened} of {len(examples)} completions were shortened to {max_length} tokens")
    return rows


def _partners(examples: Sequence[Rated], rows: Sequence[Row], start: Start, config: KTOConfig) -> dict[int, Row]:
    """A prompt with a completion of another prompt, by the place of the prompt; drawn by the seed.

    Token ids of both are as they are in their own rows, cut where together they are too long.
    """
    max_length = length_limit(start.base.model, config.max_length)
    order = list(range(len(rows)))
    random.Random(config.seed).shuffle(order)
    prompts = [tuple(rows[place].prompt) for place in order]
    try:
        pairs = mismatched(prompts)
    except ValueError:
        raise ValueError(
            f"all {len(examples)} completions answer one prompt, and KTO compares with those of other prompts; rate "
            "some of another prompt too, or set loss_type to apo_zero_unpaired"
        ) from None
    made = {}
    for one, other in pairs:
        prompt, completion = rows[order[one]].prompt, rows[order[other]].completion
        room = max(max_length - len(completion), max_length // 2)
        prompt = prompt[-room:]
        made[order[one]] = make_row(
            prompt, completion[: max_length - len(prompt)], reference=start.reference, max_length=max_length
        )
    return made
