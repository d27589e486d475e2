"""Bradley-Terry reward model: a score for a completion, learnt from pairs, through TRL's RewardTrainer.

Backbone of the policy, a linear head read at the last token, and for a pair the loss

    -log sigmoid(s(chosen) - s(rejected)) + c (s(chosen) + s(rejected))^2

mean over pairs; the second term (`centering` c) keeps the scores near 0, which the first leaves open. The last
turn is scored, never a turn with later ones in view. Leaves out scaling scores against a policy's samples, and
using them as a reward (`trainer/rewards`).
"""

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import TaskType, get_peft_model
from transformers import AutoModelForSequenceClassification, set_seed
from trl.trainer.reward_config import RewardConfig as TRLConfig
from trl.trainer.reward_trainer import RewardTrainer

from trainer.adapters import lora_settings
from trainer.algorithms.callbacks import (
    TrainResult,
    finish,
    finished_result,
    last_epoch,
    run_trainer,
    trainer_settings,
)
from trainer.configs import RewardModelConfig
from trainer.examples import Pair, encode, length_limit
from trainer.policy import Policy, load_policy
from trainer.prompting import Messages
from trainer.reporter import Reporter
from trainer.tensors import disable_dropout, pad_rows

NAMES = {
    "accuracy": "rewards/accuracies",
    "margin": "rewards/margins",
    "mean_reward": "rewards/mean",
    "min_reward": "rewards/min",
    "max_reward": "rewards/max",
    "num_tokens": "tokens/seen",
}


def train(
    *,
    config: RewardModelConfig,
    examples: Sequence[Pair],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    validation: Sequence[Pair] = (),
    device: str = "auto",
) -> TrainResult:
    """Train a reward model on the backbone of `policy_source` and write a reward-model checkpoint.

    `validation/accuracy` among the metrics is the share of validation pairs, of groups never trained on, whose
    chosen completion scores strictly higher. They are `validation`, else the configured share of the groups.
    Saves go to `work`, and a run that finds one there resumes from it. Raises Stopped where the reporter asks for
    it, ValueError for no pairs, CorruptCheckpoint for a damaged source.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no pairs to learn from; choose between some completions first")
    torch.set_num_threads(config.threads)
    start = load_policy(policy_source, device=device, dtype=torch.float32)
    separate_pad_token(start.tokenizer)
    learnt, held_out = (
        (list(examples), list(validation)) if validation else hold_out(examples, config.validation_share, config.seed)
    )
    if not held_out:
        reporter.log(f"nothing is held out: {config.validation_share:.0%} of the groups is less than one group")
    max_length = length_limit(start.model, config.max_length)
    set_seed(config.seed)  # before the head is made: it starts at random
    trainer = RewardTrainer(
        model=scorer(start, config),
        args=TRLConfig(
            **trainer_settings(config, work, start.model.device),
            gradient_checkpointing=False,
            max_length=None,  # the rows are cut to length already, by the rule all algorithms share
            center_rewards_coefficient=config.centering or None,
        ),
        train_dataset=Dataset.from_list([pair_ids(pair, start.tokenizer, max_length) for pair in learnt]),
        processing_class=start.tokenizer,
    )
    run_trainer(trainer, reporter, work, names=NAMES)
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = (model.merge_and_unload() if config.adapter == "lora" else model).eval()
    metrics = last_epoch(trainer.state.log_history, NAMES)
    if held_out:
        metrics |= {
            "validation/accuracy": accuracy(model, start.tokenizer, held_out, max_length, config.batch_size),
            "validation/pairs": float(len(held_out)),
        }
    return finish(
        trainer,
        metrics,
        work=work,
        output=output,
        model=model,
        tokenizer=start.tokenizer,
        kind="reward_model",
        base=policy_source,
        base_digest=start.digest,
    )


def scorer(start: Policy, config: RewardModelConfig) -> Any:
    """The policy's backbone with a fresh head for one score, ready to train."""
    settings = copy.deepcopy(start.model.config)
    settings.num_labels = 1
    settings.pad_token_id = start.tokenizer.pad_token_id
    family: Any = AutoModelForSequenceClassification
    model = family.from_config(settings, dtype=torch.float32)
    model.base_model.load_state_dict(start.model.base_model.state_dict())
    model.to(start.model.device)
    disable_dropout(model)
    if config.adapter == "full":
        return model
    return get_peft_model(model, lora_settings(rank=config.rank, alpha=config.alpha, task=TaskType.SEQ_CLS))


def separate_pad_token(tokenizer: Any) -> None:
    """Give padding an id that no row ends in.

    transformers reads the score at the last token that is not the pad id. Rows end in the end-of-turn token, so
    where that is the pad token too, as is usual, the score would be read one token early.
    """
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        other = next(place for place in range(len(tokenizer)) if place != tokenizer.eos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(other)


def hold_out(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(to learn, held out): whole groups are held out, `share` of them rounded down, drawn by `seed`."""
    groups = sorted({pair.group for pair in pairs})
    out = set(random.Random(seed).sample(groups, int(len(groups) * share)))
    return [pair for pair in pairs if pair.group not in out], [pair for pair in pairs if pair.group in out]


def pair_ids(pair: Pair, tokenizer: Any, max_length: int) -> dict[str, list[int]]:
    prompt, (chosen, rejected), _ = encode(tokenizer, pair.prompt, [pair.chosen, pair.rejected], max_length=max_length)
    return {"chosen_ids": prompt + chosen, "rejected_ids": prompt + rejected}


def accuracy(model: Any, tokenizer: Any, pairs: Sequence[Pair], max_length: int, batch_size: int) -> float:
    """Share of pairs whose chosen completion scores strictly higher; a tie is an error."""
    sides = [(pair.prompt, text) for pair in pairs for text in (pair.chosen, pair.rejected)]
    scores = score(model, tokenizer, sides, max_length=max_length, batch_size=batch_size)
    return sum(chosen > rejected for chosen, rejected in zip(scores[::2], scores[1::2], strict=True)) / len(pairs)


def score(
    model: Any,
    tokenizer: Any,
    completions: Sequence[tuple[Messages, str]],
    *,
    max_length: int,
    batch_size: int = 16,
) -> list[float]:
    """The score of each (prompt, completion), in order, without gradient."""
    scores: list[float] = []
    for begin in range(0, len(completions), batch_size):
        encoded = [
            encode(tokenizer, prompt, [text], max_length=max_length)
            for prompt, text in completions[begin : begin + batch_size]
        ]
        rows = pad_rows([(one.prompt, one.completions[0]) for one in encoded], pad_id=tokenizer.pad_token_id)
        with torch.no_grad():
            logits = model(
                input_ids=rows["input_ids"].to(model.device),
                attention_mask=rows["attention_mask"].to(model.device),
                use_cache=False,
            ).logits
        scores += logits.float().squeeze(-1).tolist()
    return scores
