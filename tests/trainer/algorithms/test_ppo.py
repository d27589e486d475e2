"""PPO: it starts where it says, climbs its reward, resumes to the same weights, and refuses what is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from safetensors.torch import load_file

from trainer.algorithms import ppo
from trainer.algorithms.actor_critic import ActorCritic, align
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.online import planned_steps, rate_of
from trainer.algorithms.rollouts import Roller, questions_of, seeds_of
from trainer.examples import Demonstration, Question
from trainer.policy import load_policy
from trainer.ppo_config import PPOConfig
from trainer.reporter import Stopped
from trainer.rewards.composition import Composition
from trainer.rewards.configs import RewardSettings
from trainer.rewards.opening import open_rewards
from trainer.tensors import pad_rows, token_logprobs

SMALL: dict[str, Any] = {
    "epochs": 1000,
    "max_steps": 2,
    "rollouts": 12,
    "batch_size": 6,
    "ppo_epochs": 2,
    "max_new_tokens": 8,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
    "save_steps": 1,
    "missing_end_penalty": 0.0,
    "normalise_scores": True,
    "guards": "watch",  # a random model's text is nothing to keep
}


def questions(n: int = 5) -> list[Question]:
    return [Question([{"role": "user", "content": "Say" + " it" * i}], reference=str(i)) for i in range(n)]


def capitals(prompts: Any, texts: Sequence[str], references: Any) -> list[float | None]:
    """The share of capital letters."""
    return [sum(map(str.isupper, text)) / max(1, len(text)) for text in texts]


def train(
    tiny_model_dir: Path, folder: Path, *, recorder: Recorder | None = None, reward: Any = capitals, **changes: Any
) -> Any:
    given = {k: v for k, v in changes.items() if k not in PPOConfig.model_fields}
    return ppo.train(
        config=PPOConfig(**{**SMALL, **{k: v for k, v in changes.items() if k in PPOConfig.model_fields}}),
        examples=given.pop("examples", questions()),
        reward=reward,
        policy_source=str(given.pop("source", tiny_model_dir)),
        output=folder / "ppo-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
        **given,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = (folder / "ppo-0001").glob("*.safetensors")
    return load_file(file)


class StopsAfter(Recorder):
    """Asks for a stop once so many steps are told."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.most = steps

    def should_stop(self) -> bool:
        return len(self.steps) >= self.most


# ------------------------------------------------------------------------------------------------ the parts


def test_an_actor_says_of_each_completion_token_what_the_language_model_says(tiny_model_dir: Path) -> None:
    model = load_policy(tiny_model_dir, device="cpu").model
    rows = pad_rows([([5, 6, 7], [8, 9]), ([5], [10, 11, 12]), ([9, 9], [1])], pad_id=0)
    scored = ActorCritic(model)(rows)
    plain, mask = token_logprobs(model, rows)
    assert torch.allclose(scored.logprobs, align(mask, plain)[0], atol=1e-5)
    assert scored.mask.tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]
    assert not scored.values.any()


def test_a_value_is_read_where_its_token_is_predicted(tiny_model_dir: Path) -> None:
    model = load_policy(tiny_model_dir, device="cpu").model
    actor = ActorCritic(model)
    torch.nn.init.ones_(actor.value.weight)
    row = pad_rows([([5, 6, 7], [8, 9])], pad_id=0)
    hidden = model(input_ids=row["input_ids"], output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(actor(row).values, hidden[:, 2:4].sum(dim=-1), atol=1e-5)


def test_a_temperature_is_that_of_the_probabilities(tiny_model_dir: Path) -> None:
    model = load_policy(tiny_model_dir, device="cpu").model
    row = pad_rows([([5, 6, 7], [8])], pad_id=0)
    cool = ActorCritic(model)(row, temperature=0.5).logprobs
    logits = model(input_ids=row["input_ids"]).logits[0, 2] / 0.5
    assert float(cool[0, 0]) == pytest.approx(float(logits.log_softmax(dim=-1)[8]), abs=1e-5)


def test_every_pass_over_the_questions_asks_each_once_in_an_order_of_its_own() -> None:
    asked = questions_of(questions(5), first=0, count=15, seed=3)
    laps = [[q.reference for q in asked[at : at + 5]] for at in (0, 5, 10)]
    assert all(sorted(lap, key=str) == ["0", "1", "2", "3", "4"] for lap in laps) and len(set(map(tuple, laps))) > 1
    assert questions_of(questions(5), first=7, count=4, seed=3) == asked[7:11]


def test_the_seed_of_a_rollout_follows_from_its_number_alone() -> None:
    assert seeds_of(first=3, count=2, seed=1) == seeds_of(first=0, count=5, seed=1)[3:]


# ------------------------------------------------------------------------------------------------ a run


def test_it_climbs_its_reward(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, adapter="full", max_steps=8, rollouts=48, batch_size=24, kl=0.01)
    scores = [metrics["objective/scores"] for metrics in recorder.steps]
    assert scores[-1] > scores[0] + 0.2


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_distance_is_to_where_it_began(tiny_model_dir: Path, tmp_path: Path, adapter: str) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, adapter=adapter, max_steps=3)
    kls = [metrics["objective/kl"] for metrics in recorder.steps]
    assert kls[0] == pytest.approx(0, abs=1e-4) and min(map(abs, kls[1:])) > 1e-3


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(tiny_model_dir: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings: dict[str, Any] = {"max_steps": 4, "kl_target": 1.0, "ptx_weight": 0.1, "sft_every": 2, "sft_steps": 1}
    settings["demonstrations"] = [Demonstration(q.prompt, "YES") for q in questions()]
    train(tiny_model_dir, whole, **settings)
    with pytest.raises(Stopped):
        train(tiny_model_dir, parts, recorder=StopsAfter(2), **settings)
    recorder = Recorder()
    train(tiny_model_dir, parts, recorder=recorder, **settings)
    assert recorder.steps[0]["step"] == 3
    for name, expected in weights(whole).items():
        assert torch.allclose(weights(parts)[name], expected, atol=1e-5), name


def test_the_running_figures_of_composed_rewards_are_resumed_too(tiny_model_dir: Path, tmp_path: Path) -> None:
    def composed() -> Composition:
        rewards = [{"kind": "length", "longest": 1, "margin": 5}, {"kind": "script"}]
        return open_rewards(RewardSettings.model_validate({"rewards": rewards, "filters": {"script": False}}))

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(tiny_model_dir, whole, reward=composed(), max_steps=4)
    with pytest.raises(Stopped):
        train(tiny_model_dir, parts, reward=composed(), recorder=StopsAfter(2), max_steps=4)
    train(tiny_model_dir, parts, reward=composed(), max_steps=4)
    for name, expected in weights(whole).items():
        assert torch.allclose(weights(parts)[name], expected, atol=1e-5), name


def test_prompts_without_room_for_a_completion_are_left_out_and_said_so(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    long = Question([{"role": "user", "content": "word " * 100}])
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=[*questions(), long], max_steps=1)
    assert "1 of 6 prompts are too long and were left out" in recorder.lines
    with pytest.raises(ValueError, match="none of the 1 prompts leaves the model room for 8 tokens"):
        train(tiny_model_dir, tmp_path / "b", examples=[long], max_steps=1)


def test_accumulated_gradients_are_those_of_the_big_batch(tiny_model_dir: Path, tmp_path: Path) -> None:
    for name, batch, accumulation in (("big", 12, 1), ("small", 3, 4)):
        settings = {"batch_size": batch, "gradient_accumulation": accumulation, "max_steps": 1}
        train(tiny_model_dir, tmp_path / name, **settings)
    for name, expected in weights(tmp_path / "big").items():
        assert torch.allclose(weights(tmp_path / "small")[name], expected, atol=1e-4), name


def test_demonstrations_mixed_in_become_more_likely(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    shown = [Demonstration(q.prompt, "YES") for q in questions()]
    train(tiny_model_dir, tmp_path, recorder=recorder, max_steps=6, ptx_weight=5.0, demonstrations=shown)
    losses = [metrics["loss/ptx"] for metrics in recorder.steps]
    assert losses[-1] < losses[0] - 0.3


def test_completions_without_a_score_are_left_out(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()

    def some(prompts: Any, texts: Sequence[str], references: Sequence[str | None]) -> list[float | None]:
        return [None if reference == "0" else 1.0 for reference in references]

    train(tiny_model_dir, tmp_path, recorder=recorder, reward=some, max_steps=1)
    assert recorder.steps[0]["objective/scores"] == 1.0


def test_a_reward_that_scores_nothing_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scores for 0 of 12 completions"):
        train(tiny_model_dir, tmp_path, reward=lambda prompts, texts, references: [None] * len(texts))


def test_a_reward_of_another_length_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 scores for 12 completions"):
        train(tiny_model_dir, tmp_path, reward=lambda prompts, texts, references: [1.0] * 3)


def test_imitation_without_anything_to_imitate_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chosen completions"):
        train(tiny_model_dir, tmp_path, ptx_weight=0.5)


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


def test_probabilities_at_another_temperature_than_the_samples_stop_the_run(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Roller.score

    def cooler(self: Roller, actor: Any, rows: Any) -> Any:
        return scored(self, lambda given, _: actor(given, 0.5), rows)  # type: ignore[arg-type]

    monkeypatch.setattr(Roller, "score", cooler)
    with pytest.raises(InvariantViolated, match="its ratio 1"):
        train(tiny_model_dir, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(tiny_model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InvariantViolated, match="lower the learning rate"):
        train(tiny_model_dir, tmp_path, reward=lambda prompts, texts, references: [float("nan")] * len(texts))


def test_a_pass_that_moves_too_far_is_the_last(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, max_steps=1, ppo_epochs=8, target_kl=1e-4)
    assert recorder.steps[0]["policy/updates"] < 16


def test_a_weight_of_the_distance_that_is_steered_changes(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, max_steps=3, kl_target=5.0, kl_horizon=12.0)
    used = [metrics["objective/kl_coefficient"] for metrics in recorder.steps]
    assert used == pytest.approx([0.05, 0.04, 0.032], abs=2e-3)  # far below the target: a fifth less each time


def test_a_missing_end_costs_what_it_is_said_to(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    settings = {"missing_end": "replace", "missing_end_penalty": 2.0, "normalise_scores": False, "max_steps": 1}
    train(tiny_model_dir, tmp_path, recorder=recorder, reward=lambda p, texts, r: [1.0] * len(texts), **settings)
    seen = recorder.steps[0]
    assert seen["objective/rlhf_reward"] == pytest.approx(3 * seen["val/ended"] - 2, abs=1e-4)


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    config = PPOConfig(learning_rate=1.0, warmup_share=0.2)
    rates = [rate_of(config, step, 10) for step in range(10)]
    assert rates[:2] == [0.5, 1.0] and rates == sorted(rates[:2]) + sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.2


def test_a_run_has_as_many_steps_as_its_passes_need_or_fewer() -> None:
    assert planned_steps(PPOConfig(epochs=2, rollouts=64, max_steps=0), 100) == 4
    assert planned_steps(PPOConfig(epochs=2, rollouts=64, max_steps=3), 100) == 3


def test_a_dual_clip_that_bounds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        PPOConfig(dual_clip=0.5)


def test_a_bottleneck_is_held_to_its_base_from_the_first_step_on(tiny_model_dir: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, adapter="bottleneck")
    assert recorder.steps[0]["objective/kl"] == pytest.approx(0, abs=1e-3)
    assert recorder.steps[1]["objective/kl"] != pytest.approx(0, abs=1e-3)
    assert 0 < result.metrics["parameters/trainable"] < result.metrics["parameters/all"]
    assert all(".bottleneck." in name for name in weights(tmp_path))
