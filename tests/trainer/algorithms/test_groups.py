"""RLOO and GRPO through TRL: ours are the samples, the reference and the saves; the loss is the one written down."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from safetensors.torch import load_file

from trainer.algorithms import groups
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.own_rollouts import GRPO, RLOO, OwnRollouts
from trainer.configs import parse_config
from trainer.examples import Question
from trainer.losses.groups import grpo_loss, rloo_advantages, rloo_loss
from trainer.manifest import read_manifest
from trainer.reporter import Stopped
from trainer.rewards.configs import RewardSettings
from trainer.rewards.opening import open_rewards

SMALL: dict[str, Any] = {
    "epochs": 1000,
    "max_steps": 2,
    "rollouts": 8,
    "group_size": 4,
    "batch_size": 4,
    "passes": 2,
    "max_new_tokens": 6,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
    "save_steps": 1,
    "missing_end_penalty": 0.0,
}
BOTH = pytest.mark.parametrize("method", ["rloo", "grpo"])


def questions(n: int = 5) -> list[Question]:
    return [Question([{"role": "user", "content": "Say" + " it" * i}], reference=str(i)) for i in range(n)]


def capitals(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """The share of capital letters."""
    return [sum(map(str.isupper, text)) / max(1, len(text)) for text in texts]


def train(
    model: Path, folder: Path, method: str, *, recorder: Recorder | None = None, reward: Any = capitals, **changes: Any
) -> Any:
    return groups.train(
        config=parse_config(method, SMALL | changes),
        examples=questions(),
        reward=reward,
        policy_source=str(model),
        output=folder / "made",
        work=folder / "work",
        reporter=recorder or Recorder(),
        initial_source=None,
        device="cpu",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = (folder / "made").glob("*.safetensors")
    return load_file(file)


class StopsInStep(Recorder):
    """Asks for a stop from the n-th time on that it is asked after so many steps."""

    def __init__(self, steps: int, asked: int) -> None:
        super().__init__()
        self.most, self.left = steps, asked

    def should_stop(self) -> bool:
        if len(self.steps) >= self.most:
            self.left -= 1
        return self.left < 0


@BOTH
def test_it_climbs_its_reward(tiny_model_dir: Path, tmp_path: Path, method: str) -> None:
    recorder = Recorder()
    settings = {"adapter": "full", "max_steps": 8, "rollouts": 48, "batch_size": 24, "kl": 0.01, "guards": "watch"}
    train(tiny_model_dir, tmp_path, method, recorder=recorder, **settings)
    scores = [metrics["objective/scores"] for metrics in recorder.steps]
    assert scores[-1] > scores[0] + 0.1
    assert [metrics["step"] for metrics in recorder.steps] == list(range(1, 9)) and recorder.total == 8


@BOTH
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_distance_is_to_where_it_began(tiny_model_dir: Path, tmp_path: Path, method: str, adapter: str) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, method, recorder=recorder, adapter=adapter, passes=1, rollouts=4)
    first, second = (metrics["objective/kl_per_token"] for metrics in recorder.steps)
    assert first == pytest.approx(0, abs=1e-5) and abs(second) > 1e-5
    assert read_manifest(tmp_path / "made").kind == ("adapter" if adapter == "lora" else "full")


@BOTH
def test_an_adapter_trained_further_is_held_to_the_model_under_it(
    tiny_model_dir: Path, tmp_path: Path, method: str
) -> None:
    train(tiny_model_dir, tmp_path, method)
    recorder = Recorder()
    train(tmp_path / "made", tmp_path / "more", method, recorder=recorder, max_steps=1, passes=1, rollouts=4)
    assert abs(recorder.steps[0]["objective/kl_per_token"]) > 1e-5
    assert not list((tmp_path / "more").rglob("ref"))


@BOTH
@pytest.mark.parametrize(("steps", "asked"), [(1, 0), (1, 9)])
def test_a_stopped_run_goes_on_from_whole_steps_to_the_weights_of_one_that_was_not(
    tiny_model_dir: Path, tmp_path: Path, method: str, steps: int, asked: int
) -> None:
    def composed() -> Any:
        rewards = [{"kind": "length", "longest": 1, "margin": 5}, {"kind": "script"}]
        return open_rewards(RewardSettings.model_validate({"rewards": rewards, "filters": {"script": False}}))

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(tiny_model_dir, whole, method, reward=composed(), max_steps=3)
    with pytest.raises(Stopped):
        train(tiny_model_dir, parts, method, reward=composed(), recorder=StopsInStep(steps, asked), max_steps=3)
    recorder = Recorder()
    train(tiny_model_dir, parts, method, reward=composed(), recorder=recorder, max_steps=3)
    assert recorder.steps[0]["step"] == 2
    for name, expected in weights(whole).items():
        assert torch.allclose(weights(parts)[name], expected, atol=1e-5), name


@BOTH
def test_what_trl_computes_is_what_is_written_down(
    tiny_model_dir: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, float]] = []
    kind = RLOO if method == "rloo" else GRPO
    theirs = kind._compute_loss

    def compared(self: Any, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = theirs(self, model, inputs)
        new, mask, gain = self.newest, inputs["completion_mask"].float(), inputs["advantages"]
        if method == "rloo":
            ours = rloo_loss(new.sum(dim=-1, keepdim=True), inputs["old_logps"][:, None], gain, torch.ones(len(new), 1))
            value = float(ours.mean())
        else:
            old, reference = inputs["old_per_token_logps"], inputs["ref_per_token_logps"]
            value = float(grpo_loss(new, old, gain, mask, kind="bnpo", reference=reference, beta=0.2))
        seen.append((float(loss.detach()), value))
        return loss

    monkeypatch.setattr(kind, "_compute_loss", compared)
    more = {"loss_type": "bnpo"} if method == "grpo" else {}
    train(tiny_model_dir, tmp_path, method, kl=0.2, **more)
    assert len(seen) == 8 and any(abs(ours) > 1e-4 for _, ours in seen)
    for trl, ours in seen:
        assert trl == pytest.approx(ours, abs=2e-5)


def test_advantages_are_over_the_other_completions_of_the_same_prompt(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[float]] = []
    made = RLOO._generate_and_score_completions

    def kept(self: Any, inputs: Any) -> Any:
        output = made(self, inputs)
        given.append(output["advantages"].tolist())
        return output

    def by_prompt(prompts: Any, texts: Sequence[str], references: Sequence[str | None]) -> list[float | None]:
        return [100.0 * float(r or 0) + place % 4 for place, r in enumerate(references)]

    monkeypatch.setattr(RLOO, "_generate_and_score_completions", kept)
    train(tiny_model_dir, tmp_path, "rloo", reward=by_prompt, kl=0.0, max_steps=1)
    expected = rloo_advantages(torch.tensor([0.0, 1, 2, 3] * 2), group_size=4).tolist()
    assert given[0] == pytest.approx(expected, abs=1e-4)


def test_a_missing_end_costs_what_it_is_said_to(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    flat = {"reward": lambda prompts, texts, references: [1.0] * len(texts), "missing_end_penalty": 2.0}
    train(tiny_model_dir, tmp_path, "rloo", recorder=recorder, max_steps=1, **flat)
    seen = recorder.steps[0]
    assert seen["objective/scores"] == pytest.approx(1 - 2 * (1 - seen["val/ended"]), abs=1e-5)


def test_completions_without_a_reward_are_no_one_s_baseline(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()

    def some(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
        return [None if place % 2 else 1.0 for place in range(len(texts))]

    train(tiny_model_dir, tmp_path, "rloo", recorder=recorder, reward=some, max_steps=1, kl=0.0)
    assert recorder.steps[0]["objective/scores"] == 1.0 and recorder.steps[0]["loss"] == pytest.approx(0, abs=1e-6)


@BOTH
def test_a_policy_that_is_not_the_one_that_sampled_stops_the_run(
    tiny_model_dir: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OwnRollouts._get_per_token_logps_and_entropies

    def shifted(self: Any, *given: Any, **named: Any) -> Any:
        logprobs, *more = made(self, *given, **named)
        return (logprobs if named.get("compute_entropy") else logprobs + 0.1, *more)

    monkeypatch.setattr(OwnRollouts, "_get_per_token_logps_and_entropies", shifted)
    with pytest.raises(InvariantViolated, match="the one that sampled"):
        train(tiny_model_dir, tmp_path, method)


def test_rollouts_that_are_no_whole_groups_are_refused_at_their_field() -> None:
    with pytest.raises(ValueError, match="rollouts: 10 was given, and they are parted into groups of 4"):
        parse_config("rloo", {"rollouts": 10})
