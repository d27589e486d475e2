"""Runs under their live guards: a hacked reward ends one, the same run is watched or resumed, and gold is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from recorder import Recorder

from trainer.algorithms import train as train_run
from trainer.algorithms.guarding import FILE
from trainer.configs import parse_config
from trainer.examples import Question
from trainer.live_guards import GuardTripped
from trainer.manifest import is_checkpoint
from trainer.reporter import Stopped
from trainer.rewards.gold import Gold

SMALL: dict[str, Any] = {
    "adapter": "full",
    "epochs": 1000,
    "rollouts": 64,
    "batch_size": 32,
    "max_new_tokens": 8,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
    "save_steps": 1,
    "guard_patience": 3,
}
LOOSE: dict[str, dict[str, Any]] = {  # nothing holds it back
    "ppo": {"ppo_epochs": 2, "kl": 1e-6},
    "rloo": {"kl": 0.0},
    "grpo": {"kl": 0.0},
    "online_dpo": {"beta": 1e-3},
}
HELD: dict[str, dict[str, Any]] = {"ppo": {"kl": 5.0}, "rloo": {"kl": 5.0}, "grpo": {"kl": 5.0}, "online_dpo": {}}
SLOW = {"rloo": [pytest.mark.slow], "grpo": [pytest.mark.slow]}
EVERY = pytest.mark.parametrize("method", [pytest.param(method, marks=SLOW.get(method, [])) for method in LOOSE])


def questions(n: int = 40) -> list[Question]:
    return [Question([{"role": "user", "content": f"{i}?"}], reference=str(i)) for i in range(n)]


def letters(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """The share of the letter a: easy to hack by writing nothing else."""
    return [text.count("a") / max(1, len(text)) for text in texts]


def lengths(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """Of the first there is none."""
    return [float(len(text)) if place else None for place, text in enumerate(texts)]


def train(
    method: str, model: Path, folder: Path, recorder: Recorder, *, gold: Gold | None = None, **changes: Any
) -> None:
    config: Any = parse_config(method, SMALL | LOOSE[method] | changes)
    train_run(
        method,
        config=config,
        examples=questions(),
        reward=letters,
        gold=gold,
        policy_source=str(model),
        output=folder / "made",
        work=folder / "work",
        reporter=recorder,
        device="cpu",
    )


@EVERY
def test_a_reward_that_is_hacked_ends_the_run_without_a_checkpoint(
    tiny_model_dir: Path, tmp_path: Path, method: str
) -> None:
    recorder = Recorder()
    with pytest.raises(GuardTripped, match="as it does where it is hacked") as tripped:
        train(method, tiny_model_dir, tmp_path, recorder, max_steps=40)
    assert 1 < tripped.value.step < 40 and len(recorder.steps) == tripped.value.step - 1
    assert tripped.value.metrics["objective/scores"] > recorder.steps[0]["objective/scores"]
    first = next(step for step in recorder.steps if "guards/kl/used" in step)
    assert "objective/kl" in tripped.value.metrics and first["guards/kl/used"] == pytest.approx(0, abs=0.1)
    assert not is_checkpoint(tmp_path / "made")


@EVERY
def test_a_run_that_is_held_back_is_not_stopped(tiny_model_dir: Path, tmp_path: Path, method: str) -> None:
    recorder = Recorder()
    held = HELD[method] | {"learning_rate": 1e-4, "guard_patience": 1}
    train(method, tiny_model_dir, tmp_path, recorder, max_steps=6, **held)
    assert len(recorder.steps) == 6 and is_checkpoint(tmp_path / "made")
    assert recorder.steps[-1]["guards/distinct/used"] < 1


@EVERY
def test_a_resumed_run_compares_with_the_same_completions_and_counts_on(
    tiny_model_dir: Path, tmp_path: Path, method: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    seen = Recorder()
    train(method, tiny_model_dir, whole, seen, max_steps=3, guards="watch")
    with pytest.raises(Stopped):
        train(method, tiny_model_dir, parts, Recorder(stop_after=3), max_steps=3, guards="watch")
    kept = (parts / "work" / FILE).read_bytes()
    again = Recorder()
    train(method, tiny_model_dir, parts, again, max_steps=3, guards="watch")
    assert (parts / "work" / FILE).read_bytes() == kept == (whole / "work" / FILE).read_bytes()
    assert again.steps[0]["step"] > 1
    expected = {name: value for name, value in seen.steps[-1].items() if name.startswith("guards/")}
    assert expected
    assert {name: again.steps[-1][name] for name in expected} == pytest.approx(expected, abs=1e-3)


@EVERY
def test_gold_rewards_are_measured_at_every_step_and_change_nothing(
    tiny_model_dir: Path, tmp_path: Path, method: str
) -> None:
    bare, watched = Recorder(), Recorder()
    train(method, tiny_model_dir, tmp_path / "a", bare, max_steps=2, guards="watch")
    train(method, tiny_model_dir, tmp_path / "b", watched, max_steps=2, guards="watch", gold=Gold({"long": lengths}))
    assert all(step["gold/long/mean"] > 0 and step["gold/long/std"] > 0 for step in watched.steps)
    assert 0 < watched.steps[0]["gold/long/none"] < 0.1
    assert watched.steps[-1]["objective/scores"] == pytest.approx(bare.steps[-1]["objective/scores"])
