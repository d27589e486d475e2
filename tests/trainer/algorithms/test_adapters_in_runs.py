"""Every kind of adapter in a run: what it starts at, what its checkpoint is, how many parameters it trains."""

from pathlib import Path
from typing import Any

import pytest
from recorder import Recorder

from trainer.algorithms import train as train_by_name
from trainer.base_config import InvalidConfig
from trainer.configs import parse_config
from trainer.examples import Demonstration, Pair, Rated
from trainer.manifest import read_manifest
from trainer.policy import load_policy
from trainer.reporter import Stopped

SMALL = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
PAIRS = [
    Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
    for i in range(8)
]
DPO = {"loss_type": "sigmoid", "loss_weights": "1", "beta": 0.1, "target_margin": 0.0}


def train(model: Path, folder: Path, name: str, *, recorder: Recorder | None = None, **changes: Any) -> Any:
    examples: Any = {
        "sft": [Demonstration(p.prompt, p.chosen) for p in PAIRS],
        "kto": [Rated(p.prompt, p.chosen, True) for p in PAIRS],
    }.get(name, PAIRS)
    return train_by_name(
        name,
        config=parse_config(name, SMALL | (DPO if name == "dpo" else {}) | changes),
        examples=examples,
        policy_source=str(model),
        output=folder / f"{name}-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
    )


@pytest.mark.parametrize("adapter", ["dora", "rslora", "bottleneck"])
def test_a_run_starts_at_its_reference_learns_and_can_be_loaded(tiny_model_dir, tmp_path, adapter):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, "dpo", recorder=recorder, adapter=adapter, epochs=5)
    assert recorder.steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert result.metrics["loss"] < 0.6
    assert read_manifest(tmp_path / "dpo-0001").kind == "adapter"
    assert load_policy(tmp_path / "dpo-0001", device="cpu").digest == result.digest
    trained, total = result.metrics["parameters/trainable"], result.metrics["parameters/all"]
    assert 0 < trained < total
    assert f"{trained:,.0f} of {total:,.0f} parameters are trained" in "\n".join(recorder.lines)


def test_instead_of_the_mlp_the_run_does_not_claim_to_start_at_its_reference(tiny_model_dir, tmp_path):
    recorder = Recorder()
    changes = {"adapter": "bottleneck", "bottleneck_placement": "instead", "epochs": 1}
    train(tiny_model_dir, tmp_path, "dpo", recorder=recorder, **changes)
    assert recorder.steps[0]["loss"] != pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize("name", ["pro", "kto", "nll", "a_lol", "orpo"])
def test_a_bottleneck_is_trained_by_every_family(tiny_model_dir, tmp_path, name):
    train(tiny_model_dir, tmp_path, name, adapter="bottleneck", epochs=1)
    assert "bottleneck.safetensors" in read_manifest(tmp_path / f"{name}-0001").files


def test_a_run_of_a_bottleneck_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    expected = train(tiny_model_dir, tmp_path / "whole", "dpo", adapter="bottleneck")
    with pytest.raises(Stopped, match="after step 2"):
        train(tiny_model_dir, tmp_path / "cut", "dpo", adapter="bottleneck", recorder=Recorder(stop_after=2))
    result = train(tiny_model_dir, tmp_path / "cut", "dpo", adapter="bottleneck")
    assert result.metrics == pytest.approx(expected.metrics, abs=1e-4)


@pytest.mark.parametrize("adapter", ["bottleneck", "dora"])
def test_an_adapter_is_continued_as_its_own_kind_only(tiny_model_dir, tmp_path, adapter):
    first = train(tiny_model_dir, tmp_path / "one", "dpo", adapter=adapter)
    served, recorder = tmp_path / "one" / "dpo-0001", Recorder()
    train(served, tmp_path / "two", "dpo", adapter=adapter, recorder=recorder, epochs=1)
    assert recorder.steps[0]["loss"] < 0.69 and first.metrics["loss"] < 0.69
    assert read_manifest(tmp_path / "two" / "dpo-0001").base == str(tiny_model_dir)
    with pytest.raises(ValueError, match=f"whose adapter is {adapter}, and asks for lora"):
        train(served, tmp_path / "three", "dpo")


def test_what_would_have_to_be_merged_from_a_bottleneck_is_refused(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path / "one", "dpo", adapter="bottleneck", epochs=1)
    served = tmp_path / "one" / "dpo-0001"
    for name, changes in (("sft", {}), ("reward_model", {}), ("dpo", {"adapter": "full"})):
        with pytest.raises(ValueError, match="cannot be merged into a whole model"):
            train(served, tmp_path / name, name, **changes)


@pytest.mark.parametrize("name", ["sft", "reward_model"])
def test_whole_models_are_made_with_any_kind_that_can_be_merged(tiny_model_dir, tmp_path, name):
    train(tiny_model_dir, tmp_path, name, adapter="dora", epochs=1, learning_rate=1e-3)
    assert read_manifest(tmp_path / f"{name}-0001").kind == ("full" if name == "sft" else "reward_model")
    with pytest.raises(InvalidConfig, match=r"'bottleneck' was given.*into which a bottleneck cannot be merged"):
        parse_config(name, {"adapter": "bottleneck"})
