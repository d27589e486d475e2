"""Gold rewards: measured at every step of a run and never learnt from; a reward that is hacked parts from them.

Every completion is measured, those too that a filter keeps from the rewards; raw values, one mean and deviation each.
Leaves out the rewards themselves (`opening.py`) and their chart (app/ui/reward_chart.py).
"""

from collections.abc import Mapping, Sequence

import torch

from trainer.losses.normalisation import RunningMoments
from trainer.prompting import Messages
from trainer.rewards.base import Reward, checked_inputs, checked_scores


class Gold:
    """Rewards by name. Give back what they hold open with `close`."""

    def __init__(self, rewards: Mapping[str, Reward]) -> None:
        self._rewards = dict(rewards)

    def measure(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> dict[str, float]:
        """gold/NAME/mean and gold/NAME/std over the completions that it applies to, gold/NAME/none the others' share.

        Raises RewardError for a reward that gives what it must not.
        """
        checked_inputs(prompts, completions, references)
        told: dict[str, float] = {}
        for name, reward in self._rewards.items():
            values = checked_scores(name, reward(prompts, completions, references), len(completions))
            known = torch.tensor([value for value in values if value is not None], dtype=torch.float64)
            moments = RunningMoments().updated(known)
            if moments.count:
                told |= {f"gold/{name}/mean": moments.mean, f"gold/{name}/std": moments.std}
            told[f"gold/{name}/none"] = 1 - moments.count / max(1, len(values))
        return told

    def close(self) -> None:
        """As of a composition."""
        for reward in self._rewards.values():
            if hasattr(reward, "close"):
                reward.close()
