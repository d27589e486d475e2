"""SFT: the run learns what it is shown and nothing of the prompt, and saves a model that stands alone."""

import pytest
import torch
from recorder import Recorder

from trainer import policy as policies
from trainer.algorithms import sft
from trainer.configs import SFTConfig
from trainer.examples import Demonstration, encode
from trainer.losses.likelihood import dft_nll
from trainer.manifest import read_manifest
from trainer.reporter import Stopped
from trainer.sources import source_digest
from trainer.tensors import pad_rows, sequence_logprobs, token_logprobs


def demonstrations(n: int = 12) -> list[Demonstration]:
    return [Demonstration([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3)) for i in range(n)]


def train(tiny_model_dir, folder, *, recorder=None, source=None, examples=None, **changes):
    settings = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
    return sft.train(
        config=SFTConfig(**(settings | changes)),
        examples=demonstrations() if examples is None else examples,
        policy_source=str(source or tiny_model_dir),
        output=folder / "sft-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
    )


def logprob(policy, example: Demonstration) -> float:
    prompt, sides, _ = encode(policy.tokenizer, example.prompt, [example.completion], max_length=64)
    with torch.no_grad():
        return float(sequence_logprobs(policy.model, pad_rows([(prompt, sides[0])], pad_id=0))[0])


def test_the_first_loss_is_the_mean_over_completion_tokens_only(tiny_model_dir, tmp_path):
    recorder, start = Recorder(), policies.load_policy(tiny_model_dir, device="cpu")
    examples = demonstrations(4)
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=examples, epochs=1)
    tokens = sum(
        len(encode(start.tokenizer, one.prompt, [one.completion], max_length=64).completions[0]) for one in examples
    )
    expected = -sum(logprob(start, one) for one in examples) / tokens
    assert recorder.steps[0]["loss"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_run_saves_a_full_model_that_has_learnt_what_it_was_shown(tiny_model_dir, tmp_path, adapter):
    result = train(tiny_model_dir, tmp_path, adapter=adapter, epochs=6)
    manifest = read_manifest(tmp_path / "sft-0001")
    assert manifest.kind == "full"
    assert manifest.base_digest == source_digest(tiny_model_dir)
    trained = policies.load_policy(tmp_path / "sft-0001", device="cpu")
    assert trained.digest == result.digest
    start = policies.load_policy(tiny_model_dir, device="cpu")
    gains = [logprob(trained, one) - logprob(start, one) for one in demonstrations()]
    assert min(gains) > 2
    assert result.steps == 18


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, second = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "whole", recorder=whole)
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=4))
    train(tiny_model_dir, tmp_path / "cut", recorder=second)
    assert "resuming from step 4" in second.lines
    assert second.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)


def test_the_metrics_have_our_names(tiny_model_dir, tmp_path):
    result = train(tiny_model_dir, tmp_path)
    assert result.metrics.keys() >= {"loss", "learning_rate", "grad_norm", "tokens/accuracy", "tokens/seen"}


def test_no_demonstrations_are_refused_with_the_remedy(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="no completions to imitate; choose"):
        train(tiny_model_dir, tmp_path, examples=[])


def test_with_dft_each_token_counts_by_its_own_probability(tiny_model_dir, tmp_path):
    recorder, start = Recorder(), policies.load_policy(tiny_model_dir, device="cpu")
    examples = demonstrations(4)
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=examples, epochs=1, loss_type="dft")
    encoded = [encode(start.tokenizer, one.prompt, [one.completion], max_length=64) for one in examples]
    with torch.no_grad():
        rows = pad_rows([(one.prompt, one.completions[0]) for one in encoded], pad_id=0)
        expected = dft_nll(*token_logprobs(start.model, rows))
    assert recorder.steps[0]["loss"] == pytest.approx(float(expected), abs=1e-5)
