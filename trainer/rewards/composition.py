"""The sum of weighted rewards: each brought to one scale, added up, clipped, and filtered before all that.

    reward = clip(sum_k w_k z_k; low, high),   z_k = (r_k - mean_k) / std_k   or r_k where z_score is off

mean_k and std_k run over every value that term k has given, the batch at hand included (as in TRL 0.7.1); they are
the only state, to be saved with a run and restored. A completion with a fault of the filters gets `filtered_reward`,
and no term sees it: neither scores nor statistics are moved by garbage. A term that gives None for a completion is left
out of its sum, which under z-scoring is worth the term's mean; where every term is left out, so is the completion: its
reward is None.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.losses.normalisation import RunningMoments
from trainer.prompting import Messages
from trainer.rewards.base import Reward, RewardError, checked_inputs, checked_scores
from trainer.rewards.configs import RewardSettings
from trainer.rewards.filters import FILTERS, find_faults

FORMAT = 1
FLAT = 1e-9  # a deviation below this share of the mean is rounding, not spread


@dataclass(frozen=True)
class Scored:
    """A batch's rewards, in order.

    terms: what each term gave, raw; None too where a fault kept the completion from it. faults: the filter that each
    completion tripped, or None. metrics: by name, for logging; the table is in docs/rewards.md.
    """

    rewards: list[float | None]
    terms: dict[str, list[float | None]]
    faults: list[str | None]
    metrics: dict[str, float]


class Composition:
    """Terms ready to score, in the order of `settings.rewards`. A reward like any other, with a state."""

    def __init__(self, settings: RewardSettings, rewards: Sequence[Reward]) -> None:
        self._settings = settings
        self._rewards = {term.title: reward for term, reward in zip(settings.rewards, rewards, strict=True)}
        self._weights = {term.title: term.weight for term in settings.rewards}
        self._moments = {label: RunningMoments() for label in self._rewards}

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        return self.score(prompts, completions, references).rewards

    def score(
        self,
        prompts: Sequence[Messages],
        completions: Sequence[str],
        references: Sequence[str | None],
        *,
        ended: Sequence[bool] | None = None,
        learn: bool = True,
    ) -> Scored:
        """Rewards, raw terms, faults and metrics of a batch.

        ended: whether each completion ended by itself, for the filter missing_end. learn: whether the running
        statistics take the batch in; not for validation. Raises RewardError for a term that gives what it must not,
        and where nothing was learnt that z-scores could be made with.
        """
        checked_inputs(prompts, completions, references)
        faults = find_faults(self._settings.filters, prompts, completions, references, ended)
        clean = [index for index, fault in enumerate(faults) if fault is None]
        given = [prompts[i] for i in clean], [completions[i] for i in clean], [references[i] for i in clean]
        raw = {
            label: checked_scores(label, reward(*given) if clean else [], len(clean))
            for label, reward in self._rewards.items()
        }
        if learn:
            self._moments = {label: moments.updated(_known(raw[label])) for label, moments in self._moments.items()}
        sums = self._sums(raw, len(clean))
        rewards = self._placed(sums, clean, len(completions))
        metrics = _metrics(raw, rewards, faults) | {"rewards/clipped": self._clipped(sums)}
        return Scored(rewards, {label: _spread(raw[label], clean, len(faults)) for label in raw}, faults, metrics)

    def state(self) -> dict[str, Any]:
        """The running statistics as plain data; JSON keeps them exactly."""
        return {"format": FORMAT, "moments": {label: asdict(moments) for label, moments in self._moments.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave. Raises RewardError where it is of other terms."""
        if state.get("format") != FORMAT or set(state["moments"]) != set(self._moments):
            found = ", ".join(state.get("moments", {})) or "nothing"
            raise RewardError(
                f"The saved statistics are of {found}, and the rewards are {', '.join(self._moments)}.",
                hint="Resume with the rewards that the run began with.",
            )
        self._moments = {label: RunningMoments(**state["moments"][label]) for label in self._moments}

    def at(self, state: Mapping[str, Any]) -> "Composition":
        """The same terms with the statistics of that state, whatever this one goes on to learn."""
        other = copy.copy(self)
        other.restore(state)
        return other

    def close(self) -> None:
        """Give back what terms hold open: a judge's file of replies."""
        for reward in self._rewards.values():
            if hasattr(reward, "close"):
                reward.close()

    def _sums(self, raw: Mapping[str, Sequence[float | None]], count: int) -> list[float | None]:
        """The weighted sum for each of `count` completions, before clipping."""
        sums: list[float | None] = [None] * count
        for label, values in raw.items():
            places = [index for index, value in enumerate(values) if value is not None]
            for place, value in zip(places, self._scaled(label, _known(values)).tolist(), strict=True):
                sums[place] = (sums[place] or 0.0) + self._weights[label] * value
        return sums

    def _scaled(self, label: str, values: Tensor) -> Tensor:
        moments = self._moments[label]
        if not self._settings.z_score or not len(values):
            return values
        if not moments.count:
            raise RewardError(
                f"There are no statistics of the reward {label} yet to make z-scores with.",
                hint="Score a batch that is learnt from first, or switch z_score off.",
            )
        if moments.std <= FLAT * max(1.0, abs(moments.mean)):
            return torch.zeros_like(values)
        return moments.normalised(values)

    def _placed(self, sums: Sequence[float | None], clean: Sequence[int], count: int) -> list[float | None]:
        low, high = self._settings.reward_low, self._settings.reward_high
        filtered = self._settings.filtered_reward
        rewards: list[float | None] = [low if filtered is None else filtered] * count
        for index, value in zip(clean, sums, strict=True):
            rewards[index] = None if value is None else min(high, max(low, value))
        return rewards

    def _clipped(self, sums: Sequence[float | None]) -> float:
        low, high = self._settings.reward_low, self._settings.reward_high
        known = [value for value in sums if value is not None]
        return sum(not low <= value <= high for value in known) / len(known) if known else 0.0


def _known(values: Sequence[float | None]) -> Tensor:
    """[N] of the values that are not None, float64."""
    return torch.tensor([value for value in values if value is not None], dtype=torch.float64)


def _spread(values: Sequence[float | None], places: Sequence[int], count: int) -> list[float | None]:
    found = dict(zip(places, values, strict=True))
    return [found.get(index) for index in range(count)]


def _metrics(
    raw: Mapping[str, Sequence[float | None]], rewards: Sequence[float | None], faults: Sequence[str | None]
) -> dict[str, float]:
    made: dict[str, float] = {}
    for label, values in (*raw.items(), ("total", rewards)):
        made |= {f"rewards/{label}/{name}": value for name, value in _figures(values).items()}
    count = max(1, len(faults))
    made["rewards/filtered"] = sum(fault is not None for fault in faults) / count
    return made | {f"rewards/filtered/{name}": faults.count(name) / count for name in FILTERS}


def _figures(values: Sequence[float | None]) -> dict[str, float]:
    """Mean and deviation of the values that there are, and the share that there are none."""
    moments = RunningMoments().updated(_known(values))
    figures = {"mean": moments.mean, "std": moments.std} if moments.count else {}
    return figures | {"none": 1 - moments.count / len(values)} if values else {}
