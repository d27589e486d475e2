"""Offline RL: a run that learns what is worth most, draws reproducibly, stops, resumes and refuses."""

import shutil
from pathlib import Path

import pytest
import torch
from recorder import Recorder

from trainer import policy as policies
from trainer.adapters import attach_adapter
from trainer.algorithms import offline_rl
from trainer.algorithms.callbacks import InvariantViolated
from trainer.configs import OFFLINE, parse_config
from trainer.examples import Pair, encode
from trainer.losses.offline import NEEDS_REFERENCE
from trainer.manifest import read_manifest
from trainer.reporter import Stopped
from trainer.tensors import completion_logprobs

SMALL = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
SCORED = {"reward": "reward_model-0001", "value_samples": 2, "value_epochs": 3}


def pairs(n: int = 12) -> list[Pair]:
    """Capitals are chosen over digits."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(n)
    ]


def by_length(prompts, completions, references) -> list[float | None]:
    """Worth more the shorter, in (0, 1]."""
    return [1 / (1 + len(text) / 4) for text in completions]


def train(
    tiny_model_dir, folder: Path, name="a_lol", *, recorder=None, source=None, examples=None, scorer=None, **changes
):
    return offline_rl.train(
        config=parse_config(name, SMALL | changes),
        examples=pairs() if examples is None else examples,
        policy_source=str(source or tiny_model_dir),
        output=folder / "run-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        reward=scorer,
        device="cpu",
    )


def gains(tiny_model_dir, checkpoint: Path, side: str) -> list[float]:
    """By how much (nats) each completion has become more likely, from the files alone."""
    trained, start = (policies.load_policy(source, device="cpu") for source in (checkpoint, tiny_model_dir))
    rows = []
    for pair in pairs():
        prompt, (ids,), _ = encode(start.tokenizer, pair.prompt, [getattr(pair, side)], max_length=64)
        rows.append((prompt, ids))
    found = [completion_logprobs(p.model, rows, pad_id=0, batch_size=12) for p in (trained, start)]
    return [after - before for after, before in zip(*found, strict=True)]


# ------------------------------------------------------------------------------------------------ a run


@pytest.mark.parametrize("name", OFFLINE)
def test_every_method_moves_towards_the_chosen_completions_in_a_few_steps(tiny_model_dir, tmp_path, name):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, name, recorder=recorder, epochs=4)
    assert result.steps == recorder.total == len(recorder.steps) == 12
    assert read_manifest(tmp_path / "run-0001").kind == "adapter"
    chosen = gains(tiny_model_dir, tmp_path / "run-0001", "chosen")
    assert min(chosen) > 1.0
    assert result.metrics["logps/completions"] > recorder.steps[0]["logps/completions"] + 1


def test_uniform_draws_with_a_push_move_away_from_the_rejected_too(tiny_model_dir, tmp_path):
    settings = {"sampling": "uniform", "kl_beta": 0.25, "push_limit": 10_000.0, "epochs": 4}
    train(tiny_model_dir, tmp_path, "a_lol_kl", **settings)
    assert min(gains(tiny_model_dir, tmp_path / "run-0001", "chosen")) > 1.0
    assert max(gains(tiny_model_dir, tmp_path / "run-0001", "rejected")) < -1.0


def test_the_push_ends_at_its_limit(tiny_model_dir, tmp_path):
    settings = {"sampling": "uniform", "kl_beta": 0.49, "epochs": 8, "adapter": "full"}
    bounded, free = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "bounded", "a_lol_kl", recorder=bounded, push_limit=3.0, **settings)
    train(tiny_model_dir, tmp_path / "free", "a_lol_kl", recorder=free, push_limit=10_000.0, **settings)
    lowest = [min(gains(tiny_model_dir, tmp_path / name / "run-0001", "rejected")) for name in ("bounded", "free")]
    assert lowest[1] < 3 * lowest[0] < 0, lowest
    assert any(step["pushes/guarded"] > 0 for step in bounded.steps)
    assert all(step["pushes/guarded"] == 0 for step in free.steps)


def test_completions_worth_more_under_a_reward_are_drawn_and_learnt_more(tiny_model_dir, tmp_path):
    recorder = Recorder()
    settings = {"reward": "reward_model-0001", "sampling": "all_priority", "epochs": 6}
    train(tiny_model_dir, tmp_path, "wbc", recorder=recorder, scorer=by_length, **settings)
    worth = by_length(None, [pair.chosen for pair in pairs()], None)
    tokens = [len(pair.chosen) + 1 for pair in pairs()]
    gained = gains(tiny_model_dir, tmp_path / "run-0001", "chosen")
    best, worst = (
        [gain / n for gain, n, value in zip(gained, tokens, worth, strict=True) if value == wanted]
        for wanted in (max(worth), min(worth))
    )
    assert min(best) > max(worst)
    everything = by_length(None, [text for pair in pairs() for text in (pair.chosen, pair.rejected)], None)
    drawn = [entry["rewards/mean"] for entry in recorder.steps]
    assert sum(drawn) / len(drawn) > sum(everything) / len(everything) + 0.02


def test_every_step_reports_what_the_method_has(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, "a_lol_kl", recorder=recorder, epochs=1)
    for entry in recorder.steps:
        assert entry.keys() >= {"loss", "learning_rate", "grad_norm", "logps/completions", "rewards/mean"}
        assert entry.keys() >= {"weights/mean", "advantages/mean", "logratios/mean", "pushes/guarded"}
    # the chosen is worth 1, one of the reference's own completions one half; 0.1 is subtracted
    assert recorder.steps[0]["advantages/mean"] == pytest.approx(0.5)
    assert recorder.steps[0]["weights/mean"] == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["wbc", "a_lol_seq"])
def test_accumulated_batches_train_as_one_large_batch_does(tiny_model_dir, tmp_path, name):
    traces = []
    for folder, batch, accumulation in (("one", 4, 1), ("two", 2, 2)):
        recorder = Recorder()
        settings = {"batch_size": batch, "gradient_accumulation": accumulation}
        train(tiny_model_dir, tmp_path / folder, name, recorder=recorder, **settings)
        traces.append([(entry["loss"], entry["grad_norm"], entry["logps/completions"]) for entry in recorder.steps])
    assert len(traces[0]) == len(traces[1]) == 6
    for one, two in zip(*traces, strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path, adapter):
    whole, second = Recorder(), Recorder()
    settings = SCORED | {"adapter": adapter, "learning_rate": 1e-2 if adapter == "lora" else 1e-3, "max_steps": 6}
    train(tiny_model_dir, tmp_path / "whole", recorder=whole, scorer=by_length, **settings)
    with pytest.raises(Stopped, match="after step 3"):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=3), scorer=by_length, **settings)
    assert not (tmp_path / "cut" / "run-0001").exists()

    def never(*_):
        raise AssertionError("what was scored before the stop is scored again")

    train(tiny_model_dir, tmp_path / "cut", recorder=second, scorer=never, **settings)
    assert "resuming from step 3" in second.lines
    assert [entry["step"] for entry in second.steps] == list(range(4, whole.total + 1))
    for one, two in zip(whole.steps[3:], second.steps, strict=True):
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-4)


def test_a_run_that_died_before_its_first_save_draws_what_it_would_have_drawn(tiny_model_dir, tmp_path):
    whole, second = Recorder(), Recorder()
    settings = SCORED | {"max_steps": 3}
    train(tiny_model_dir, tmp_path / "whole", recorder=whole, scorer=by_length, **settings)
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=2), scorer=by_length, **settings)
    for save in (tmp_path / "cut" / "work").glob("checkpoint-*"):
        shutil.rmtree(save)
    train(tiny_model_dir, tmp_path / "cut", recorder=second, scorer=by_length, **settings)
    assert [entry["step"] for entry in second.steps] == [1, 2, 3]
    for one, two in zip(whole.steps, second.steps, strict=True):
        assert one["logps/completions"] == pytest.approx(two["logps/completions"], abs=1e-4)


def test_one_seed_draws_alike_and_another_differently(tiny_model_dir, tmp_path):
    traces = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        recorder = Recorder()
        train(tiny_model_dir, tmp_path / name, "wbc", recorder=recorder, seed=seed, sampling="good_random")
        traces[name] = [entry["logps/completions"] for entry in recorder.steps]
    assert traces["a"] == pytest.approx(traces["b"], abs=1e-6)
    assert traces["a"] != pytest.approx(traces["c"], abs=1e-2)


def test_steps_shrink_with_the_share_of_completions_that_beat_the_reference(tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "trainer.algorithms.offline_data.fitted_values",
        lambda prompts, *_, **__: torch.tensor([0.0 if place < 4 else 9.0 for place in range(len(prompts))]),
    )
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, scorer=by_length, epochs=6, **SCORED)
    assert result.steps == 6  # 6 passes over 12 are 18 steps of 4, and a third of the completions is left
    assert "4 of 12 completions are drawn from, by good_priority, in 6 steps" in recorder.lines
    assert all(entry["advantages/mean"] > 0 for entry in recorder.steps)


def test_a_prompt_longer_than_the_model_is_shortened_for_its_value_as_for_training(tiny_model_dir, tmp_path):
    long = Pair([{"role": "user", "content": "x" * 400}], "YES YES", "12", 99, "long")
    recorder = Recorder()
    settings = SCORED | {"max_length": 512, "max_steps": 1, "sampling": "uniform"}
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=[*pairs(3), long], scorer=by_length, **settings)
    assert "1 of 4 pairs were shortened to 256 tokens" in recorder.lines
    assert any(line.startswith("the reference's value: 4 prompts") for line in recorder.lines)


def test_full_training_saves_a_whole_model(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, "r_lol", adapter="full", learning_rate=1e-3, epochs=4)
    assert read_manifest(tmp_path / "run-0001").kind == "full"
    assert min(gains(tiny_model_dir, tmp_path / "run-0001", "chosen")) > 1.0


def test_an_adapter_is_continued_on_its_own_base_against_the_same_reference(tiny_model_dir, tmp_path):
    first, second = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "one", recorder=first)
    train(tiny_model_dir, tmp_path / "two", recorder=second, source=tmp_path / "one" / "run-0001")
    assert first.steps[0]["logratios/mean"] == pytest.approx(0.0, abs=1e-3)
    assert second.steps[0]["logratios/mean"] > 1.0
    assert read_manifest(tmp_path / "two" / "run-0001").base == str(tiny_model_dir)


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", sorted(NEEDS_REFERENCE & OFFLINE.keys()))
def test_a_start_that_differs_from_its_reference_stops_the_run(tiny_model_dir, tmp_path, monkeypatch, name):
    def dishonest(model, **settings):
        adapted = attach_adapter(model, **settings)
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_B" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.2)
        return adapted

    monkeypatch.setattr("trainer.algorithms.start.attach_adapter", dishonest)
    with pytest.raises(InvariantViolated, match="every ratio must be 1 at first"):
        train(tiny_model_dir, tmp_path, name)


def test_a_named_reward_that_was_not_given_is_told(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="name the reward 'reward_model-0001'"):
        train(tiny_model_dir, tmp_path, **SCORED)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_a_reward_that_cannot_be_a_weight_is_refused_with_its_value(tiny_model_dir, tmp_path, value):
    with pytest.raises(ValueError, match=rf"completion 0 has the reward {value}"):
        train(tiny_model_dir, tmp_path, "wbc", scorer=lambda p, c, r: [value] * len(c))


def test_completions_without_a_reward_are_left_out_and_counted(tiny_model_dir, tmp_path):
    def only_short(prompts, completions, references):
        return [1.0 if len(text) == 4 else None for text in completions]

    recorder = Recorder()
    train(tiny_model_dir, tmp_path, "wbc", recorder=recorder, scorer=only_short)
    assert "8 of 12 completions have no reward and are left out" in recorder.lines
    with pytest.raises(ValueError, match="says nothing of any of 12 chosen completions"):
        train(tiny_model_dir, tmp_path / "none", "wbc", scorer=lambda p, c, r: [None] * len(c))


def test_no_pairs_are_refused_with_the_remedy(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="choose between some completions first"):
        train(tiny_model_dir, tmp_path, examples=[])


def test_saves_of_other_data_are_not_gone_on_with(tiny_model_dir, tmp_path):
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path, recorder=Recorder(stop_after=2))
    with pytest.raises(ValueError, match="belongs to other data or settings"):
        train(tiny_model_dir, tmp_path, examples=pairs(11))
