"""PRO, preference ranking optimisation: learning from completions of a prompt that are ranked, best first.

Song et al. 2023, "Preference Ranking Optimization for Human Alignment". With a the mean log-probability of a
completion's tokens, d a gap between two rewards and D the widest gap to those ranked lower,

    loss = sum_k [ log(e^(a_k D_k) + sum_{j>k} e^(a_j d_kj)) - a_k D_k ] + w (K-1)^2 (-L_best)

mean over prompts; `trainer/losses/pro.py` has the equation in full. A pair is a ranking of two, and where choices are
the reward its gap is 1. There is no reference: what holds the policy is the likelihood of the best. Leaves out the
rankings (`trainer/worker.py` makes them of pairs), the reward, rows, generation, the gate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import TrainingArguments, set_seed

from trainer.algorithms.callbacks import (
    TrainResult,
    finish_policy,
    finished_result,
    last_epoch,
    run_trainer,
    trained_model,
    trainer_settings,
)
from trainer.algorithms.divided import DividedTrainer
from trainer.algorithms.rankings import EncodedRanking, RankingCollator, encoded_rankings, widest
from trainer.algorithms.start import open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen, open_looks
from trainer.configs import PROConfig
from trainer.examples import Pair, Ranking
from trainer.losses.pro import ProLoss, pro_loss
from trainer.offline_fields import PREFERENCE_REWARDS, PREFERENCES
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.tensors import Rows, sequence_logprobs


class ProTrainer(DividedTrainer):
    """transformers' Trainer with the ranking loss and its metrics."""

    def __init__(self, *, config: PROConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config

    def losses(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        logprobs = sequence_logprobs(model, cast(Rows, inputs))[inputs["places"]]
        result = pro_loss(
            logprobs,
            inputs["tokens"],
            inputs["rewards"],
            sft_weight=self.config.sft_weight,
            present=inputs["present"],
            forward_gaps_only=self.config.contrary_gaps == "ignore",
        )
        self._record(result, logprobs.detach(), inputs)
        return result.losses

    def _record(self, result: ProLoss, logprobs: Tensor, inputs: dict[str, Tensor]) -> None:
        mean = logprobs / inputs["tokens"].clamp(min=1)
        last = inputs["present"].sum(dim=-1).long().unsqueeze(-1) - 1
        margin = mean[:, 0] - mean.gather(-1, last).squeeze(-1)
        self.note(
            {
                "rewards/margins": margin,
                "rewards/accuracies": (margin > 0).float(),
                "logps/chosen": logprobs[:, 0],
                "logps/rejected": logprobs.gather(-1, last).squeeze(-1),
                "ranking/loss": result.ranking_terms.sum(dim=-1).detach(),
            }
        )


def train(
    *,
    config: PROConfig,
    examples: Sequence[Pair | Ranking],
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    reward: Reward | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on rankings and write the checkpoint `output`.

    A ranking brings its rewards; a pair has those of `reward`, and without one a gap of 1. Sources, saves and what is
    raised are those of the pair algorithms; ValueError too where the reward says nothing of any pair.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no pairs to learn from; choose between some completions first")
    if reward is None and config.reward != PREFERENCES:
        raise ValueError(f"the settings name the reward {config.reward!r}, but no reward was given to the training")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, None, config, device=device, initial_source=initial_source)

    def encoded(some: Sequence[Pair | Ranking]) -> list[EncodedRanking]:
        found = ranked(some, reward, reporter)
        return encoded_rankings(found, start.base, max_length=config.max_length, reporter=reporter)

    rankings = encoded(examples)
    set_seed(config.seed)
    trainer = ProTrainer(
        config=config,
        model=trainable(start, config),
        args=TrainingArguments(**trainer_settings(config, work, start.base.model.device, widest=widest(rankings))),
        train_dataset=rankings,
        data_collator=RankingCollator(start.base.tokenizer.pad_token_id),
    )
    looks = open_looks(config, unseen, trainer, start.base, encoded, seed=config.seed, work=work, reporter=reporter)
    counts = run_trainer(trainer, reporter, work, looks=looks)
    metrics = last_epoch(trainer.state.log_history) | counts
    return finish_policy(
        trained_model(trainer), metrics, trainer.state.global_step, start, config, work=work, output=output
    )


def ranked(examples: Sequence[Pair | Ranking], reward: Reward | None, reporter: Reporter) -> list[Ranking]:
    """Every example as a ranking; pairs of which one side has no reward are left out and counted."""
    pairs = [one for one in examples if isinstance(one, Pair)]
    worth: list[tuple[float | None, float | None]] = [PREFERENCE_REWARDS] * len(pairs)
    if reward is not None and pairs:
        prompts = [pair.prompt for pair in pairs] * 2
        texts = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
        found = reward(prompts, texts, [None] * len(texts))
        worth = list(zip(found[: len(pairs)], found[len(pairs) :], strict=True))
    of_pairs = [
        Ranking(pair.prompt, (pair.chosen, pair.rejected), (best, other))
        for pair, (best, other) in zip(pairs, worth, strict=True)
        if best is not None and other is not None
    ]
    if len(of_pairs) < len(pairs):
        reporter.log(f"{len(pairs) - len(of_pairs)} of {len(pairs)} pairs have no reward and are left out")
    rankings = [*of_pairs, *(one for one in examples if isinstance(one, Ranking))]
    if not rankings:
        raise ValueError(f"the reward says nothing of any of {len(pairs)} pairs; use one that applies to them")
    return rankings
