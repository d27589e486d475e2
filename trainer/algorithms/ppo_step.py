"""One step of proximal policy optimisation: sample, score, estimate advantages, learn.

What it samples follows from the seed of the run and the step's number. Leaves out the run around it (`ppo.py`), the
mathematics (`trainer/losses`), sampling (`rollouts.py`), and what a reward is.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from trainer.algorithms import together
from trainer.algorithms.appraisal import Appraiser
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.guarding import seen
from trainer.algorithms.online import check_start
from trainer.algorithms.reference import allowed_difference, autocast
from trainer.algorithms.rollouts import Roller, Rollouts, questions_of, seeds_of
from trainer.examples import Question
from trainer.losses.clipped import policy_loss, value_loss
from trainer.losses.kl_control import AdaptiveKL, FixedKL
from trainer.losses.likelihood import masked_mean, masked_sum, token_nll
from trainer.losses.normalisation import RunningMoments, whiten
from trainer.losses.token_rewards import Advantages, gae, kl_per_token, penalise_missing_end, shaped_rewards
from trainer.ppo_config import PPOConfig
from trainer.reporter import Reporter, Stopped
from trainer.tensors import token_logprobs

GRADIENT_NORM = 1.0
UPDATE_METRICS = (
    "loss",
    "loss/policy_avg",
    "loss/value_avg",
    "policy/approxkl_avg",
    "policy/clipfrac_avg",
    "val/clipfrac_avg",
    "val/ratio",
    "val/skipped",
)


class PPO:
    """The run's state, and one step of it. `demonstrations` are token ids of chosen completions with their prompts."""

    def __init__(
        self,
        config: PPOConfig,
        roller: Roller,
        appraiser: Appraiser,
        reporter: Reporter,
        demonstrations: Sequence[tuple[list[int], list[int]]],
        *,
        starts_at_reference: bool,
    ) -> None:
        self.config, self.roller, self.appraiser, self.reporter = config, roller, appraiser, reporter
        self.actor = roller.actor
        self.demonstrations = demonstrations
        self.starts_at_reference = starts_at_reference
        self.weights = [p for p in self.actor.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=config.learning_rate, eps=1e-5, weight_decay=0.0)
        self.kl: AdaptiveKL | FixedKL = (
            AdaptiveKL(config.kl, config.kl_target, config.kl_horizon) if config.kl_target else FixedKL(config.kl)
        )
        self.moments = RunningMoments()
        self.steps = 0

    def step(self, questions: Sequence[Question], *, rate: float) -> dict[str, float]:
        """Sample, score and learn once, at the learning rate `rate`; the metrics, under the names TRL gave them.

        Raises InvariantViolated, Stopped, GuardTripped, ValueError where no completion has a score.
        """
        first = self.steps * self.config.rollouts
        seed = self.config.seed
        asked = questions_of(questions, first=first, count=self.config.rollouts, seed=seed)
        rolled = self.roller.roll(asked, seeds_of(first=first, count=len(asked), seed=seed))
        found, told = self.appraiser.worth(rolled.questions, rolled.texts, rolled.ended)
        rollouts, scores = self._scored(rolled, found)
        if self.steps == 0 and self.starts_at_reference:
            check_start(rollouts, self.actor.model)
        experience, metrics = self._experience(rollouts, scores)
        metrics |= told
        metrics |= self.appraiser.look(self.steps + 1, seen(rolled), metrics)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        metrics |= self._learn(rollouts, experience)
        self.kl = self.kl.updated(metrics["objective/kl"], len(rollouts.texts))
        self.steps += 1
        if self.config.sft_every and self.steps % self.config.sft_every == 0:
            metrics["loss/sft"] = self._imitate(rate)
        return metrics | {"lr": rate, "episode": float(first + len(asked))}

    # ------------------------------------------------------------------------------------------ experience

    def _scored(self, rollouts: Rollouts, found: Sequence[float | None]) -> tuple[Rollouts, Tensor]:
        """The rollouts that have a score, and those scores, [N]."""
        kept = [i for i, score in enumerate(found) if score is not None]
        if len(kept) < 2:
            raise ValueError(f"the reward has scores for {len(kept)} of {len(found)} completions; two are needed")
        return rollouts.only(kept), torch.tensor([float(found[i] or 0.0) for i in kept])

    def _experience(self, rollouts: Rollouts, scores: Tensor) -> tuple[Advantages, dict[str, float]]:
        """Advantages (whitened) and returns [N, T] of the raw scores [N], and what they were made of."""
        config, old = self.config, rollouts.old
        used = scores
        if config.normalise_scores:
            self.moments = self.moments.updated(scores)
            used = self.moments.normalised(scores)
        if config.score_clip:
            used = used.clamp(-config.score_clip, config.score_clip)
        used = penalise_missing_end(used, rollouts.ended, penalty=config.missing_end_penalty, mode=config.missing_end)
        kl = kl_per_token(old.logprobs, rollouts.reference, old.mask, estimator=config.kl_estimator)
        rewards = shaped_rewards(kl, used, old.mask, coefficient=self.kl.coefficient)
        if config.whiten_rewards:
            rewards = whiten(rewards, old.mask, keep_mean=True)
        found = gae(rewards, old.values, old.mask, gamma=config.gamma, lam=config.lam)
        apart = masked_sum(old.logprobs - rollouts.reference, old.mask)
        metrics: dict[str, Tensor | float] = {
            "objective/scores": scores.mean(),
            "objective/scores_std": scores.std(),
            "objective/kl": apart.mean(),
            "objective/kl_coefficient": self.kl.coefficient,
            "objective/entropy": -masked_sum(old.logprobs, old.mask).mean(),
            "objective/non_score_reward": -self.kl.coefficient * masked_sum(kl, old.mask).mean(),
            "objective/rlhf_reward": masked_sum(rewards, old.mask).mean(),
            "policy/entropy_avg": masked_mean(old.entropies, old.mask),
            "tokens/length": old.mask.sum(dim=1).mean(),
            "val/ended": rollouts.ended.float().mean(),
        }
        whitened = Advantages(whiten(found.advantages, old.mask), found.returns)
        return whitened, {name: float(value) for name, value in metrics.items()}

    # ------------------------------------------------------------------------------------------ learning

    def _learn(self, rollouts: Rollouts, experience: Advantages) -> dict[str, float]:
        """Passes of updates over the rollouts; means of the metrics over all updates that were made."""
        config = self.config
        size = config.batch_size * config.gradient_accumulation
        told: dict[str, list[float]] = defaultdict(list)
        for lap in range(config.ppo_epochs):
            chance = random.Random(f"{config.seed}:{self.steps}:{lap}")
            order = chance.sample(range(len(rollouts.texts)), len(rollouts.texts))
            moved = []
            for at in range(0, len(order), size):
                found = self._update(rollouts, experience, order[at : at + size], chance)
                if lap == at == 0:
                    self._check_ratio(found["val/ratio"])
                moved.append(found["policy/approxkl_avg"])
                for name, value in found.items():
                    told[name].append(value)
            if config.target_kl and sum(moved) / len(moved) > config.target_kl:
                break
        means = {name: sum(values) / len(values) for name, values in told.items()}
        return means | {"policy/updates": float(len(told["loss"]))}

    def _update(
        self, rollouts: Rollouts, experience: Advantages, chosen: list[int], chance: random.Random
    ) -> dict[str, float]:
        """One optimiser step on these rollouts, in forward passes of `batch_size`: the big batch's gradient."""
        config = self.config
        tokens = float(rollouts.old.mask[chosen].sum())
        told: dict[str, float] = defaultdict(float)
        for batch in self.roller.passes(rollouts.rows, together.dealt(chosen)):
            if self.reporter.should_stop():
                raise Stopped("stopped between updates; the run can be resumed")
            for name, value in self._backward(rollouts, experience, batch, tokens).items():
                told[name] += value
        together.add_gradients(self.weights)
        found = together.added([told[name] for name in UPDATE_METRICS], self.actor.model.device)
        whole = dict(zip(UPDATE_METRICS, found, strict=True))
        if config.ptx_weight:
            whole["loss/ptx"] = self._backward_ptx(chance, config.ptx_weight)
        self._descend(self.optimizer, whole["loss"])
        return whole

    def _backward(
        self, rollouts: Rollouts, experience: Advantages, batch: list[int], tokens: float
    ) -> dict[str, float]:
        """Adds one forward pass's share of the gradient; its shares of the metrics."""
        config, device = self.config, self.actor.model.device
        with autocast(device):
            now = self.actor(self.roller.padded([rollouts.rows[i] for i in batch]), config.temperature)
        width = now.mask.shape[1]

        def of(values: Tensor) -> Tensor:
            return values[batch, :width].to(device)

        policy = policy_loss(
            now.logprobs,
            of(rollouts.old.logprobs),
            of(experience.advantages),
            now.mask,
            clip=config.clip,
            dual_clip=config.dual_clip or None,
            max_mean_ratio=config.max_ratio or None,
            tokens=tokens,
        )
        value = value_loss(
            now.values,
            of(rollouts.old.values),
            of(experience.returns),
            now.mask,
            clip=config.value_clip,
            tokens=tokens,
        )
        loss = policy.loss + config.value_weight * value.loss * (0.0 if policy.skipped else 1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        share = float(now.mask.sum()) / tokens
        return {
            "loss": float(loss.detach()),
            "loss/policy_avg": float(policy.loss.detach()),
            "loss/value_avg": float(value.loss.detach()),
            "policy/approxkl_avg": float(policy.approx_kl) * share,
            "policy/clipfrac_avg": float(policy.clip_fraction) * share,
            "val/clipfrac_avg": float(value.clip_fraction) * share,
            "val/ratio": float(policy.mean_ratio) * share,
            "val/skipped": float(policy.skipped) * share,
        }

    def _backward_ptx(self, chance: random.Random, weight: float) -> float:
        """Adds the gradient of `weight` times the mean NLL of some demonstrations' tokens; that NLL."""
        size = min(self.config.batch_size, len(self.demonstrations))
        rows = self.roller.padded(chance.sample(list(self.demonstrations), size))
        with autocast(self.actor.model.device):
            loss = token_nll(*token_logprobs(self.actor.model, rows))
        (weight * loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _imitate(self, rate: float) -> float:
        """`sft_steps` updates on demonstrations alone, with moments of their own; the mean loss."""
        optimizer = torch.optim.AdamW(self.weights, lr=rate, weight_decay=0.0)
        chance, losses = random.Random(f"{self.config.seed}:{self.steps}:sft"), []
        for _ in range(self.config.sft_steps):
            if self.reporter.should_stop():
                raise Stopped("stopped between updates; the run can be resumed")
            losses.append(self._backward_ptx(chance, 1.0))
            self._descend(optimizer, losses[-1])
        return sum(losses) / len(losses)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: float) -> None:
        norm = float(torch.nn.utils.clip_grad_norm_(self.weights, GRADIENT_NORM))
        if not abs(loss) + norm < float("inf"):
            raise InvariantViolated(
                f"the loss is {loss} and its gradient's norm {norm} at step {self.steps}; lower the learning rate"
            )
        optimizer.step()
        optimizer.zero_grad()

    def _check_ratio(self, ratio: float) -> None:
        if abs(ratio - 1) > allowed_difference(self.actor.model, 0.0):
            raise InvariantViolated(
                f"before its first update a policy must be the one that sampled, its ratio 1; it is {ratio:.5f}"
            )

    # ------------------------------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """Everything that decides what the run does from here on."""
        named = self.actor.named_parameters()
        return {
            "weights": {name: p.detach() for name, p in named if p.requires_grad},
            "optimizer": self.optimizer.state_dict(),
            "kl": self.kl.coefficient,
            "moments": asdict(self.moments),
            "appraiser": self.appraiser.state(),
            "steps": self.steps,
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name, p in self.actor.named_parameters():
            if p.requires_grad:
                p.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        target = self.config.kl_target
        self.kl = AdaptiveKL(state["kl"], target, self.config.kl_horizon) if target else FixedKL(state["kl"])
        self.appraiser.restore(state["appraiser"])
        self.moments, self.steps = RunningMoments(**state["moments"]), state["steps"]
