"""The reward model: it ranks what people chose higher, on pairs it never saw, and scores alike once saved."""

import math
from dataclasses import replace
from statistics import fmean, stdev

import pytest
import torch
from datasets import Dataset
from recorder import Recorder
from transformers import set_seed
from trl.trainer.reward_config import RewardConfig as TRLConfig
from trl.trainer.reward_trainer import RewardTrainer

from trainer import policy as policies
from trainer.algorithms import pairs as dpo
from trainer.algorithms import reward_model, reward_scores
from trainer.algorithms.callbacks import trainer_settings
from trainer.algorithms.validation import Unseen
from trainer.configs import DPOConfig, RewardModelConfig
from trainer.examples import Pair, Ranking, encode
from trainer.generation import generate
from trainer.manifest import read_manifest, verify_manifest
from trainer.reporter import Stopped
from trainer.sampling import Sampling


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
        unseen=Unseen(validation),
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
    assert reward_scores.accuracy(saved.model, saved.tokenizer, unseen, 64, 4) == (1.0, 8)


def test_a_score_does_not_depend_on_the_batch(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, epochs=1)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    sides = [(pair.prompt, text) for pair in pairs(6) for text in (pair.chosen, pair.rejected)]
    together = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64, batch_size=12)
    alone = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64, batch_size=1)
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) > 6


def test_a_tie_is_an_error(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, epochs=1)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    same = [Pair(pair.prompt, pair.chosen, pair.chosen, pair.preference_id, pair.group) for pair in pairs(4)]
    assert reward_scores.accuracy(saved.model, saved.tokenizer, same, 64, 4) == (0.0, 4)


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


def test_scores_have_mean_0_and_spread_1_on_samples_of_the_initial_model(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path, epochs=2, normalise=48)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    initial = policies.load_policy(tiny_model_dir, device="cpu")
    prompts = [pair.prompt for pair in pairs(16)] * 12
    made = generate(initial, prompts, sampling=Sampling(max_new_tokens=32), seeds=range(len(prompts)))
    sides = [(prompt, one.text) for prompt, one in zip(prompts, made, strict=True)]
    scores = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64)
    assert fmean(scores) == pytest.approx(0.0, abs=0.4)  # other seeds than those it was scaled on
    assert stdev(scores) == pytest.approx(1.0, abs=0.3)


def test_without_normalisation_raw_scores_are_the_scores_and_with_it_they_stay_log_odds(tiny_model_dir, tmp_path):
    sides = [(pair.prompt, text) for pair in pairs(6) for text in (pair.chosen, pair.rejected)]
    found = {}
    for normalise in (0, 48):
        folder = tmp_path / str(normalise)
        train(tiny_model_dir, folder, epochs=1, normalise=normalise)
        saved = policies.load_reward_model(folder / "reward_model-0001", device="cpu")
        for raw in (True, False):
            scores = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64, raw=raw)
            found[normalise, raw] = scores
    assert found[0, True] == found[0, False] == pytest.approx(found[48, True], abs=1e-5)
    assert found[48, False] != pytest.approx(found[48, True], abs=1e-2)
    assert sorted(found[48, False]) == [
        score for _, score in sorted(zip(found[48, True], found[48, False], strict=True))
    ]


@pytest.mark.parametrize("ranking", ["pairs", "best"])
def test_the_best_of_four_scores_highest_and_in_a_full_ranking_the_worst_lowest(tiny_model_dir, tmp_path, ranking):
    texts = ("YES yes", "ab", "5 6", "12 12 12")
    ranked = [
        Ranking([{"role": "user", "content": f"Say {i}"}], texts, (3.0, 2.0, 1.0, 0.0), group=f"g{i}") for i in range(8)
    ]
    train(tiny_model_dir, tmp_path, examples=ranked, ranking=ranking, epochs=12, normalise=0)
    saved = policies.load_reward_model(tmp_path / "reward_model-0001", device="cpu")
    sides = [([{"role": "user", "content": "Say 40"}], text) for text in texts]
    scores = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64)
    assert scores[0] == max(scores)
    if ranking == "pairs":
        assert scores == sorted(scores, reverse=True)


def test_a_clear_choice_leads_by_more_than_a_slight_one(tiny_model_dir, tmp_path):
    leads = {}
    for strength in ("slightly", "clearly"):
        told = [replace(pair, strength=strength) for pair in pairs(16)]
        train(tiny_model_dir, tmp_path / strength, examples=told, clear_margin=5.0, normalise=0, centering=0.1)
        saved = policies.load_reward_model(tmp_path / strength / "reward_model-0001", device="cpu")
        sides = [(pair.prompt, text) for pair in told for text in (pair.chosen, pair.rejected)]
        scores = reward_scores.score(saved.model, saved.tokenizer, sides, max_length=64)
        leads[strength] = fmean(a - b for a, b in zip(scores[::2], scores[1::2], strict=True))
    assert leads["clearly"] > leads["slightly"] + 0.5


def test_a_tie_draws_two_scores_together(tiny_model_dir, tmp_path):
    apart = {}
    for tied in (False, True):
        like = Ranking([{"role": "user", "content": "Say 1"}], ("YES", "12 12"), (0.5, 0.5), group="tie")
        examples = [*pairs(8), *([like] * 8 if tied else [])]
        train(tiny_model_dir, tmp_path / str(tied), examples=examples, normalise=0, validation_share=0.0)
        saved = policies.load_reward_model(tmp_path / str(tied) / "reward_model-0001", device="cpu")
        first, second = reward_scores.score(
            saved.model, saved.tokenizer, [(like.prompt, text) for text in like.completions], max_length=64
        )
        apart[tied] = abs(first - second)
    assert apart[True] < 0.5 * apart[False]


def test_trls_trainer_has_the_same_losses_on_the_same_pairs(tiny_model_dir, tmp_path):
    recorder, config = Recorder(), RewardModelConfig(batch_size=4, epochs=2, learning_rate=1e-2, max_length=64)
    settings = {"validation_share": 0.0, "centering": 0.01, "warmup_share": 0.0, "adapter": "full", "normalise": 0}
    config = config.model_copy(update=settings)
    reward_model.train(
        config=config,
        examples=pairs(12),
        policy_source=str(tiny_model_dir),
        output=tmp_path / "ours",
        work=tmp_path / "work",
        reporter=recorder,
        device="cpu",
    )
    start = policies.load_policy(tiny_model_dir, device="cpu", dtype=torch.float32)
    reward_model.separate_pad_token(start.tokenizer)
    ids = []
    for pair in pairs(12):
        prompt, (chosen, rejected), _ = encode(
            start.tokenizer, pair.prompt, [pair.chosen, pair.rejected], max_length=64
        )
        ids.append({"chosen_ids": prompt + chosen, "rejected_ids": prompt + rejected})
    set_seed(config.seed)
    theirs = RewardTrainer(
        model=reward_model.scorer(start, config),
        args=TRLConfig(
            **trainer_settings(config, tmp_path / "theirs", torch.device("cpu")),
            gradient_checkpointing=False,
            max_length=None,
            center_rewards_coefficient=0.01,
        ),
        train_dataset=Dataset.from_list(ids),
        processing_class=start.tokenizer,
    )
    theirs.train()
    losses = [entry["loss"] for entry in theirs.state.log_history if "loss" in entry]
    assert [entry["loss"] for entry in recorder.steps] == pytest.approx(losses, abs=1e-3)
