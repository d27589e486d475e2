"""PPO under its live guards: a hacked reward ends the run, the same run is watched or resumed, and gold is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from recorder import Recorder

from trainer.algorithms import ppo
from trainer.algorithms.guarding import FILE
from trainer.examples import Question
from trainer.live_guards import GuardTripped
from trainer.manifest import is_checkpoint
from trainer.ppo_config import PPOConfig
from trainer.reporter import Stopped
from trainer.rewards.gold import Gold

SMALL: dict[str, Any] = {
    "adapter": "full",
    "epochs": 1000,
    "rollouts": 64,
    "batch_size": 32,
    "ppo_epochs": 2,
    "max_new_tokens": 8,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
    "save_steps": 1,
    "kl": 1e-6,
    "guard_patience": 3,
}


def questions(n: int = 40) -> list[Question]:
    return [Question([{"role": "user", "content": f"{i}?"}], reference=str(i)) for i in range(n)]


def letters(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """The share of the letter a: easy to hack by writing nothing else."""
    return [text.count("a") / max(1, len(text)) for text in texts]


def lengths(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    return [float(len(text)) if reference != "0" else None for text, reference in zip(texts, references, strict=True)]


def train(model: Path, folder: Path, recorder: Recorder, *, gold: Gold | None = None, **changes: Any) -> None:
    ppo.train(
        config=PPOConfig(**{**SMALL, **changes}),
        examples=questions(),
        reward=letters,
        gold=gold,
        policy_source=str(model),
        output=folder / "ppo-0001",
        work=folder / "work",
        reporter=recorder,
        device="cpu",
    )


def test_a_reward_that_is_hacked_ends_the_run_without_a_checkpoint(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(GuardTripped, match="as it does where it is hacked") as tripped:
        train(tiny_model_dir, tmp_path, recorder, max_steps=40)
    assert 1 < tripped.value.step < 40 and len(recorder.steps) == tripped.value.step - 1
    assert "objective/kl" in tripped.value.metrics and recorder.steps[0]["guards/kl/used"] == pytest.approx(0, abs=0.1)
    assert not is_checkpoint(tmp_path / "ppo-0001")


def test_a_run_held_back_by_kl_is_not_stopped(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder, max_steps=6, kl=5.0, learning_rate=1e-4)
    assert len(recorder.steps) == 6 and is_checkpoint(tmp_path / "ppo-0001")


def test_a_resumed_run_compares_with_the_same_completions_and_counts_on(tiny_model_dir: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    seen = Recorder()
    train(tiny_model_dir, whole, seen, max_steps=3, guards="watch")
    with pytest.raises(Stopped):
        train(tiny_model_dir, parts, Recorder(stop_after=2), max_steps=3, guards="watch")
    kept = (parts / "work" / FILE).read_bytes()
    again = Recorder()
    train(tiny_model_dir, parts, again, max_steps=3, guards="watch")
    assert (parts / "work" / FILE).read_bytes() == kept == (whole / "work" / FILE).read_bytes()
    expected = {name: value for name, value in seen.steps[-1].items() if name.startswith("guards/")}
    assert {name: again.steps[-1][name] for name in expected} == pytest.approx(expected, abs=1e-3)


def test_gold_rewards_are_measured_at_every_step_and_change_nothing(tiny_model_dir: Path, tmp_path: Path) -> None:
    bare, watched = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "a", bare, max_steps=2, guards="watch")
    train(tiny_model_dir, tmp_path / "b", watched, max_steps=2, guards="watch", gold=Gold({"long": lengths}))
    assert all(step["gold/long/mean"] > 0 and step["gold/long/std"] > 0 for step in watched.steps)
    assert 0 < watched.steps[0]["gold/long/none"] < 0.1
    assert watched.steps[-1]["objective/scores"] == pytest.approx(bare.steps[-1]["objective/scores"])
