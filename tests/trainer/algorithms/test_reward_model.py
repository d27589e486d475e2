"""The reward model: it ranks what people chose higher, on pairs it never saw, and scores alike once saved."""

import math

import pytest
from recorder import Recorder

from trainer import policy as policies
from trainer.algorithms import pairs as dpo
from trainer.algorithms import reward_model
from trainer.configs import DPOConfig, RewardModelConfig
from trainer.examples import Pair
from trainer.manifest import read_manifest, verify_manifest
from trainer.reporter import Stopped


def pairs(n: int, first: int = 0) -> list[Pair]:
    """Capitals are chosen over digits."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i // 2}")
        for i in range(first, first + n)
    ]


def train(tiny_model_dir, folder, *, recorder=None, source=None, examples=None, validation=(), **changes):
    settings = {"batch_size": 4, "epochs": 6, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
    return reward_model.train(
        config=RewardModelConfig(**(settings | changes)),
        examples=pairs(16) if examples is None else examples,
        policy_source=str(source or tiny_model_dir),
        output=folder / "reward_model-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        validation=validation,
        device="cpu",
    )


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_it_ranks_unseen_pairs_and_scores_alike_once_saved(tiny_model_dir, tmp_path, adapter):
    unseen = pairs(8, first=40)
    result = train(tiny_model_dir, tmp_path, validation=unseen, adapter=adapter, learning_rate=5e-3)
    assert result.metrics["validation/accuracy"] == 1.0
    assert result.metrics["validation/pairs"] == 8
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    assert saved.digest == result.digest
    assert reward_model.accuracy(saved.model, saved.tokenizer, unseen, 64, 4) == 1.0


def test_a_score_does_not_depend_on_the_batch(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, epochs=1)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    sides = [(pair.prompt, text) for pair in pairs(6) for text in (pair.chosen, pair.rejected)]
    together = reward_model.score(saved.model, saved.tokenizer, sides, max_length=64, batch_size=12)
    alone = reward_model.score(saved.model, saved.tokenizer, sides, max_length=64, batch_size=1)
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) > 6


def test_a_tie_is_an_error(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, epochs=1)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    same = [Pair(pair.prompt, pair.chosen, pair.chosen, pair.preference_id, pair.group) for pair in pairs(4)]
    assert reward_model.accuracy(saved.model, saved.tokenizer, same, 64, 4) == 0.0


def test_whole_groups_are_held_out(tiny_model_dir, tmp_path):
    learnt, out = reward_model.hold_out(pairs(20), 0.2, seed=1)
    assert len(out) == 4
    assert not {pair.group for pair in learnt} & {pair.group for pair in out}
    assert train(tiny_model_dir, tmp_path, validation_share=0.25, epochs=1).metrics["validation/pairs"] == 4


def test_too_few_groups_to_hold_any_out_is_said_aloud(tiny_model_dir, tmp_path):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, examples=pairs(4), validation_share=0.1, epochs=1)
    assert "validation/accuracy" not in result.metrics
    assert "nothing is held out: 10% of the groups is less than one group" in recorder.lines


def test_the_same_seed_gives_the_same_model(tiny_model_dir, tmp_path):
    losses = []
    for name in ("a", "b"):
        recorder = Recorder()
        train(tiny_model_dir, tmp_path / name, recorder=recorder, epochs=1)
        losses.append([entry["loss"] for entry in recorder.steps])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_the_first_loss_is_near_ln_2_and_the_metrics_have_our_names(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, epochs=1, centering=0.0)
    assert recorder.steps[0]["loss"] == pytest.approx(math.log(2), abs=0.2)
    assert recorder.steps[0].keys() >= {"loss", "grad_norm", "learning_rate", "rewards/accuracies", "rewards/margins"}


def test_the_score_is_read_at_the_end_token_where_that_is_the_pad_token_too(tiny_model_dir):
    tokenizer = policies.load_tokenizer(tiny_model_dir)
    tokenizer.pad_token = tokenizer.eos_token
    reward_model.separate_pad_token(tokenizer)
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_an_adapter_checkpoint_lends_its_merged_backbone(tiny_model_dir, tmp_path):
    dpo.train(
        config=DPOConfig(batch_size=4, epochs=1, learning_rate=1e-2, max_length=64),
        examples=pairs(8),
        policy_source=str(tiny_model_dir),
        output=tmp_path / "dpo-0001",
        work=tmp_path / "dpo-work",
        reporter=Recorder(),
        device="cpu",
    )
    result = train(tiny_model_dir, tmp_path, source=tmp_path / "dpo-0001", epochs=1)
    assert read_manifest(tmp_path / "reward_model-0001").base_digest == verify_manifest(tmp_path / "dpo-0001")
    assert policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu").digest == result.digest


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, second = Recorder(), Recorder()
    expected = train(tiny_model_dir, tmp_path / "whole", recorder=whole, epochs=2, validation_share=0.25)
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=3), epochs=2, validation_share=0.25)
    result = train(tiny_model_dir, tmp_path / "cut", recorder=second, epochs=2, validation_share=0.25)
    assert "resuming from step 3" in second.lines
    assert second.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)
    assert result.metrics["validation/accuracy"] == expected.metrics["validation/accuracy"]
