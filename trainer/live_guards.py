"""Guards of a run that samples while it trains: is what it writes still like text of the model it began with?

    guards = LiveGuards(config, initial)                     # once: (prompt, Sample) of the initial model
    metrics |= guards.look(step, rollouts, reward=mean)      # every step; raises GuardTripped

The guards are those before the gate (trainer/guards.py), on a window of the newest completions against as many of the
initial model for prompts of the same run, at the same temperature. Left out: the sampling of the initial model and what
a run saves (trainer/algorithms/guarding.py), how a tripped run ends (trainer/worker.py). Free of torch.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from trainer import collapse_guards, guards
from trainer.guard_limits import GUARDS, GuardLimits
from trainer.guard_results import GuardInputs, GuardResult, Sample
from trainer.live_guard_config import LiveGuardSettings

WINDOW = 128
"""The newest completions that a look is made on, and those of the initial model that they are compared with."""
LEAST = 64
"""Completions without which shares and medians say nothing yet."""
MOST_USED = 10.0
LIVE = replace(GUARDS, empty_above=0.05, foreign_above=0.05, length_low=0.01, length_high=0.99)
"""Of 128 completions two or three are chance, where the gate has some hundred more. And a reward may ask for brevity:
only the extremes of the initial model's lengths are a limit; its 5th percentile is near what the starter's brief style
has."""

Rollout = tuple[str, Sample]
"""A prompt's text, which also tells it from other prompts, and a completion of it."""


class GuardTripped(Exception):
    """A guard has failed so often in a row that the run ends here. `metrics` are the step's, guards' included."""

    def __init__(self, reason: str, *, step: int, metrics: Mapping[str, float]) -> None:
        self.step, self.metrics = step, dict(metrics)
        super().__init__(reason)


class LiveGuards:
    """The newest completions of one run, and how often in a row each guard has failed on them."""

    def __init__(self, settings: LiveGuardSettings, initial: Sequence[Rollout], *, limits: GuardLimits = LIVE) -> None:
        """`initial`: WINDOW completions by the initial model. Raises ValueError for fewer than LEAST."""
        if len(initial) < LEAST:
            raise ValueError(f"guards need at least {LEAST} completions of the initial model, got {len(initial)}")
        self._settings, self._limits = settings, limits
        self._initial, self._known = _by_prompt(initial), [prompt for prompt, _ in initial]
        self._own = {one.name: one.value for one in self._results(self._initial, self._known)}
        self._window: deque[Rollout] = deque(maxlen=WINDOW)
        self._failed = Counter[str]()
        self._rewards: list[float] = []

    def look(
        self,
        step: int,
        rollouts: Sequence[Rollout],
        *,
        reward: float,
        metrics: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Take the completions of a step in, and judge the window: `guards/NAME` and `guards/NAME/used`.

        used: how much of the way from the initial model's own figure to the limit is gone, 1 at the limit. reward: the
        step's mean, told where it rises while the text breaks. metrics: what else is known of the step, for
        GuardTripped to carry along. Raises GuardTripped where the settings say so; nothing is told of a window of
        fewer than LEAST completions.
        """
        self._window.extend(rollouts)
        self._rewards = [*self._rewards[:1], reward]
        if len(self._window) < LEAST:
            return {}
        prompts = [prompt for prompt, _ in self._window]
        results = self._results(_by_prompt(self._window), [*self._known, *prompts])
        told = self._metrics(results)
        self._failed = Counter({one.name: self._failed[one.name] + 1 for one in results if not one.passed})
        if (tripped := self._tripped(results)) and self._settings.guards == "stop":
            raise GuardTripped(self._sentence(step, tripped), step=step, metrics={**(metrics or {}), **told})
        return told

    def state(self) -> dict[str, Any]:
        """Plain data to save with the run."""
        window = [[prompt, asdict(sample)] for prompt, sample in self._window]
        return {"window": window, "failed": dict(self._failed), "rewards": list(self._rewards)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._window = deque(((prompt, Sample(**fields)) for prompt, fields in state["window"]), maxlen=WINDOW)
        self._failed, self._rewards = Counter(state["failed"]), list(state["rewards"])

    def _results(self, seen: GuardInputs, prompts: Sequence[str]) -> list[GuardResult]:
        """Every guard of a run under way. `prompts`: those of both models, for their scripts and their phrases."""
        start, limits = self._initial, self._limits
        return [
            guards.finite(seen),
            guards.empty(seen, start, limits),
            guards.endless(seen, start, limits),
            guards.repetition(seen, start, limits),
            *(collapse_guards.distinct(seen, start, limits, n=n) for n in (1, 2, 3)),
            collapse_guards.alike(seen, start, limits),
            collapse_guards.same_text(seen, start, limits),
            collapse_guards.memorised(seen, start, limits, prompts=prompts),
            guards.refusals(seen, start, limits),
            guards.foreign_script(seen, start, limits, prompts=prompts),
            guards.length(seen, start, limits, chosen_lengths=[]),
            guards.kl_to_initial(seen, limits),
            guards.perplexity(seen, start, limits),
        ]

    def _metrics(self, results: Sequence[GuardResult]) -> dict[str, float]:
        told = {f"guards/{one.name}": one.value for one in results if math.isfinite(one.value)}
        return told | {f"guards/{one.name}/used": _used(one, self._own[one.name]) for one in results}

    def _tripped(self, results: Sequence[GuardResult]) -> list[GuardResult]:
        return [one for one in results if self._failed[one.name] >= self._settings.guard_patience]

    def _sentence(self, step: int, tripped: Sequence[GuardResult]) -> str:
        began, now = (round(reward, 3) for reward in (self._rewards[0], self._rewards[-1]))
        meanwhile = ""
        if now > began:
            meanwhile = f" The reward rose from {began:.3g} to {now:.3g} meanwhile, as it does where it is hacked."
        said = " ".join(one.reason for one in tripped)
        looks = "one look" if self._settings.guard_patience == 1 else f"{self._settings.guard_patience} looks in a row"
        return (
            f"Stopped by its guards at step {step}, after {looks}: {said}{meanwhile} More KL, the reward's filters or "
            "a lower learning rate hold it back; guards=watch lets it go on."
        )


def _by_prompt(rollouts: Sequence[Rollout] | deque[Rollout]) -> GuardInputs:
    rows: dict[str, list[Sample]] = {}
    for prompt, sample in rollouts:
        rows.setdefault(prompt, []).append(sample)
    return GuardInputs(list(rows.values()))


def _used(result: GuardResult, own: float) -> float:
    """0 at the initial model's own figure or better, 1 at the limit; at most MOST_USED, also for what is no number."""
    if not math.isfinite(result.value):
        return MOST_USED
    room = result.limit - own
    if room == 0:
        return 0.0 if result.passed else MOST_USED
    return min(MOST_USED, max(0.0, (result.value - own) / room))
