"""What offline reinforcement learning learns from: stored completions, what each is worth, and the order of the draws.

Rewards, the reference's values and the whole order are settled before the first step and kept beside the saves with
the state of the generator, so that a run that goes on draws what it would have drawn. Leaves out the value's fit
(`value_fit.py`), the strategies (`trainer/advantage_sampling.py`) and the loss.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.advantage_sampling import Strategy, draws, order, scaled_steps
from trainer.algorithms.division import examples_per_step, is_main
from trainer.algorithms.reference import (
    ReferenceStore,
    Row,
    pair_rows,
    reference_logprobs,
    reference_token_logprobs,
)
from trainer.algorithms.start import Start
from trainer.algorithms.value_fit import EncodedPrompt, fitted_values
from trainer.configs import OfflineConfig
from trainer.examples import Pair, length_limit
from trainer.losses.offline import NEEDS_REFERENCE, NEEDS_VALUE
from trainer.offline_fields import PREFERENCE_REWARDS, PREFERENCE_VALUE, Rewarded, Valued
from trainer.prompting import Messages
from trainer.reporter import Reporter
from trainer.rewards.base import Reward


@dataclass(frozen=True)
class Scored:
    """A completion ready to train on. `reference` is its log-probability (nats), per token for a_lol_seq; None, like
    `value`, where the method has no use for it."""

    row: Row
    reward: float
    value: float | None
    reference: float | list[float] | None


@dataclass(frozen=True)
class OfflineData:
    """Completions, the place of each draw among them, the optimiser steps these make, and the steps of one pass."""

    completions: list[Scored]
    order: list[int]
    steps: int
    steps_per_pass: int


@dataclass(frozen=True)
class _Text:
    messages: Messages
    completion: str
    row: Row


@dataclass(frozen=True)
class _Plan:
    """What is kept: places of the texts that have a reward, theirs and the reference's values, and the draws."""

    places: Tensor
    rewards: Tensor
    values: Tensor
    order: Tensor
    steps: Tensor
    generator: Tensor


def prepare(
    examples: Sequence[Pair],
    start: Start,
    config: OfflineConfig,
    *,
    reward: Reward | None,
    store: ReferenceStore | None,
    work: Path,
    reporter: Reporter,
) -> OfflineData:
    """The data of a run; what an attempt before this one settled is taken from `work`.

    Raises ValueError for rewards that cannot be weights and where no completion is worth learning, Stopped.
    """
    texts = _texts(examples, start, config, reporter)
    kept = work / "offline.safetensors"
    identity = _identity(texts, config)
    plan = _read(kept, identity)
    if plan is None:
        plan = _plan(texts, len(examples), start, config, reward=reward, reporter=reporter)
        _write(kept, plan, identity)
    else:
        reporter.log("rewards, values and the order of the draws are those of the attempt before")
    completions = _completions(
        [texts[place] for place in plan.places.tolist()], plan.rewards, plan.values, start, config, store
    )
    drawn = plan.order.tolist()
    each = math.ceil(len(set(drawn)) / examples_per_step(config))
    return OfflineData(completions, drawn, int(plan.steps), each)


def scored(
    examples: Sequence[Pair],
    start: Start,
    config: OfflineConfig,
    *,
    reward: Reward | None,
    store: ReferenceStore | None,
    reporter: Reporter,
) -> list[Scored]:
    """The completions of pairs that are not learnt from, without draws: each counts once. Raises like `prepare`."""
    texts = _texts(examples, start, config, reporter)
    places, rewards, values = _worth(texts, len(examples), start, config, reward, reporter)
    return _completions([texts[place] for place in places.tolist()], rewards, values, start, config, store)


def _texts(examples: Sequence[Pair], start: Start, config: OfflineConfig, reporter: Reporter) -> list[_Text]:
    """The chosen, and where the draws are of both, behind them the rejected."""
    max_length = length_limit(start.base.model, config.max_length)
    pairs = pair_rows(examples, start, max_length=max_length, reporter=reporter)
    texts = [_Text(p.prompt, p.chosen, chosen) for p, (chosen, _) in zip(examples, pairs, strict=True)]
    if strategy_of(config) in ("all_priority", "uniform") and config.method != "nll":
        texts += [_Text(p.prompt, p.rejected, rejected) for p, (_, rejected) in zip(examples, pairs, strict=True)]
    return texts


def _completions(
    texts: Sequence[_Text],
    rewards: Tensor,
    values: Tensor,
    start: Start,
    config: OfflineConfig,
    store: ReferenceStore | None,
) -> list[Scored]:
    references = _references([text.row for text in texts], start, config, store=store)
    return [
        Scored(text.row, worth, value if config.method in NEEDS_VALUE else None, reference)
        for text, worth, value, reference in zip(texts, rewards.tolist(), values.tolist(), references, strict=True)
    ]


def strategy_of(config: OfflineConfig) -> Strategy:
    return config.sampling if isinstance(config, Rewarded) else "uniform"


def _plan(
    texts: Sequence[_Text],
    chosen: int,
    start: Start,
    config: OfflineConfig,
    *,
    reward: Reward | None,
    reporter: Reporter,
) -> _Plan:
    places, rewards, values = _worth(texts, chosen, start, config, reward, reporter)
    preferred = int((places < chosen).sum())
    gains = rewards - values
    rejected = gains[preferred:] if len(texts) > chosen else None
    distribution = draws(strategy_of(config), gains[:preferred], rejected)
    per_step = examples_per_step(config)
    steps = scaled_steps(math.ceil(config.epochs * preferred / per_step), distribution, preferred)
    steps = min(steps, config.max_steps or steps)
    reporter.log(
        f"{len(distribution.places)} of {len(texts)} completions are drawn from, by {strategy_of(config)}, "
        f"in {steps} steps"
    )
    generator = torch.Generator().manual_seed(config.seed)
    distinct = per_step if per_step <= len(distribution.places) else 1  # no twins in a step where there are enough
    drawn = order(strategy_of(config), distribution, steps * per_step, generator, distinct=distinct)
    return _Plan(places, rewards, values, drawn, torch.tensor(steps), generator.get_state())


def _worth(
    texts: Sequence[_Text],
    chosen: int,
    start: Start,
    config: OfflineConfig,
    reward: Reward | None,
    reporter: Reporter,
) -> tuple[Tensor, Tensor, Tensor]:
    """Places of the texts that have a reward, theirs, and the reference's values, which are 0 where unused."""
    rewards = _rewards(texts, chosen, reward, reporter)
    places = rewards.isfinite().nonzero().squeeze(-1)
    rewards = rewards[places]
    if config.method not in NEEDS_VALUE:
        return places, rewards, torch.zeros_like(rewards)
    known = [texts[place] for place in places.tolist()]
    return places, rewards, _values(known, rewards, start, config, reward, reporter)


def _rewards(texts: Sequence[_Text], chosen: int, reward: Reward | None, reporter: Reporter) -> Tensor:
    """[N], NaN where there is none. Raises ValueError for one that cannot be a weight, and where all are missing."""
    if reward is None:
        return torch.tensor([PREFERENCE_REWARDS[place >= chosen] for place in range(len(texts))])
    found = checked_rewards(reward([t.messages for t in texts], [t.completion for t in texts], [None] * len(texts)))
    missing = int(found.isnan().sum())
    if not (found[:chosen] >= 0).any():
        raise ValueError(f"the reward says nothing of any of {chosen} chosen completions; use one that applies to them")
    if missing:
        reporter.log(f"{missing} of {len(texts)} completions have no reward and are left out")
    return found


def checked_rewards(found: Sequence[float | None]) -> Tensor:
    """Rewards as weights, NaN for None. Raises ValueError for one that is negative or no number."""
    for place, value in enumerate(found):
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(
                f"completion {place} has the reward {value}; here rewards are weights, finite and from 0 up, so shift "
                "or clip them"
            )
    return torch.tensor([math.nan if value is None else value for value in found])


def _values(
    texts: Sequence[_Text],
    rewards: Tensor,
    start: Start,
    config: OfflineConfig,
    reward: Reward | None,
    reporter: Reporter,
) -> Tensor:
    if reward is None:
        return torch.full_like(rewards, PREFERENCE_VALUE)
    assert isinstance(config, Valued)

    def scored(prompts: Sequence[Messages], completions: Sequence[str]) -> Tensor:
        return checked_rewards(reward(prompts, completions, [None] * len(prompts)))

    return fitted_values(
        [EncodedPrompt(text.messages, text.row.prompt) for text in texts],
        start.reference,
        scored,
        config,
        largest=float(rewards.max()),
        seed=config.seed,
        batch_size=config.batch_size,
        max_new_tokens=max(len(text.row.completion) for text in texts),
        reporter=reporter,
    )


def _references(
    rows: Sequence[Row], start: Start, config: OfflineConfig, *, store: ReferenceStore | None
) -> list[float | list[float] | None]:
    settings = {"batch_size": 2 * config.batch_size, "seed": config.seed}
    if config.method not in NEEDS_REFERENCE:
        return [None] * len(rows)
    if config.method == "a_lol_seq":
        tokens = reference_token_logprobs(rows, start.reference, **settings)
        return [tokens[row.key] for row in rows]
    sums = reference_logprobs(rows, start.reference, store=store, **settings)
    return [sums[row.key] for row in rows]


# ---------------------------------------------------------------------------------------------- what is kept


def _identity(texts: Sequence[_Text], config: OfflineConfig) -> str:
    told = [config.method, config.model_dump_json(), *(f"{text.row.key}" for text in texts)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _read(kept: Path, identity: str) -> _Plan | None:
    """None where nothing is kept. Raises ValueError where it is that of other data or settings."""
    if not kept.is_file():
        return None
    with safe_open(kept, framework="pt") as file:  # type: ignore[no-untyped-call]
        if file.metadata()["identity"] != identity:
            raise ValueError(f"{kept} belongs to other data or settings; give this run a folder of its own")
        return _Plan(**{name: file.get_tensor(name) for name in _Plan.__dataclass_fields__})


def _write(kept: Path, plan: _Plan, identity: str) -> None:
    if not is_main():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".tmp")
    save_file({name: value.contiguous() for name, value in vars(plan).items()}, partial, {"identity": identity})
    partial.replace(kept)
