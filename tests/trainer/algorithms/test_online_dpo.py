"""Online DPO: its pairs are its own completions, it climbs its reward, and it resumes to the same weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from safetensors.torch import load_file

from trainer.algorithms import online_dpo
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.online_dpo import OwnPair, pairs_of
from trainer.algorithms.rollouts import Roller
from trainer.examples import Question
from trainer.online_config import OnlineDPOConfig
from trainer.reporter import Stopped
from trainer.rewards.composition import Composition
from trainer.rewards.configs import RewardSettings
from trainer.rewards.opening import open_rewards

SMALL: dict[str, Any] = {
    "epochs": 1000,
    "max_steps": 2,
    "rollouts": 8,
    "batch_size": 2,
    "max_new_tokens": 6,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
    "save_steps": 1,
    "missing_end_penalty": 0.0,
}


def questions(n: int = 5) -> list[Question]:
    return [Question([{"role": "user", "content": "Say" + " it" * i}], reference=str(i)) for i in range(n)]


def capitals(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """The share of capital letters."""
    return [sum(map(str.isupper, text)) / max(1, len(text)) for text in texts]


def train(
    model: Path, folder: Path, *, recorder: Recorder | None = None, reward: Any = capitals, **changes: Any
) -> Any:
    return online_dpo.train(
        config=OnlineDPOConfig(**{**SMALL, **changes}),
        examples=questions(),
        reward=reward,
        policy_source=str(model),
        output=folder / "made",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = (folder / "made").glob("*.safetensors")
    return load_file(file)


def test_the_better_of_two_is_chosen_and_ties_are_left_out() -> None:
    texts = ["a", "b", "c", "d", "e", "e", "f", "g", "h", "i"]
    scores = [1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 1.0, 1.0, float("nan"), 1.0]
    assert pairs_of(texts, scores) == [OwnPair(1, 0), OwnPair(2, 3)]
    assert pairs_of(texts, scores, least_gap=1.0) == [OwnPair(2, 3)]


def test_it_climbs_its_reward(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    settings = {"adapter": "full", "max_steps": 8, "rollouts": 48, "batch_size": 12, "guards": "watch"}
    train(tiny_model_dir, tmp_path, recorder=recorder, **settings)
    scores = [metrics["objective/scores"] for metrics in recorder.steps]
    assert scores[-1] > scores[0] + 0.1


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_first_loss_is_that_of_the_reference_and_the_distance_is_to_where_it_began(
    tiny_model_dir: Path, tmp_path: Path, adapter: str
) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, adapter=adapter, passes=1, batch_size=8)
    first, second = recorder.steps
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert first["objective/kl"] == pytest.approx(0, abs=1e-4) and abs(second["objective/kl"]) > 1e-4


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(tiny_model_dir: Path, tmp_path: Path) -> None:
    def composed() -> Composition:
        rewards = [{"kind": "length", "longest": 1, "margin": 5}, {"kind": "script"}]
        return open_rewards(RewardSettings.model_validate({"rewards": rewards, "filters": {"script": False}}))

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(tiny_model_dir, whole, reward=composed(), max_steps=3)
    with pytest.raises(Stopped):
        train(tiny_model_dir, parts, reward=composed(), recorder=Recorder(stop_after=2), max_steps=3)
    recorder = Recorder()
    train(tiny_model_dir, parts, reward=composed(), recorder=recorder, max_steps=3)
    assert recorder.steps[0]["step"] > 1 and recorder.steps[-1]["step"] == 3
    for name, expected in weights(whole).items():
        assert torch.allclose(weights(parts)[name], expected, atol=1e-5), name


def test_accumulated_gradients_are_those_of_the_big_batch(tiny_model_dir: Path, tmp_path: Path) -> None:
    for name, batch, accumulation in (("big", 4, 1), ("small", 1, 4)):
        settings = {"batch_size": batch, "gradient_accumulation": accumulation, "max_steps": 1}
        train(tiny_model_dir, tmp_path / name, **settings)
    for name, expected in weights(tmp_path / "big").items():
        assert torch.allclose(weights(tmp_path / "small")[name], expected, atol=1e-4), name


def test_a_step_without_a_decided_pair_moves_nothing(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, reward=lambda p, texts, r: [1.0] * len(texts))
    assert [metrics["pairs/decided"] for metrics in recorder.steps] == [0.0, 0.0]
    assert all(not w.any() for name, w in weights(tmp_path).items() if "lora_B" in name)


def test_a_wrong_reference_stops_the_run_at_once(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled = Roller.roll

    def shifted(self: Roller, *given: Any) -> Any:
        made = rolled(self, *given)
        made.reference.add_(0.1 * made.old.mask)
        return made

    monkeypatch.setattr(Roller, "roll", shifted)
    with pytest.raises(InvariantViolated, match="differs by"):
        train(tiny_model_dir, tmp_path)


def test_an_odd_number_of_completions_is_refused_at_its_field() -> None:
    with pytest.raises(ValueError, match="rollouts: 7 was given"):
        OnlineDPOConfig(rollouts=7)
