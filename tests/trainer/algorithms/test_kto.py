"""KTO: completions by themselves, partners of other prompts, and a run that learns, resumes and refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder

from trainer.algorithms import kto
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.start import open_start
from trainer.examples import Rated
from trainer.kto_config import KTOConfig
from trainer.manifest import read_manifest
from trainer.policy import load_policy
from trainer.reporter import Stopped
from trainer.tensors import completion_logprobs

SMALL: dict[str, Any] = {"batch_size": 6, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}


def rated(good: int = 6, bad: int = 6, prompts: int = 12) -> list[Rated]:
    """Capitals are good, digits are bad."""
    kinds = [True] * good + [False] * bad
    return [
        Rated([{"role": "user", "content": f"Say {i % prompts}"}], "YES " * 2 if kind else "12 " * 3, kind)
        for i, kind in enumerate(kinds)
    ]


def train(model: Path, folder: Path, *, recorder: Recorder | None = None, examples: Any = None, **changes: Any) -> Any:
    return kto.train(
        config=KTOConfig(**(SMALL | changes)),
        examples=rated() if examples is None else examples,
        policy_source=str(model),
        output=folder / "kto-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
    )


def test_the_first_loss_is_half_of_the_weights_and_good_rises_over_bad(tiny_model_dir, tmp_path):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, epochs=10)
    assert recorder.steps[0]["loss"] == pytest.approx(0.5, abs=1e-3)  # sigmoid(0), both weights 1
    assert result.metrics["rewards/margins"] > 0.3
    trained, start = (load_policy(source, device="cpu") for source in (tmp_path / "kto-0001", tiny_model_dir))
    rows = [(start.tokenizer(f"Say {one}")["input_ids"], start.tokenizer(one)["input_ids"]) for one in ("YES", "12")]
    after, before = (completion_logprobs(p.model, rows, pad_id=0, batch_size=2) for p in (trained, start))
    assert after[0] - before[0] > after[1] - before[1]
    assert read_manifest(tmp_path / "kto-0001").kind == "adapter"


@pytest.mark.parametrize(("good", "bad"), [(8, 0), (0, 8)])
def test_good_or_bad_alone_are_enough(tiny_model_dir, tmp_path, good, bad):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=rated(good, bad))
    present, absent = ("chosen", "rejected") if good else ("rejected", "chosen")
    assert all(f"rewards/{present}" in step and f"rewards/{absent}" not in step for step in recorder.steps)


def test_the_rarer_kind_weighs_more_and_the_log_says_how_many_there_are(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=rated(2, 10), epochs=1)
    assert any("2 good completions of weight 5, 10 bad ones of weight 1" in line for line in recorder.lines)


def test_a_partner_is_the_prompt_with_a_completion_of_another_prompt(tiny_model_dir):
    config = KTOConfig(**SMALL)
    start = open_start(str(tiny_model_dir), None, config, device="cpu")
    examples = [
        Rated([{"role": "user", "content": f"Say {i // 2}"}], f"answer {i // 2} {i % 2}", bool(i % 2)) for i in range(8)
    ]
    made = kto.prepare(examples, start, config, store=None, reporter=Recorder())
    for one in made:
        assert one.partner is not None and one.partner.prompt == one.row.prompt
        own = [other.row.completion for other in made if other.row.prompt == one.row.prompt]
        assert one.partner.completion not in own
        assert one.partner.completion in [other.row.completion for other in made]


def test_the_baseline_is_the_mean_log_ratio_of_the_partners(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, epochs=8)
    assert recorder.steps[0]["rewards/baseline"] == pytest.approx(0.0, abs=1e-3)
    assert max(step["rewards/baseline"] for step in recorder.steps) > 0.01
    none = Recorder()
    train(tiny_model_dir, tmp_path / "apo", recorder=none, epochs=8, loss_type="apo_zero_unpaired")
    assert {step["rewards/baseline"] for step in none.steps} == {0.0}


def test_completions_of_one_prompt_are_refused_with_what_to_do(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match=r"all 12 completions answer one prompt.*apo_zero_unpaired"):
        train(tiny_model_dir, tmp_path, examples=rated(prompts=1))
    train(tiny_model_dir, tmp_path, examples=rated(prompts=1), loss_type="apo_zero_unpaired", epochs=1)


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, second = Recorder(), Recorder()
    expected = train(tiny_model_dir, tmp_path / "whole", recorder=whole)
    with pytest.raises(Stopped, match="after step 2"):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=2))
    result = train(tiny_model_dir, tmp_path / "cut", recorder=second)
    assert [entry["step"] for entry in second.steps] == [3, 4]
    assert result.metrics == pytest.approx(expected.metrics, abs=1e-4)


def test_a_start_that_is_not_its_reference_stops_the_run(tiny_model_dir, tmp_path, monkeypatch):
    attach = kto.trainable

    def dishonest(*arguments: Any) -> Any:
        model = attach(*arguments)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        return model

    monkeypatch.setattr(kto, "trainable", dishonest)
    with pytest.raises(InvariantViolated, match="log-ratios must be 0"):
        train(tiny_model_dir, tmp_path)


def test_nothing_rated_is_refused_with_the_remedy(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="thumb in the chat"):
        train(tiny_model_dir, tmp_path, examples=[])
