"""PRO, preference ranking optimisation: learning from completions of a prompt that are ranked, best first.

Song et al. 2023, "Preference Ranking Optimization for Human Alignment". With a the mean log-probability of a
completion's tokens, d a gap between two rewards and D the widest gap to those ranked lower,

    loss = sum_k [ log(e^(a_k D_k) + sum_{j>k} e^(a_j d_kj)) - a_k D_k ] + w (K-1)^2 (-L_best)

mean over prompts; `trainer/losses/pro.py` has the equation in full. A pair is a ranking of two, and where choices are
the reward its gap is 1. There is no reference: what holds the policy is the likelihood of the best. Leaves out the
rankings (`trainer/worker.py` makes them of pairs), the reward, rows, generation, the gate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    trainer_settings,
)
from trainer.algorithms.measuring import MeasuringTrainer
from trainer.algorithms.start import Start, open_start, trainable
from trainer.configs import PROConfig
from trainer.examples import Pair, Ranking, encode, length_limit
from trainer.losses.pro import ProLoss, pro_loss
from trainer.offline_fields import PREFERENCE_REWARDS, PREFERENCES
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.tensors import Rows, pad_rows, sequence_logprobs


@dataclass(frozen=True)
class EncodedRanking:
    """Token ids of a prompt and of its completions, best first, and what these are worth."""

    prompt: list[int]
    completions: list[list[int]]
    rewards: tuple[float, ...]


class RankingCollator:
    """A batch of B rankings of up to K completions: a row for each completion, and for each ranking its `places` [B, K]
    among the rows, `present` [B, K], `rewards` [B, K] and `tokens` [B, K]."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rankings: Sequence[EncodedRanking]) -> dict[str, Any]:
        widest = max(len(ranking.completions) for ranking in rankings)
        sides = [(ranking.prompt, ids) for ranking in rankings for ids in ranking.completions]
        places = torch.zeros(len(rankings), widest, dtype=torch.long)
        present, rewards, tokens = (torch.zeros(len(rankings), widest) for _ in range(3))
        first = 0
        for row, ranking in enumerate(rankings):
            size = len(ranking.completions)
            places[row, :size] = torch.arange(first, first + size)
            present[row, :size] = 1
            rewards[row, :size] = torch.tensor(ranking.rewards)
            tokens[row, :size] = torch.tensor([float(len(ids)) for ids in ranking.completions])
            first += size
        rows = pad_rows(sides, pad_id=self.pad_id)
        return {**rows, "places": places, "present": present, "rewards": rewards, "tokens": tokens}


class ProTrainer(MeasuringTrainer):
    """transformers' Trainer with the ranking loss and its metrics."""

    def __init__(self, *, config: PROConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
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
        loss = result.losses.mean()
        return (loss, {}) if return_outputs else loss

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
    rankings = encoded_rankings(ranked(examples, reward, reporter), start, config, reporter=reporter)
    set_seed(config.seed)
    trainer = ProTrainer(
        config=config,
        model=trainable(start, config),
        args=TrainingArguments(**trainer_settings(config, work, start.base.model.device)),
        train_dataset=rankings,
        data_collator=RankingCollator(start.base.tokenizer.pad_token_id),
    )
    run_trainer(trainer, reporter, work)
    metrics = last_epoch(trainer.state.log_history)
    return finish_policy(trainer, metrics, start, config, work=work, output=output)


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


def encoded_rankings(
    rankings: Sequence[Ranking], start: Start, config: PROConfig, *, reporter: Reporter
) -> list[EncodedRanking]:
    """The rankings as token ids; says how many had to be shortened."""
    max_length = length_limit(start.base.model, config.max_length)
    made, shortened = [], 0
    for one in rankings:
        prompt, completions, short = encode(
            start.base.tokenizer, one.prompt, list(one.completions), max_length=max_length
        )
        made.append(EncodedRanking(prompt, completions, one.rewards))
        shortened += short
    if shortened:
        reporter.log(f"{shortened} of {len(rankings)} rankings were shortened to {max_length} tokens")
    return made
