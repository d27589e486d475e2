"""PRO: rankings of any length in one batch, a run that learns the order, accumulates, resumes and refuses."""

from pathlib import Path

import pytest
import torch
from recorder import Recorder

from trainer.algorithms import pro
from trainer.algorithms import rankings as rankings_of
from trainer.configs import PROConfig
from trainer.examples import Pair, Ranking, encode
from trainer.losses.pro import pro_loss
from trainer.manifest import read_manifest
from trainer.policy import load_policy
from trainer.reporter import Stopped
from trainer.tensors import completion_logprobs

SMALL = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}


def pairs(n: int = 12) -> list[Pair]:
    """Capitals are chosen over digits."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(n)
    ]


def rankings(n: int = 8) -> list[Ranking]:
    """Capitals over digits over dots, and of every other prompt only two of them."""
    texts, rewards = ("YES YES", "12 12", "....."), (2.0, 1.0, 0.0)
    return [
        Ranking([{"role": "user", "content": f"Say {i}"}], texts[: 2 + i % 2], rewards[: 2 + i % 2]) for i in range(n)
    ]


def train(tiny_model_dir, folder: Path, *, recorder=None, examples=None, scorer=None, **changes):
    return pro.train(
        config=PROConfig(**(SMALL | changes)),
        examples=pairs() if examples is None else examples,
        policy_source=str(tiny_model_dir),
        output=folder / "pro-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        reward=scorer,
        device="cpu",
    )


def test_a_batch_holds_rankings_of_different_lengths_as_if_each_were_alone():
    one = rankings_of.EncodedRanking([3, 4], [[60, 61, 1], [62, 1]], (1.0, 0.0))
    other = rankings_of.EncodedRanking([3, 4, 5], [[63, 1], [64, 65, 1], [66, 1]], (2.0, 0.5, 0.0))
    together = rankings_of.RankingCollator(0)([one, other])
    assert together["input_ids"].shape[0] == 5
    sums = torch.tensor([-3.0, -4.0, -2.0, -6.0, -5.0])
    alone = []
    for ranking, values in ((one, sums[:2]), (other, sums[2:])):
        tokens = torch.tensor([[float(len(ids)) for ids in ranking.completions]])
        alone.append(pro_loss(values.unsqueeze(0), tokens, torch.tensor([ranking.rewards])).losses.item())
    found = pro_loss(
        sums[together["places"]], together["tokens"], together["rewards"], present=together["present"]
    ).losses
    assert found.tolist() == pytest.approx(alone, abs=1e-6)


def test_the_first_loss_of_a_pair_is_that_of_its_mean_log_probabilities(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, examples=pairs()[:4], sft_weight=0.0, epochs=1)
    assert recorder.steps[0]["loss"] == pytest.approx(0.6931, abs=0.2)  # a random model finds both sides alike
    assert recorder.steps[0]["loss"] == pytest.approx(recorder.steps[0]["ranking/loss"], abs=1e-4)


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_run_learns_to_rank_the_chosen_first(tiny_model_dir, tmp_path, adapter):
    rate = 1e-2 if adapter == "lora" else 1e-3
    result = train(tiny_model_dir, tmp_path, epochs=8, adapter=adapter, learning_rate=rate)
    assert result.metrics["rewards/accuracies"] == 1.0
    assert result.metrics["loss"] < 3.0
    assert read_manifest(tmp_path / "pro-0001").kind == ("adapter" if adapter == "lora" else "full")


def test_three_completions_end_in_their_order(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, examples=rankings(), epochs=30, sft_weight=0.0)
    trained, start = load_policy(tmp_path / "pro-0001", device="cpu"), load_policy(tiny_model_dir, device="cpu")
    encoded = encode(start.tokenizer, rankings()[1].prompt, list(rankings()[1].completions), max_length=64)
    rows = [(encoded.prompt, ids) for ids in encoded.completions]
    before, after = (completion_logprobs(p.model, rows, pad_id=0, batch_size=3) for p in (start, trained))
    per_token = [(b - a) / len(ids) for a, b, (_, ids) in zip(before, after, rows, strict=True)]
    assert per_token[0] > per_token[1] > per_token[2]


def test_accumulated_batches_train_as_one_large_batch_does(tiny_model_dir, tmp_path):
    traces = []
    for folder, batch, accumulation in (("one", 4, 1), ("two", 2, 2)):
        recorder = Recorder()
        settings = {"batch_size": batch, "gradient_accumulation": accumulation}
        train(tiny_model_dir, tmp_path / folder, recorder=recorder, examples=rankings(), **settings)
        traces.append([(entry["loss"], entry["grad_norm"]) for entry in recorder.steps])
    assert len(traces[0]) == len(traces[1]) == 4
    for one, two in zip(*traces, strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-4)


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, second = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "whole", recorder=whole)
    with pytest.raises(Stopped, match="after step 4"):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=4))
    train(tiny_model_dir, tmp_path / "cut", recorder=second)
    assert [entry["step"] for entry in second.steps] == [5, 6]
    assert second.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)


def test_a_reward_against_the_choice_pushes_only_where_that_is_asked_for(tiny_model_dir, tmp_path):
    def contrary(prompts, completions, references):
        return [0.0 if "YES" in text else 1.0 for text in completions]

    settings = {"scorer": contrary, "reward": "reward_model-0001", "sft_weight": 0.0, "epochs": 4}
    ignored, pushed = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "ignored", recorder=ignored, **settings)
    train(tiny_model_dir, tmp_path / "pushed", recorder=pushed, contrary_gaps="push", **settings)
    assert ignored.steps[-1]["rewards/margins"] == pytest.approx(ignored.steps[0]["rewards/margins"], abs=0.1)
    assert pushed.steps[-1]["rewards/margins"] < pushed.steps[0]["rewards/margins"] - 0.1


def test_pairs_without_a_reward_are_left_out_and_counted(tiny_model_dir, tmp_path):
    recorder = Recorder()
    named = {"reward": "reward_model-0001"}
    some = lambda p, texts, r: [None if text == "12 " else 1.0 - 0.1 * ("12" in text) for text in texts]  # noqa: E731
    train(tiny_model_dir, tmp_path, recorder=recorder, scorer=some, **named)
    assert "3 of 12 pairs have no reward and are left out" in recorder.lines
    with pytest.raises(ValueError, match="says nothing of any of 12 pairs"):
        train(tiny_model_dir, tmp_path / "none", scorer=lambda p, texts, r: [None] * len(texts), **named)
    with pytest.raises(ValueError, match="name the reward 'reward_model-0001'"):
        train(tiny_model_dir, tmp_path / "none", **named)
    with pytest.raises(ValueError, match="choose between some completions first"):
        train(tiny_model_dir, tmp_path / "none", examples=[])


def test_a_ranking_needs_a_reward_for_each_of_two_completions():
    with pytest.raises(ValueError, match="this one has 2 completions and 1 rewards"):
        Ranking([{"role": "user", "content": "?"}], ("a", "b"), (1.0,))
