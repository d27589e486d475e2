"""Supervised fine-tuning: imitating completions, through TRL's SFTTrainer.

Negative log-likelihood of the completion's tokens given those before, the prompt left out, as a mean over all
completion tokens of an optimiser step (TRL's convention; a sum over tokens and mean over completions would weigh long
ones more). With `loss_type` dft each token's is multiplied by its own probability, which carries no gradient (Wu et
al. 2025, "On the Generalization of SFT"). The result is a full checkpoint with any adapter merged, so that it can be
the base and the reference of later runs. Leaves out which completions are worth imitating (`trainer/dataset.py`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import set_seed
from trl.trainer.sft_config import SFTConfig as TRLConfig
from trl.trainer.sft_trainer import SFTTrainer

from trainer.adapters import attach_adapter, merged, refuse_unmergeable
from trainer.algorithms.callbacks import (
    TrainResult,
    finish,
    finished_result,
    last_epoch,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.divided import repeated_rows
from trainer.algorithms.reference import autocast
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.configs import SFTConfig
from trainer.examples import Demonstration, encode, length_limit
from trainer.policy import Policy, load_policy
from trainer.reporter import Reporter
from trainer.tensors import completion_logprobs

NOT_LEARNT = -100  # the label of a token without loss, as in all of transformers
NAMES = {"mean_token_accuracy": "tokens/accuracy", "entropy": "tokens/entropy", "num_tokens": "tokens/seen"}


class Imitator(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, in which examples that only fill up the last batches of several processes are not learnt."""

    pad_id: int

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        if batch_samples and (repeated := repeated_rows(self)):
            batch_samples[-1]["labels"][-repeated:] = NOT_LEARNT
        return super()._get_num_items_in_batch(batch_samples, device)

    def loss_of(self, examples: Sequence[tuple[list[int], list[int]]]) -> dict[str, float]:
        """The negative log-likelihood of a token, a mean over those of all completions (prompt, completion)."""
        model = self.accelerator.unwrap_model(self.model)
        training = model.training
        model.eval()
        with autocast(model.device):
            found = completion_logprobs(
                model,
                examples,
                pad_id=self.pad_id,
                batch_size=self.args.per_device_train_batch_size,
            )
        model.train(training)
        return {"loss": -sum(found) / sum(len(completion) for _, completion in examples)}


def train(
    *,
    config: SFTConfig,
    examples: Sequence[Demonstration],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source`, with its adapter merged, on demonstrations and write a full checkpoint.

    `initial_source` is where the initial model lies now, for an adapter that records another place.
    Saves go to `work`, and a run that finds one there resumes from it. Raises Stopped where the reporter asks for
    it, ValueError for no demonstrations, CorruptCheckpoint for a damaged source.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no completions to imitate; choose between some first")
    refuse_unmergeable(policy_source)
    torch.set_num_threads(config.threads)
    dtype = torch.float32 if config.adapter == "full" else None
    start = load_policy(policy_source, device=device, dtype=dtype, base=initial_source)
    set_seed(config.seed)
    rows = labelled_rows(examples, start, config, reporter=reporter)
    trainer = Imitator(
        model=attach_adapter(start.model, kind=config.adapter, rank=config.rank, alpha=config.alpha),
        args=TRLConfig(
            **trainer_settings(config, work, start.model.device, widest=max(len(row["input_ids"]) for row in rows)),
            gradient_checkpointing=False,
            loss_type=config.loss_type,
            max_length=None,  # the rows are cut to length already, by the rule all algorithms share
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=start.tokenizer,
    )
    trainer.pad_id = start.tokenizer.pad_token_id
    looks = open_looks(
        config,
        unseen,
        trainer,
        start,
        lambda seen: encoded(seen, start, config, reporter=reporter),
        seed=config.seed,
        work=work,
        reporter=reporter,
    )
    counts = run_trainer(trainer, reporter, work, names=NAMES, looks=looks)
    return finish(
        merged(trained_model(trainer)),
        last_epoch(trainer.state.log_history, NAMES) | counts,
        trainer.state.global_step,
        work=work,
        output=output,
        tokenizer=start.tokenizer,
        kind="full",
        base=policy_source,
        base_digest=start.digest,
    )


def labelled_rows(
    examples: Sequence[Demonstration], start: Policy, config: SFTConfig, *, reporter: Reporter
) -> list[dict[str, Any]]:
    """Token ids and labels of each demonstration; a prompt's tokens have no label."""
    return [
        {"input_ids": prompt + completion, "labels": [NOT_LEARNT] * len(prompt) + completion}
        for prompt, completion in encoded(examples, start, config, reporter=reporter)
    ]


def encoded(
    examples: Sequence[Demonstration], start: Policy, config: SFTConfig, *, reporter: Reporter
) -> list[tuple[list[int], list[int]]]:
    """Token ids of prompt and completion of each demonstration. Says how many were shortened."""
    max_length = length_limit(start.model, config.max_length)
    rows, shortened = [], 0
    for example in examples:
        prompt, (completion,), short = encode(
            start.tokenizer, example.prompt, [example.completion], max_length=max_length
        )
        rows.append((prompt, completion))
        shortened += short
    if shortened:
        reporter.log(f"{shortened} of {len(examples)} demonstrations were shortened to {max_length} tokens")
    return rows
