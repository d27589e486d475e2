"""Offline reinforcement learning whose reference moves to a better checkpoint in the middle of the run.

Baheti et al. 2023, `--baseline_update_threshold`: an advantage is over what the reference's own completion is worth, so
once the policy is better than the reference by some reward, all advantages are too large. The run is made in rounds of
`baseline_every` steps. After a round the policy completes prompts that are held out of the run; where their mean reward
is at least the threshold above the reference's, the checkpoint becomes the reference, and values, ratios and draws are
made anew. A round is a run like any other (`offline_rl.py`), with a folder of its own, so that one that was killed
goes on in its round. Leaves out the losses, the data of a round, and what a reward is.
"""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.adapters import continue_adapter
from trainer.advantage_sampling import NothingBetter
from trainer.algorithms import offline_rl
from trainer.algorithms.callbacks import TrainResult, finish, finished_result
from trainer.algorithms.division import is_main
from trainer.algorithms.offline_data import checked_rewards
from trainer.algorithms.validation import NOTHING, Unseen
from trainer.configs import OfflineConfig
from trainer.examples import Pair
from trainer.generation import generate
from trainer.manifest import base_of, is_checkpoint, read_manifest
from trainer.offline_fields import Valued
from trainer.policy import Policy, load_policy
from trainer.prompting import Messages
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.sampling import Sampling
from trainer.sources import resolve_source

HELD_OUT = 0.1  # of the groups of prompts, at least two
LEAST_GROUPS = 4
LOOKED_AT = 64  # completions of held-out prompts, each time
NEW_TOKENS = 64


def train(*, config: OfflineConfig, reward: Reward | None = None, **given: Any) -> TrainResult:
    """As `offline_rl.train`; in rounds where the config asks for it, which needs a reward that scores completions."""
    if not (isinstance(config, Valued) and config.baseline_update_threshold):
        return offline_rl.train(config=config, reward=reward, **given)
    if reward is None:
        raise ValueError("baseline_update_threshold needs a reward that scores completions, and none was given")
    return Rounds(config, reward, **given).train()


class Rounds:
    """The run of a config that moves its reference, round by round."""

    def __init__(
        self,
        config: Any,
        reward: Reward,
        *,
        examples: Sequence[Pair],
        policy_source: str,
        output: Path,
        work: Path,
        reporter: Reporter,
        reference_source: str | None = None,
        reference_store: Any = None,
        initial_source: str | None = None,
        unseen: Unseen = NOTHING,
        device: str = "auto",
    ) -> None:
        self.config, self.reward, self.reporter = config, reward, reporter
        self.output, self.work, self.device, self.store = output, work, device, reference_store
        self.unseen = unseen
        self.source, self.base = policy_source, base_under(policy_source, initial_source)
        self.reference = reference_source or self.base
        self.examples, self.asked = held_out(examples, config.seed)
        self.best = 0.0

    def train(self) -> TrainResult:
        """All rounds, or what is left of them."""
        if (done := finished_result(self.work, self.output)) is not None:
            return done
        self.best = self._kept("reference", self.reference)
        total, made, moved = self._steps(), 0, 0
        metrics: dict[str, float] = {}
        while made < total:
            number, steps = made // self.config.baseline_every, min(self.config.baseline_every, total - made)
            checkpoint = self.work / f"round-{number}" / "checkpoint"
            try:
                result = self._round(number, steps, checkpoint, _Onwards(self.reporter, made, total))
            except NothingBetter:
                if not made:
                    raise
                self.reporter.log("no completion is worth more than the reference's own any more; training ends here")
                break
            made, metrics, self.source = made + result.steps, result.metrics, str(checkpoint)
            moved += made < total and self._look(number, str(checkpoint))
        metrics = metrics | {"baseline/updates": float(moved), "baseline/reward": self.best}
        return self._finish(metrics, made)

    def _steps(self) -> int:
        """Of the whole run: `epochs` passes over the chosen completions, at most `max_steps`."""
        each = self.config.batch_size * self.config.gradient_accumulation
        steps = math.ceil(self.config.epochs * len(self.examples) / each)
        return min(steps, self.config.max_steps or steps)

    def _round(self, number: int, steps: int, checkpoint: Path, reporter: Reporter) -> TrainResult:
        """One round: a run of its own, from where the round before it ended, on draws of its own."""
        config = self.config.model_copy(
            update={"max_steps": steps, "epochs": 1_000_000, "seed": self.config.seed + number}
        )
        return offline_rl.train(
            config=config,
            examples=self.examples,
            policy_source=self.source,
            output=checkpoint,
            work=self.work / f"round-{number}" / "work",
            reporter=reporter,
            reward=self.reward,
            reference_source=self.reference,
            reference_store=self.store,
            initial_source=self.base,
            unseen=self.unseen,
            device=self.device,
        )

    def _finish(self, metrics: dict[str, float], steps: int) -> TrainResult:
        """The adapter of the last round as the checkpoint of the run."""
        base = load_policy(self.base, device=self.device)
        return finish(
            continue_adapter(base.model, Path(self.source), kind=self.config.adapter),
            metrics,
            steps,
            work=self.work,
            output=self.output,
            tokenizer=base.tokenizer,
            kind="adapter",
            base=self.base,
            base_digest=base.digest,
        )

    def _look(self, number: int, checkpoint: str) -> bool:
        """Whether the reference moves to `checkpoint`. What was found is kept: a run that goes on samples no more."""
        found = self._kept(f"round-{number}", checkpoint)
        needed = self.config.baseline_update_threshold
        moves = found >= self.best + needed
        told = "becomes the reference" if moves else f"is not {needed:g} better, so the reference stays"
        self.reporter.log(
            f"round {number + 1}: mean reward on held-out prompts {found:.3f}, the reference's {self.best:.3f}; "
            f"the checkpoint {told}"
        )
        if moves:
            self.best, self.reference = found, checkpoint
        return moves

    def _kept(self, name: str, source: str) -> float:
        record = self.work / f"{name}.reward.json"
        if not record.exists():
            value = self._measured(load_policy(source, device=self.device, base=self.base))
            if is_main():
                self.work.mkdir(parents=True, exist_ok=True)
                partial = record.with_suffix(".tmp")
                partial.write_text(json.dumps(value))
                partial.replace(record)
            return value
        return float(json.loads(record.read_text()))

    def _measured(self, policy: Policy) -> float:
        """Mean reward of completions of the held-out prompts, sampled with the same seeds at every look."""
        stage = "completing held-out prompts"
        self.reporter.stage(stage, 0, LOOKED_AT)
        prompts = [self.asked[i % len(self.asked)] for i in range(LOOKED_AT)]
        made = generate(
            policy,
            prompts,
            sampling=Sampling(temperature=1.0, max_new_tokens=NEW_TOKENS),
            seeds=list(range(LOOKED_AT)),
            on_progress=lambda done, all_: self.reporter.stage(stage, done, all_),
            should_stop=self.reporter.should_stop,
        )
        if self.reporter.should_stop():
            raise Stopped("stopped while held-out prompts were completed; the run can be resumed")
        rewards = checked_rewards(self.reward(prompts, [one.text for one in made], [None] * len(made)))
        self.reporter.stage("training")
        known = rewards[~rewards.isnan()]
        if not len(known):
            raise ValueError("the reward says nothing of any completion of the held-out prompts")
        return float(known.mean())


class _Onwards:
    """A reporter of one round: its steps are counted on from those of the rounds before."""

    def __init__(self, reporter: Reporter, before: int, total: int) -> None:
        self._reporter, self._before, self._total = reporter, before, total

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        self._reporter.step(self._before + step, self._total, metrics)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        self._reporter.stage(stage, step, total)

    def log(self, line: str) -> None:
        self._reporter.log(line)

    def should_stop(self) -> bool:
        return self._reporter.should_stop()


def held_out(examples: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Messages]]:
    """What is learnt from, and the prompts of the groups that are not. Raises ValueError for fewer than 4 groups."""
    groups = sorted({pair.group for pair in examples})
    if len(groups) < LEAST_GROUPS:
        raise ValueError(
            f"the pairs are of {len(groups)} prompts, and some are held out to see whether the reference should move; "
            f"it needs at least {LEAST_GROUPS}: label more, or set baseline_update_threshold to 0"
        )
    kept_out = set(random.Random(seed).sample(groups, max(2, round(HELD_OUT * len(groups)))))
    asked = {json.dumps(pair.prompt): pair.prompt for pair in examples if pair.group in kept_out}
    return [pair for pair in examples if pair.group not in kept_out], list(asked.values())


def base_under(policy_source: str, initial_source: str | None) -> str:
    """Where the model lies that a run from this source has its adapter on."""
    folder = resolve_source(policy_source)
    if is_checkpoint(folder) and read_manifest(folder).kind == "adapter":
        return base_of(folder, elsewhere=initial_source)
    return policy_source
