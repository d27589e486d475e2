"""Bradley-Terry reward model: a score for a completion, learnt from which of two, or of more, people found better.

Backbone of the policy, a linear head read at the last token, and for a pair the loss

    -log sigmoid(s(chosen) - s(rejected) - margin) + c (s(chosen) + s(rejected))^2

mean over pairs; the second term (`centering` c) keeps the scores near 0, which the first leaves open. A ranking of K
stands in one batch element with the mean over its pairs (Ouyang et al. 2022, equation 1), or with the likelihood of its
best (Ziegler et al. 2019); in a tie both sides count one half. The last turn is scored, never a turn with later ones in
view. At the end scores get mean 0 and spread 1 on samples of the initial model. Leaves out reading scores
(`reward_scores.py`), and using them as a reward (`trainer/rewards`).
"""

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import TaskType, get_peft_model
from torch import Tensor
from transformers import AutoModelForSequenceClassification, TrainingArguments, set_seed

from trainer.adapters import lora_settings, merged, refuse_unmergeable
from trainer.algorithms.callbacks import (
    TrainResult,
    finish,
    finished_result,
    last_epoch,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.divided import DividedTrainer
from trainer.algorithms.rankings import EncodedRanking, RankingCollator, encoded_rankings, widest
from trainer.algorithms.reward_scores import accuracy, normalise
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.configs import RewardModelConfig
from trainer.examples import Pair, Ranking, length_limit
from trainer.losses.scores import best_of_k_loss, ranking_loss
from trainer.offline_fields import PREFERENCE_REWARDS
from trainer.policy import Policy, load_policy
from trainer.reporter import Reporter
from trainer.tensors import disable_dropout


class ScoreTrainer(DividedTrainer):
    """transformers' Trainer with the loss of a reward model and its metrics."""

    def __init__(self, *, config: RewardModelConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config

    def losses(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        rows = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        logits = model(**rows, use_cache=False).logits
        scores, here, worth = logits.squeeze(-1).float()[inputs["places"]], inputs["present"], inputs["rewards"]
        if self.config.ranking == "best":
            loss = best_of_k_loss(
                scores.masked_fill(here == 0, -torch.inf), worth.masked_fill(here == 0, -torch.inf).argmax(dim=-1)
            )
        else:
            ranks = (worth.unsqueeze(1) > worth.unsqueeze(2)).sum(dim=-1)
            loss = ranking_loss(scores, ranks, present=here, ties="half", margin=inputs["margins"])
        self._record(scores.detach(), here, worth)
        return loss + self.config.centering * _pair_sums(scores, here)

    def _record(self, scores: Tensor, here: Tensor, worth: Tensor) -> None:
        """Of the best and the worst of each ranking: whether and by how much the scores agree."""
        best = worth.masked_fill(here == 0, -torch.inf).argmax(dim=-1, keepdim=True)
        worst = worth.masked_fill(here == 0, torch.inf).argmin(dim=-1, keepdim=True)
        margin = (scores.gather(-1, best) - scores.gather(-1, worst)).squeeze(-1)
        self.note(
            {
                "rewards/accuracies": (margin > 0).float(),
                "rewards/margins": margin,
                "rewards/mean": (scores * here).sum(dim=-1) / here.sum(dim=-1),
            }
        )


def _pair_sums(scores: Tensor, here: Tensor) -> Tensor:
    """The mean of (s_i + s_j)^2 over the pairs of each ranking: [B, K] to [B]."""
    both = (here.unsqueeze(1) * here.unsqueeze(2)).triu(diagonal=1)
    return ((scores.unsqueeze(1) + scores.unsqueeze(2)) ** 2 * both).sum(dim=(1, 2)) / both.sum(dim=(1, 2))


def train(
    *,
    config: RewardModelConfig,
    examples: Sequence[Pair | Ranking],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train a reward model on the backbone of `policy_source` and write a reward-model checkpoint.

    `validation/accuracy` among the metrics is the share of validation pairs, of groups never trained on, whose
    better completion scores strictly higher. They are of `unseen`, else of the configured share of the groups.
    A ranking with equal rewards has ties. Saves go to `work`, and a run that finds one there resumes from it. Raises
    Stopped where the reporter asks for it, ValueError for no pairs and for scores that are all equal,
    CorruptCheckpoint for a damaged source.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no pairs to learn from; choose between some completions first")
    refuse_unmergeable(policy_source)
    torch.set_num_threads(config.threads)
    start = load_policy(policy_source, device=device, dtype=torch.float32)
    separate_pad_token(start.tokenizer)
    learnt, held_out = (
        (list(examples), unseen.chosen(config.seed))
        if unseen.examples
        else hold_out(examples, config.validation_share, config.seed)
    )
    if not held_out:
        reporter.log(f"nothing is held out: {config.validation_share:.0%} of the groups is less than one group")
    max_length = length_limit(start.model, config.max_length)

    def encoded(some: Sequence[Pair | Ranking]) -> list[EncodedRanking]:
        return encoded_rankings(as_rankings(some, config), start, max_length=max_length, reporter=reporter)

    rankings = encoded(learnt)
    set_seed(config.seed)  # before the head is made: it starts at random
    trainer = ScoreTrainer(
        config=config,
        model=scorer(start, config),
        args=TrainingArguments(**trainer_settings(config, work, start.model.device, widest=widest(rankings))),
        train_dataset=rankings,
        data_collator=RankingCollator(start.tokenizer.pad_token_id),
    )
    looks = open_looks(
        config, Unseen(held_out), trainer, start, encoded, seed=config.seed, work=work, reporter=reporter
    )
    counts = run_trainer(trainer, reporter, work, looks=looks)
    model = merged(trained_model(trainer)).eval()
    metrics = last_epoch(trainer.state.log_history) | counts
    if held_out:
        share, count = accuracy(model, start.tokenizer, held_out, max_length, config.batch_size)
        metrics |= {"validation/accuracy": share, "validation/pairs": float(count)}
    if config.normalise:
        prompts = [one.prompt for one in examples]
        prompts = (prompts * (config.normalise // len(prompts) + 1))[: config.normalise]
        mean, spread = normalise(model, start, prompts, max_length=max_length, seed=config.seed, reporter=reporter)
        reporter.log(f"the initial model scores {mean:.2f} with a spread of {spread:.2f}, brought to 0 and 1")
    return finish(
        model,
        metrics,
        trainer.state.global_step,
        work=work,
        output=output,
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
    adapter = lora_settings(rank=config.rank, alpha=config.alpha, kind=config.adapter, task=TaskType.SEQ_CLS)
    return get_peft_model(model, adapter)


def separate_pad_token(tokenizer: Any) -> None:
    """Give padding an id that no row ends in.

    transformers reads the score at the last token that is not the pad id. Rows end in the end-of-turn token, so
    where that is the pad token too, as is usual, the score would be read one token early.
    """
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        other = next(place for place in range(len(tokenizer)) if place != tokenizer.eos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(other)


def hold_out(
    examples: Sequence[Pair | Ranking], share: float, seed: int
) -> tuple[list[Pair | Ranking], list[Pair | Ranking]]:
    """(to learn, held out): whole groups are held out, `share` of them rounded down, drawn by `seed`."""
    groups = sorted({one.group for one in examples})
    out = set(random.Random(seed).sample(groups, int(len(groups) * share)))
    return [one for one in examples if one.group not in out], [one for one in examples if one.group in out]


def as_rankings(examples: Sequence[Pair | Ranking], config: RewardModelConfig) -> list[Ranking]:
    """Pairs as rankings of two; one that was called clearly better has the configured margin."""
    return [
        Ranking(
            one.prompt,
            (one.chosen, one.rejected),
            PREFERENCE_REWARDS,
            margin=config.clear_margin if one.strength == "clearly" else 0.0,
        )
        if isinstance(one, Pair)
        else one
        for one in examples
    ]
