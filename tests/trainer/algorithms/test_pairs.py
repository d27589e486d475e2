"""DPO: the loss against hand-worked and golden numbers, and a run that learns, stops, resumes and refuses."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from recorder import Recorder

from trainer import policy as policies
from trainer.adapters import attach_adapter
from trainer.algorithms import pairs as dpo
from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.pairs import dpo_loss
from trainer.configs import DPOConfig
from trainer.examples import Pair, encode
from trainer.losses.pair_mixture import pair_loss
from trainer.manifest import read_manifest
from trainer.reporter import Stopped
from trainer.tensors import pad_rows, sequence_logprobs

GOLDEN = Path(__file__).parents[2] / "golden" / "dpo_sequence.json"
SMALL = {
    "loss_type": "sigmoid",
    "loss_weights": "1",
    "beta": 0.1,
    "target_margin": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "max_length": 64,
}


class Store(dict):
    """A reference store in memory that counts what it was asked to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0

    def get(self, keys):  # type: ignore[override]
        return {key: self[key] for key in keys if key in self}

    def put(self, values) -> None:
        self.puts += len(values)
        self.update(values)


def pairs(n: int = 12) -> list[Pair]:
    """Capitals are chosen over digits."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(n)
    ]


def train(tiny_model_dir, folder: Path, *, recorder: Recorder | None = None, source=None, examples=None, **changes):
    return dpo.train(
        config=DPOConfig(**{**SMALL, **{k: v for k, v in changes.items() if k in DPOConfig.model_fields}}),
        examples=pairs() if examples is None else examples,
        policy_source=str(source or tiny_model_dir),
        output=folder / "dpo-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
        **{k: v for k, v in changes.items() if k not in DPOConfig.model_fields},
    )


# ------------------------------------------------------------------------------------------------ the loss


def test_the_loss_is_ln_2_where_policy_and_reference_agree():
    same = torch.tensor([-3.0, -50.0])
    result = dpo_loss(same, same - 1, same, same - 1, beta=0.1)
    assert result.losses.tolist() == pytest.approx([math.log(2)] * 2)
    assert result.chosen_rewards.tolist() == result.rejected_rewards.tolist() == [0.0, 0.0]


def test_the_loss_of_a_pair_worked_by_hand():
    # u = -10 - -12 = 2, v = -9 - -6 = -3, h = 5, beta h = 0.5; sigmoid(0.5) = 0.622459, -log of it = 0.474077
    vectors = [torch.tensor([value]) for value in (-10.0, -9.0, -12.0, -6.0)]
    result = dpo_loss(*vectors, beta=0.1)
    assert result.losses.item() == pytest.approx(0.474077, abs=1e-6)
    assert result.chosen_rewards.item() == pytest.approx(0.2)
    assert result.rejected_rewards.item() == pytest.approx(-0.3)
    # -log sigmoid(-0.5) = 0.974077, so a fifth of it smoothed in: 0.8 * 0.474077 + 0.2 * 0.974077 = 0.574077
    assert dpo_loss(*vectors, beta=0.1, label_smoothing=0.2).losses.item() == pytest.approx(0.574077, abs=1e-6)


def test_the_gradient_raises_the_chosen_and_lowers_the_rejected():
    chosen, rejected = torch.tensor([-5.0], requires_grad=True), torch.tensor([-5.0], requires_grad=True)
    dpo_loss(chosen, rejected, torch.tensor([-5.0]), torch.tensor([-5.0]), beta=0.1).losses.sum().backward()
    assert chosen.grad.item() == pytest.approx(-0.05)  # -beta * sigmoid(0)
    assert rejected.grad.item() == pytest.approx(0.05)


def test_the_loss_and_its_gradient_agree_with_other_implementations():
    cases = [case for case in json.loads(GOLDEN.read_text())["cases"] if case["params"]["loss_type"] == "sigmoid"]
    checked = 0
    for case in cases:
        values = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in case["inputs"].items()}
        free = case["params"]["reference_free"]
        reference = [values[k] * (0 if free else 1) for k in ("ref_chosen", "ref_rejected")]
        result = dpo_loss(
            values["chosen"],
            values["rejected"],
            *reference,
            beta=case["params"]["beta"],
            label_smoothing=case["params"].get("label_smoothing", 0.0),
        )
        assert result.losses.tolist() == pytest.approx(case["expected"]["per_pair_loss"], abs=1e-9), case["name"]
        result.losses.mean().backward()
        for name in ("chosen", "rejected"):
            assert values[name].grad.tolist() == pytest.approx(case["expected"]["grads"][name], abs=1e-9)
        checked += 1
    assert checked >= 20


# ------------------------------------------------------------------------------------------------ a run


def test_a_run_learns_to_prefer_the_chosen_and_saves_an_adapter_that_shows_it(tiny_model_dir, tmp_path):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, epochs=8)
    assert recorder.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert result.metrics["loss"] < 0.5
    assert result.metrics["rewards/accuracies"] == 1.0
    assert result.steps == recorder.total == len(recorder.steps) == 24
    trained = policies.load_policy(tmp_path / "dpo-0001", device="cpu")
    start = policies.load_policy(tiny_model_dir, device="cpu")
    assert trained.digest == result.digest
    gains = []
    for pair in pairs():
        prompt, sides, _ = encode(start.tokenizer, pair.prompt, [pair.chosen, pair.rejected], max_length=64)
        rows = pad_rows([(prompt, side) for side in sides], pad_id=0)
        with torch.no_grad():
            gains.append(sequence_logprobs(trained.model, rows) - sequence_logprobs(start.model, rows))
    chosen, rejected = torch.stack(gains).mean(dim=0)
    assert 0.1 * float(chosen - rejected) > 0.5  # the reward margin, from the files alone


def test_every_step_reports_the_metrics_the_charts_draw(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, epochs=1)
    for entry in recorder.steps:
        assert entry.keys() >= {
            "loss",
            "learning_rate",
            "grad_norm",
            "rewards/chosen",
            "rewards/rejected",
            "rewards/margins",
            "rewards/accuracies",
            "logps/chosen",
            "logps/rejected",
        }
        assert entry["rewards/margins"] == pytest.approx(entry["rewards/chosen"] - entry["rewards/rejected"], abs=1e-5)


def test_two_runs_with_one_seed_end_alike_and_another_seed_differs(tiny_model_dir, tmp_path):
    losses = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        recorder = Recorder()
        train(tiny_model_dir, tmp_path / name, recorder=recorder, seed=seed)
        losses[name] = [entry["loss"] for entry in recorder.steps]
    assert losses["a"] == pytest.approx(losses["b"], abs=1e-6)
    assert losses["a"] != pytest.approx(losses["c"], abs=1e-4)


def test_accumulated_batches_train_as_one_large_batch_does(tiny_model_dir, tmp_path):
    traces = []
    for name, batch, accumulation in (("one", 4, 1), ("two", 2, 2)):
        recorder = Recorder()
        train(tiny_model_dir, tmp_path / name, recorder=recorder, batch_size=batch, gradient_accumulation=accumulation)
        traces.append([(entry["loss"], entry["rewards/margins"]) for entry in recorder.steps])
    assert len(traces[0]) == len(traces[1]) == 6
    for one, two in zip(*traces, strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, first, second = Recorder(), Recorder(stop_after=4), Recorder()
    expected = train(tiny_model_dir, tmp_path / "whole", recorder=whole)
    with pytest.raises(Stopped, match="after step 4"):
        train(tiny_model_dir, tmp_path / "cut", recorder=first)
    assert not (tmp_path / "cut" / "dpo-0001").exists()
    result = train(tiny_model_dir, tmp_path / "cut", recorder=second)
    assert "resuming from step 4" in second.lines
    assert [entry["step"] for entry in second.steps] == [5, 6]
    assert second.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)
    assert result.metrics == pytest.approx(expected.metrics, abs=1e-4)


def test_a_half_written_save_is_ignored(tiny_model_dir, tmp_path):
    whole, cut = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "whole", recorder=whole)
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=3))
    work = tmp_path / "cut" / "work"
    (work / "checkpoint-5").mkdir()
    (work / "checkpoint-5" / "trainer_state.json").write_text('{"global_step": 5')
    train(tiny_model_dir, tmp_path / "cut", recorder=cut)
    assert "resuming from step 3" in cut.lines
    assert cut.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)


KILLED = """
import sys, time
from pathlib import Path
from trainer.algorithms import train
from trainer.configs import DPOConfig
from trainer.examples import Pair
sys.path[:0] = [{tests!r}, {support!r}]
from recorder import Recorder
from test_pairs import SMALL, pairs
class Slow(Recorder):
    def step(self, step, total, metrics):
        print("step", step, flush=True)
        time.sleep(0.2)
train("dpo", config=DPOConfig(**SMALL, save_steps=2), examples=pairs(), policy_source={model!r},
      output=Path({folder!r}) / "dpo-0001", work=Path({folder!r}) / "work", reporter=Slow(), device="cpu")
"""


@pytest.mark.slow
def test_a_run_killed_without_warning_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    whole, cut = Recorder(), Recorder()
    train(tiny_model_dir, tmp_path / "whole", recorder=whole, save_steps=2)
    script = KILLED.format(
        support=str(Path(__file__).parents[2] / "support"),
        tests=str(Path(__file__).parent),
        model=str(tiny_model_dir),
        folder=str(tmp_path / "cut"),
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    for line in process.stdout:
        if line.strip() == "step 3":
            break
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    train(tiny_model_dir, tmp_path / "cut", recorder=cut, save_steps=2)
    assert "resuming from step 2" in cut.lines
    assert cut.steps[-1]["loss"] == pytest.approx(whole.steps[-1]["loss"], abs=1e-4)


def test_a_run_killed_between_checkpoint_and_record_gives_its_result_again(tiny_model_dir, tmp_path):
    first = train(tiny_model_dir, tmp_path)
    recorder = Recorder()
    assert train(tiny_model_dir, tmp_path, recorder=recorder) == first
    assert recorder.steps == []


def test_a_run_ends_after_the_epoch_whose_margin_exceeds_the_target(tiny_model_dir, tmp_path):
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder=recorder, epochs=20, target_margin=0.3)
    assert result.steps == len(recorder.steps) < 60
    assert result.steps % 3 == 0
    epochs = [recorder.steps[i : i + 3] for i in range(0, result.steps, 3)]
    means = [sum(entry["rewards/margins"] for entry in epoch) / 3 for epoch in epochs]
    aim = DPOConfig(target_margin=0.3).margin_of(12, further=False)
    assert means[-1] > aim
    assert all(mean <= aim for mean in means[:-1])
    assert any("above the target" in line for line in recorder.lines)
    assert result.metrics["rewards/margins"] == pytest.approx(means[-1])


def test_few_pairs_and_an_adapter_trained_further_end_at_a_lower_margin():
    config = DPOConfig(target_margin=4.0)
    fresh = [config.margin_of(pairs, further=False) for pairs in (5, 20, 25, 500)]
    assert fresh == pytest.approx([0.8, 3.2, 4.0, 4.0])
    assert config.margin_of(500, further=True) == pytest.approx(2.4)
    assert DPOConfig(target_margin=0.0).margin_of(2, further=True) == 0


def test_full_training_saves_a_whole_model(tiny_model_dir, tmp_path):
    result = train(tiny_model_dir, tmp_path, adapter="full", learning_rate=1e-3, epochs=6)
    assert read_manifest(tmp_path / "dpo-0001").kind == "full"
    assert result.metrics["loss"] < 0.6
    assert policies.load_policy(tmp_path / "dpo-0001", device="cpu").digest == result.digest


def test_an_adapter_is_continued_on_its_own_base_against_the_same_reference(tiny_model_dir, tmp_path):
    recorder = Recorder()
    first = train(tiny_model_dir, tmp_path / "one")
    second = train(tiny_model_dir, tmp_path / "two", source=tmp_path / "one" / "dpo-0001", recorder=recorder)
    manifest = read_manifest(tmp_path / "two" / "dpo-0001")
    assert manifest.base == str(tiny_model_dir)
    assert recorder.steps[0]["loss"] < 0.6  # from where the first one came to: a fresh adapter starts at ln 2
    assert second.metrics["loss"] < first.metrics["loss"]


# ------------------------------------------------------------------------------------------------ the reference


def test_reference_log_probabilities_are_computed_once_and_kept(tiny_model_dir, tmp_path):
    store = Store()
    train(tiny_model_dir, tmp_path / "one", reference_store=store)
    puts = store.puts
    assert puts == 24
    train(tiny_model_dir, tmp_path / "two", reference_store=store, examples=[*pairs(), *pairs(13)[12:]])
    assert store.puts == puts + 2


def test_a_kept_log_probability_that_no_longer_holds_stops_the_run(tiny_model_dir, tmp_path):
    store = Store()
    train(tiny_model_dir, tmp_path / "one", reference_store=store)
    for key in store:
        store[key] += 0.01
    with pytest.raises(InvariantViolated, match="computing it again gives"):
        train(tiny_model_dir, tmp_path / "two", reference_store=store)


def test_a_start_that_differs_from_the_reference_it_claims_to_be_stops_the_run(tiny_model_dir, tmp_path, monkeypatch):
    def dishonest(model, **settings):
        adapted = attach_adapter(model, **settings)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        return adapted

    monkeypatch.setattr("trainer.algorithms.start.attach_adapter", dishonest)
    with pytest.raises(InvariantViolated, match=r"must be ln 2 = 0\.6931"):
        train(tiny_model_dir, tmp_path)


def test_another_reference_than_the_start_is_held_to(tiny_model_dir, tmp_path):
    train(tiny_model_dir, tmp_path / "one", adapter="full", learning_rate=1e-3, epochs=6)
    recorder = Recorder()
    train(
        tiny_model_dir,
        tmp_path / "two",
        source=tmp_path / "one" / "dpo-0001",
        reference_source=str(tiny_model_dir),
        recorder=recorder,
    )
    assert recorder.steps[0]["loss"] < 0.65


def test_no_pairs_are_refused_with_the_remedy(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="choose between some completions first"):
        train(tiny_model_dir, tmp_path, examples=[])


def test_pairs_that_had_to_be_shortened_are_counted_aloud(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, recorder=recorder, max_length=16, epochs=1)
    assert any("pairs were shortened to 16 tokens" in line for line in recorder.lines)


def test_a_loss_that_is_not_a_number_stops_the_run(tiny_model_dir, tmp_path, monkeypatch):
    def broken(*vectors, **settings):
        result = pair_loss(*vectors, **settings)
        return result._replace(losses=result.losses * math.nan)

    monkeypatch.setattr(dpo, "pair_loss", broken)
    monkeypatch.setattr(dpo.PairTrainer, "_check_start", lambda *_, **__: None)
    with pytest.raises(InvariantViolated, match="the loss is nan at step 1; lower the learning rate"):
        train(tiny_model_dir, tmp_path)


def test_one_row_a_pair_trains_as_two_rows_do(tiny_model_dir, tmp_path, monkeypatch):
    traces = []
    for name, shared in (("one", True), ("two", False)):
        recorder = Recorder()
        if not shared:
            monkeypatch.setattr(dpo, "shares_prefix", lambda *_, **__: False)
        train(tiny_model_dir, tmp_path / name, recorder=recorder)
        traces.append([(entry["loss"], entry["grad_norm"], entry["logps/rejected"]) for entry in recorder.steps])
    for one, two in zip(*traces, strict=True):
        assert one == pytest.approx(two, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("losses", "weights"), [(["sigmoid"], [1.0]), (["sigmoid", "sft"], [1.0, 0.5])], ids=["dpo", "mixed"]
)
def test_a_run_has_the_trajectory_of_trl(tiny_model_dir, tmp_path, losses, weights):
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl.trainer.dpo_config import DPOConfig as TRLConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    recorder = Recorder()
    train(
        tiny_model_dir,
        tmp_path / "ours",
        recorder=recorder,
        seed=5,
        rank=4,
        alpha=8,
        loss_type=losses,
        loss_weights=weights,
    )
    oracle = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32),
        args=TRLConfig(
            output_dir=str(tmp_path / "trl"),
            beta=0.1,
            loss_type=losses,
            loss_weights=weights,
            max_length=64,
            num_train_epochs=2,
            per_device_train_batch_size=4,
            learning_rate=1e-2,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
            seed=5,
        ),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt": pair.prompt,
                    "chosen": [{"role": "assistant", "content": pair.chosen}],
                    "rejected": [{"role": "assistant", "content": pair.rejected}],
                }
                for pair in pairs()
            ]
        ),
        processing_class=AutoTokenizer.from_pretrained(tiny_model_dir),
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    oracle.remove_callback(PrinterCallback)
    oracle.train()
    theirs = [entry for entry in oracle.state.log_history if "loss" in entry]
    assert len(theirs) == len(recorder.steps) == 6
    for ours, other in zip(recorder.steps, theirs, strict=True):
        for name in ("loss", "rewards/margins", "grad_norm", "logps/chosen", "logps/rejected", "learning_rate"):
            assert ours[name] == pytest.approx(other[name], rel=2e-3, abs=2e-3), name
