"""What a step's completions are worth, what else is measured of them, and whether they are still whole.

    appraiser = open_appraiser(config, roller, questions, reward, gold, work, reporter, group=2)
    found, metrics = appraiser.worth(questions, texts, ended)
    metrics |= appraiser.look(step, seen(rollouts), metrics)        # raises GuardTripped

Every method that learns from its own completions asks one before it learns, and saves its state with the rest. Leaves
out rewards (`trainer/rewards`) and guards (`guarding.py`, `trainer/live_guards.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.algorithms.guarding import open_guards
from trainer.algorithms.rollouts import Roller
from trainer.examples import Question
from trainer.live_guards import LiveGuards, Rollout
from trainer.online_fields import Online
from trainer.reporter import Reporter
from trainer.rewards.base import Reward
from trainer.rewards.composition import Composition
from trainer.rewards.gold import Gold

OF_EACH = 2
"""Completions of one prompt that the guards see at most in a step: many of few prompts differ from as many of others by
chance (docs/decisions/live-guards.md)."""


@dataclass(frozen=True)
class Appraiser:
    """`gold`: rewards that are measured and not learnt from. `group`: completions of one prompt, in a row."""

    reward: Reward
    gold: Gold | None
    guards: LiveGuards
    group: int = 1

    def worth(
        self, questions: Sequence[Question], texts: Sequence[str], ended: torch.Tensor
    ) -> tuple[list[float | None], dict[str, float]]:
        """What each completion is worth, and the metrics of a reward that is composed and of gold ones.

        Raises ValueError for a reward that gives another number of scores, and what the rewards raise.
        """
        given = [q.prompt for q in questions], texts, [q.reference for q in questions]
        beside = self.gold.measure(*given) if self.gold is not None else {}
        if isinstance(self.reward, Composition):
            scored = self.reward.score(*given, ended=ended.tolist())
            return scored.rewards, scored.metrics | beside
        found = list(self.reward(*given))
        if len(found) != len(texts):
            raise ValueError(f"the reward gave {len(found)} scores for {len(texts)} completions")
        return found, beside

    def look(self, step: int, rollouts: Sequence[Rollout], metrics: Mapping[str, float]) -> dict[str, float]:
        """The guards' metrics of a step with these completions; `metrics` are its others, objective/scores among them.

        Raises GuardTripped, which carries them all.
        """
        taken = [one for place, one in enumerate(rollouts) if place % self.group < OF_EACH]
        return self.guards.look(step, taken, reward=metrics["objective/scores"], metrics=metrics)

    def state(self) -> dict[str, Any]:
        """Plain data to save with the run."""
        reward = self.reward.state() if isinstance(self.reward, Composition) else None
        return {"reward": reward, "guards": self.guards.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        if isinstance(self.reward, Composition):
            self.reward.restore(state["reward"])
        self.guards.restore(state["guards"])


def open_appraiser(
    config: Online,
    roller: Roller,
    questions: Sequence[Question],
    reward: Reward,
    gold: Gold | None,
    work: Path,
    reporter: Reporter,
    *,
    group: int = 1,
) -> Appraiser:
    """The appraiser of a run that samples `group` completions of a prompt, its guards opened. Raises Stopped."""
    guards = open_guards(config, roller, questions, work, reporter, seed=config.seed, each=min(group, OF_EACH))
    return Appraiser(reward, gold, guards, group)
