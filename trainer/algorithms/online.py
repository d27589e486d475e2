"""What the methods share that learn from their own completions: prompts that fit, what they are held to, and the loop.

What a step samples follows from the seed of the run and the step's number, so a run resumes at the step after its last
save. Leaves out what a step learns (`ppo_step.py`, `groups.py`, `online_dpo.py`), sampling (`rollouts.py`) and what
completions are worth (`appraisal.py`).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from trainer.algorithms import together
from trainer.algorithms.actor_critic import ActorCritic
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.division import is_main
from trainer.algorithms.reference import allowed_difference
from trainer.algorithms.rollout_state import load_state, save_state
from trainer.algorithms.rollouts import Roller, Rollouts
from trainer.algorithms.start import Start
from trainer.algorithms.validation import Unseen, Validation, open_text_looks
from trainer.examples import Question
from trainer.online_fields import Online
from trainer.policy import Policy, load_policy
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.tensors import disable_dropout


class Stepping(Protocol):
    """A run that a step takes further; `steps` is how many there were."""

    config: Any
    actor: ActorCritic
    steps: int

    def step(self, questions: Sequence[Question], *, rate: float) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def held_to(start: Start, config: Online, device: str, *, apart: bool = False) -> Policy | None:
    """What the policy is held to; None for the base under its adapter.

    Trained in full, or with `apart`, the base is loaded again.
    """
    if start.reference is start.base and config.adapter != "full" and not apart:
        return None
    held = load_policy(start.base_source, device=device) if start.reference is start.base else start.reference
    disable_dropout(held.model)
    return held


def reference_of(start: Start, config: Online, device: str) -> ActorCritic | None:
    """The same, with a value beside it, as a Roller takes it."""
    held = held_to(start, config, device)
    return None if held is None else ActorCritic(held.model)


def fitting(questions: Sequence[Question], roller: Roller, reporter: Reporter) -> list[Question]:
    """Those that leave the model room for a completion. Raises ValueError where none does."""
    fitted = [question for question in questions if roller.fits(question)]
    if not fitted:
        raise ValueError(
            f"none of the {len(questions)} prompts leaves the model room for {roller.sampling.max_new_tokens} tokens; "
            "set max_new_tokens lower, or import shorter prompts"
        )
    if len(fitted) < len(questions):
        reporter.log(f"{len(questions) - len(fitted)} of {len(questions)} prompts are too long and were left out")
    return fitted


def check_start(rollouts: Rollouts, model: Any) -> None:
    """Raises InvariantViolated where policy and reference differ about completions, in a run that starts there."""
    apart = float((rollouts.old.logprobs - rollouts.reference).abs().max())
    if not apart <= allowed_difference(model, float(rollouts.reference.abs().max())):
        raise InvariantViolated(
            "the run starts at its reference, so the first completions must be equally likely under both; "
            f"a token's log-probability differs by {apart:.4f} nats"
        )


def follow(
    run: Stepping, questions: Sequence[Question], work: Path, reporter: Reporter, looks: Validation | None = None
) -> dict[str, float]:
    """All steps of the run, from its last save on, or until its looks end it; the metrics of the last one.

    The model is that of the last step, or of the best look where the settings keep that. Raises like the run's `step`.
    """
    config, total = run.config, planned_steps(run.config, len(questions))
    if (state := load_state(work)) is not None:
        run.restore(state)
        reporter.log(f"resuming from step {run.steps}")
    metrics: dict[str, float] = {} if state is None else state["metrics"]
    while run.steps < total and not (looks and looks.ends(run.steps)):
        metrics = run.step(questions, rate=rate_of(config, run.steps, total))
        if looks and looks.due(run.steps, total):
            metrics |= looks.look(run.steps, run.actor.model)
        if is_main():
            reporter.step(run.steps, total, metrics)
        stopping = together.agreed(reporter.should_stop(), run.actor.model.device)
        if is_main() and (stopping or run.steps % config.save_steps == 0 or run.steps == total):
            save_state(work, run.steps, {**run.state(), "metrics": metrics})
        if stopping and run.steps < total:
            raise Stopped(f"stopped on request after step {run.steps}; the run can be resumed")
    return metrics | (looks.close(run.steps, run.actor.model) if looks else {})


def open_own_looks(
    config: Online,
    unseen: Unseen,
    reward: Reward,
    base: Policy,
    model: Any,
    *,
    work: Path,
    reporter: Reporter,
    each: int = 1,
) -> Validation | None:
    """Looks by the run's own rewards at what `model` writes for prompts that it does not learn from."""
    judged = replace(unseen, reward=reward)
    return open_text_looks(config, judged, lambda: replace(base, model=model), work=work, reporter=reporter, each=each)


def planned_steps(config: Online, questions: int) -> int:
    """Rollout batches of the whole run: `epochs` passes over the questions, at most `max_steps`."""
    passes = -(-config.epochs * questions // config.rollouts)
    return min(passes, config.max_steps) if config.max_steps else passes


def rate_of(config: Online, step: int, total: int) -> float:
    """The learning rate of a step: up to its peak over `warmup_share` of the steps, then as the schedule has it."""
    warm = max(1, round(config.warmup_share * total))
    left = min(1.0, (total - step) / max(1, total - warm + 1))
    falls = {"linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2, "constant": 1.0}
    return config.learning_rate * min((step + 1) / warm, falls[config.schedule])
