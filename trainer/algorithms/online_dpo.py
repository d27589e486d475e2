"""Online DPO: the policy's own completions become its pairs, again at every step.

Guo et al. 2024, "Direct Language Model Alignment from Online AI Feedback". A step samples two completions of each of a
batch of train prompts, scores them, and takes the better one as chosen (equal ones make no pair); then it makes a few
passes of updates with DPO's loss (Rafailov et al. 2023, equation 7) against the reference,

    -log sigmoid(beta h),   h = (L - L_ref)(better) - (L - L_ref)(worse)

with log-probabilities at the sampling temperature. What a step samples follows from the seed and its number. Leaves out
the loop (`online.py`), the loss (`trainer/losses/pairs.py`), sampling (`rollouts.py`), and what a reward is.
"""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import set_seed

from trainer.adapters import counts_sentence, parameter_counts
from trainer.algorithms import together
from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.appraisal import Appraiser, open_appraiser
from trainer.algorithms.callbacks import InvariantViolated, TrainResult, finish_policy, finished_result
from trainer.algorithms.guarding import seen
from trainer.algorithms.online import check_start, fitting, follow, open_own_looks, reference_of
from trainer.algorithms.reference import allowed_difference, autocast
from trainer.algorithms.rollouts import Roller, Rollouts, questions_of, seeds_of
from trainer.algorithms.start import open_start, trainable
from trainer.algorithms.validation import NOTHING, Unseen
from trainer.examples import Question
from trainer.losses.likelihood import masked_sum
from trainer.losses.pairs import dpo_loss
from trainer.losses.token_rewards import penalise_missing_end
from trainer.online_config import OnlineDPOConfig
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.rewards.gold import Gold
from trainer.sampling import Sampling

GRADIENT_NORM = 1.0
UPDATE_METRICS = ("loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")


class OwnPair(NamedTuple):
    """Numbers of two rollouts of one prompt."""

    better: int
    worse: int


class OnlineDPO:
    """The run's state, and one step of it."""

    def __init__(
        self,
        config: OnlineDPOConfig,
        roller: Roller,
        appraiser: Appraiser,
        reporter: Reporter,
        *,
        starts_at_reference: bool,
    ) -> None:
        self.config, self.roller, self.appraiser, self.reporter = config, roller, appraiser, reporter
        self.actor = roller.actor
        self.starts_at_reference = starts_at_reference
        self.weights = [p for p in self.actor.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=config.learning_rate, weight_decay=0.0)
        self.steps = 0

    def step(self, questions: Sequence[Question], *, rate: float) -> dict[str, float]:
        """Sample two of each, score, pair and learn once, at the learning rate `rate`; the metrics.

        Raises InvariantViolated, Stopped, GuardTripped, ValueError for a reward of another length.
        """
        seed, prompts = self.config.seed, self.config.rollouts // 2
        asked = questions_of(questions, first=self.steps * prompts, count=prompts, seed=seed)
        seeds = seeds_of(first=self.steps * 2 * prompts, count=2 * prompts, seed=seed)
        rolled = self.roller.roll([question for question in asked for _ in range(2)], seeds)
        if self.steps == 0 and self.starts_at_reference:
            check_start(rolled, self.actor.model)
        found, metrics = self.appraiser.worth(rolled.questions, rolled.texts, rolled.ended)
        scores = torch.tensor([math.nan if one is None else one for one in found])
        scores = penalise_missing_end(scores, rolled.ended, penalty=self.config.missing_end_penalty, mode="subtract")
        pairs = pairs_of(rolled.texts, scores.tolist(), least_gap=self.config.least_gap)
        known = scores[~scores.isnan()]
        apart = masked_sum(rolled.old.logprobs - rolled.reference, rolled.old.mask)
        metrics |= {
            "objective/scores": float(known.mean()) if len(known) else 0.0,
            "objective/kl": float(apart.mean()),
            "pairs/decided": len(pairs) / prompts,
            "tokens/length": float(rolled.old.mask.sum(dim=1).mean()),
            "val/ended": float(rolled.ended.float().mean()),
        }
        metrics |= self.appraiser.look(self.steps + 1, seen(rolled), metrics)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        metrics |= self._learn(rolled, pairs) if pairs else {}
        self.steps += 1
        return metrics | {"lr": rate}

    def _learn(self, rollouts: Rollouts, pairs: Sequence[OwnPair]) -> dict[str, float]:
        """Passes of updates over the pairs; means of the metrics over all updates."""
        size = self.config.batch_size * self.config.gradient_accumulation
        told: dict[str, list[float]] = defaultdict(list)
        for lap in range(self.config.passes):
            chance = random.Random(f"{self.config.seed}:{self.steps}:{lap}")
            order = chance.sample(list(pairs), len(pairs))
            for at in range(0, len(order), size):
                found = self._update(rollouts, order[at : at + size], first=lap == at == 0)
                for name, value in found.items():
                    told[name].append(value)
        return {name: sum(values) / len(values) for name, values in told.items()}

    def _update(self, rollouts: Rollouts, pairs: Sequence[OwnPair], *, first: bool) -> dict[str, float]:
        """One optimiser step on these pairs, in forward passes of `batch_size`: the big batch's gradient."""
        told: dict[str, float] = defaultdict(float)
        mine = together.dealt(pairs)
        for at in range(0, len(mine), self.config.batch_size):
            if self.reporter.should_stop():
                raise Stopped("stopped between updates; the run can be resumed")
            batch = mine[at : at + self.config.batch_size]
            for name, value in self._backward(rollouts, batch, len(pairs), first=first and at == 0).items():
                told[name] += value
        together.add_gradients(self.weights)
        found = together.added([told[name] for name in UPDATE_METRICS], self.actor.model.device)
        whole = dict(zip(UPDATE_METRICS, found, strict=True))
        norm = float(torch.nn.utils.clip_grad_norm_(self.weights, GRADIENT_NORM))
        if not abs(whole["loss"]) + norm < math.inf:
            raise InvariantViolated(
                f"the loss is {whole['loss']} and its gradient's norm {norm} at step {self.steps}; "
                "lower the learning rate"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return whole

    def _backward(self, rollouts: Rollouts, batch: Sequence[OwnPair], count: int, *, first: bool) -> dict[str, float]:
        """Adds one forward pass's share of the gradient of `count` pairs; its shares of the metrics."""
        places = [pair.better for pair in batch] + [pair.worse for pair in batch]
        with autocast(self.actor.model.device):
            now = self.actor(self.roller.padded([rollouts.rows[i] for i in places]), self.config.temperature)
        logprobs = masked_sum(now.logprobs, now.mask)
        if first:
            self._check_sampled(masked_sum(rollouts.old.logprobs, rollouts.old.mask)[places], logprobs.detach().cpu())
        reference = masked_sum(rollouts.reference, rollouts.old.mask)[places].to(logprobs.device)
        result = dpo_loss(
            *logprobs.chunk(2), *reference.chunk(2), beta=self.config.beta, label_smoothing=self.config.label_smoothing
        )
        loss = result.losses.sum() / count
        loss.backward()  # type: ignore[no-untyped-call]
        margins = result.chosen_rewards - result.rejected_rewards
        shares = {
            "rewards/chosen": result.chosen_rewards,
            "rewards/rejected": result.rejected_rewards,
            "rewards/margins": margins,
            "rewards/accuracies": (margins > 0).float(),
        }
        told = {name: float(values.sum()) / count for name, values in shares.items()}
        return told | {"loss": float(loss.detach())}

    def _check_sampled(self, old: Tensor, new: Tensor) -> None:
        apart = float((new - old).abs().max())
        if not apart <= allowed_difference(self.actor.model, float(old.abs().max())):
            raise InvariantViolated(
                "before its first update a policy must be the one that sampled; the log-probability of a completion "
                f"differs by {apart:.5f} nats"
            )

    def state(self) -> dict[str, Any]:
        """Everything that decides what the run does from here on."""
        named = self.actor.model.named_parameters()
        return {
            "weights": {name: p.detach() for name, p in named if p.requires_grad},
            "optimizer": self.optimizer.state_dict(),
            "appraiser": self.appraiser.state(),
            "steps": self.steps,
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name, p in self.actor.model.named_parameters():
            if p.requires_grad:
                p.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.appraiser.restore(state["appraiser"])
        self.steps = state["steps"]


def pairs_of(texts: Sequence[str], scores: Sequence[float], *, least_gap: float = 0.0) -> list[OwnPair]:
    """The decided ones of (0, 1), (2, 3), ...: of different texts, with scores more than `least_gap` apart.

    A score of NaN, for none, decides nothing.
    """
    found = []
    for one in range(0, len(texts), 2):
        gap = scores[one] - scores[one + 1]
        if texts[one] != texts[one + 1] and abs(gap) > least_gap:
            found.append(OwnPair(one, one + 1) if gap > 0 else OwnPair(one + 1, one))
    return found


def train(
    *,
    config: OnlineDPOConfig,
    examples: Sequence[Question],
    reward: Reward,
    policy_source: str,
    output: Path,
    work: Path,
    reporter: Reporter,
    gold: Gold | None = None,
    reference_source: str | None = None,
    initial_source: str | None = None,
    unseen: Unseen = NOTHING,
    device: str = "auto",
) -> TrainResult:
    """Train the policy at `policy_source` on `examples` to please `reward`, and write the checkpoint `output`.

    Sources and `work` as in `pairs.train`. `gold`: rewards that are measured and not learnt from. Raises Stopped,
    InvariantViolated, GuardTripped, ValueError for no examples, CorruptCheckpoint.
    """
    if (done := finished_result(work, output)) is not None:
        return done
    if not examples:
        raise ValueError("there are no prompts to complete; import some first")
    torch.set_num_threads(config.threads)
    start = open_start(policy_source, reference_source, config, device=device, initial_source=initial_source)
    together.join(start.base.model.device)
    set_seed(config.seed)
    actor, tokenizer = ActorCritic(trainable(start, config)), start.base.tokenizer
    sampling = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    held = reference_of(start, config, device)
    roller = Roller(actor, tokenizer, held, sampling, 2 * config.batch_size, reporter.should_stop)
    asked = fitting(examples, roller, reporter)
    appraiser = open_appraiser(config, roller, asked, reward, gold, work, reporter, group=2)
    run = OnlineDPO(config, roller, appraiser, reporter, starts_at_reference=start.is_reference)
    counts = parameter_counts(actor.model)
    reporter.log(counts_sentence(counts))
    looks = open_own_looks(config, unseen, reward, start.base, actor.model, work=work, reporter=reporter)
    metrics = follow(run, asked, work, reporter, looks) | counts
    return finish_policy(actor.model, metrics, run.steps, start, config, work=work, output=output)
