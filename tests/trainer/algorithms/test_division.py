"""How a step's examples are divided, and that its loss is the same however they are."""

import pytest
from recorder import Recorder

from trainer.algorithms import division, pairs, pro, reward_model, sft
from trainer.algorithms.division import Division, divide
from trainer.configs import DPOConfig, PROConfig, RewardModelConfig, SFTConfig
from trainer.examples import Demonstration, Pair

COMMON = {"epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}


def uneven_pairs(count: int = 7) -> list[Pair]:
    """Completions of one to nine words, and one pair too few for two whole batches of 4."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + 4 * (i % 3)), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(count)
    ]


def trace(train, tiny_model_dir, folder, config, examples, names=("loss", "grad_norm")):
    recorder = Recorder()
    train(
        config=config,
        examples=examples,
        policy_source=str(tiny_model_dir),
        output=folder / "run-0001",
        work=folder / "work",
        reporter=recorder,
        device="cpu",
    )
    return [[entry[name] for name in names] for entry in recorder.steps]


def same(first, second):
    assert len(first) == len(second) > 2
    for one, two in zip(first, second, strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-4)


def test_a_step_keeps_its_examples_whatever_the_processes(monkeypatch):
    config = DPOConfig(batch_size=8, gradient_accumulation=3)
    assert divide(config) == Division(rows=8, passes=3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert divide(config) == Division(rows=4, passes=3)
    monkeypatch.setenv("WORLD_SIZE", "12")
    assert divide(config) == Division(rows=1, passes=2)


def test_a_cpu_takes_no_more_rows_at_once_than_fill_it():
    config = DPOConfig(batch_size=12)
    assert divide(config, widest=division.CPU_TOKENS // 5, on_cpu=True) == Division(rows=4, passes=3)
    assert divide(config, widest=10 * division.CPU_TOKENS, on_cpu=True) == Division(rows=1, passes=12)
    assert divide(config, widest=10 * division.CPU_TOKENS) == Division(rows=12, passes=1)


def test_processes_that_cannot_share_a_step_are_told_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match=r"is 8, which 3 processes cannot share evenly; make it a multiple of 3"):
        divide(DPOConfig(batch_size=8))


def test_small_passes_over_an_uneven_last_batch_learn_what_the_whole_batch_does(tiny_model_dir, tmp_path, monkeypatch):
    config = DPOConfig(
        batch_size=4, target_margin=0.0, **COMMON
    )  # its likelihood term is a mean over the step's tokens
    whole = trace(pairs.train, tiny_model_dir, tmp_path / "whole", config, uneven_pairs())
    monkeypatch.setattr(division, "CPU_TOKENS", 1)
    same(whole, trace(pairs.train, tiny_model_dir, tmp_path / "parts", config, uneven_pairs()))


def test_losses_that_compare_the_pairs_of_a_batch_keep_it_whole(tiny_model_dir, tmp_path, monkeypatch):
    config = DPOConfig(batch_size=4, target_margin=0.0, loss_type="aot", loss_weights="1", **COMMON)
    whole = trace(pairs.train, tiny_model_dir, tmp_path / "whole", config, uneven_pairs())
    monkeypatch.setattr(division, "CPU_TOKENS", 1)
    same(whole, trace(pairs.train, tiny_model_dir, tmp_path / "parts", config, uneven_pairs()))


def test_uneven_rankings_in_small_passes_learn_what_the_whole_batch_does(tiny_model_dir, tmp_path, monkeypatch):
    config = PROConfig(batch_size=4, **COMMON)
    whole = trace(pro.train, tiny_model_dir, tmp_path / "whole", config, uneven_pairs())
    monkeypatch.setattr(division, "CPU_TOKENS", 1)
    same(whole, trace(pro.train, tiny_model_dir, tmp_path / "parts", config, uneven_pairs()))


def test_a_reward_model_learns_from_small_passes_what_it_does_from_the_whole_batch(
    tiny_model_dir, tmp_path, monkeypatch
):
    config = RewardModelConfig(batch_size=4, validation_share=0, normalise=0, **COMMON)
    whole = trace(reward_model.train, tiny_model_dir, tmp_path / "whole", config, uneven_pairs())
    monkeypatch.setattr(division, "CPU_TOKENS", 1)
    same(whole, trace(reward_model.train, tiny_model_dir, tmp_path / "parts", config, uneven_pairs()))


@pytest.mark.parametrize(("batch", "accumulation"), [(2, 2), (1, 4)])
def test_accumulated_demonstrations_are_imitated_as_one_batch_is(tiny_model_dir, tmp_path, batch, accumulation):
    shown = [Demonstration(pair.prompt, pair.chosen) for pair in uneven_pairs()]
    whole = trace(sft.train, tiny_model_dir, tmp_path / "whole", SFTConfig(batch_size=4, **COMMON), shown)
    config = SFTConfig(batch_size=batch, gradient_accumulation=accumulation, **COMMON)
    same(whole, trace(sft.train, tiny_model_dir, tmp_path / "parts", config, shown))
