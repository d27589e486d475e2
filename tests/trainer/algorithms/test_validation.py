"""Looks at what is not learnt from: measured beside the run, an early end, the best step kept, a run resumed."""

from pathlib import Path

import pytest
from recorder import Recorder

from trainer.algorithms import kto, offline_rl, pairs, pro, reward_model, sft
from trainer.algorithms import train as train_run
from trainer.algorithms.validation import LEAST, MOST, Unseen, steady
from trainer.base_config import InvalidConfig
from trainer.configs import NLLConfig, parse_config
from trainer.dataset import demonstrations_of
from trainer.examples import Demonstration, Pair, Question, encode
from trainer.policy import load_policy
from trainer.ratings import sides_of
from trainer.reporter import Stopped
from trainer.rewards.composition import Composition
from trainer.tensors import completion_logprobs

COMMON = {"batch_size": 4, "epochs": 4, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
OWN = {"reward_model": {"normalise": 0, "validation_share": 0.0}, "dpo": {"target_margin": 0}}
TRAIN = {"dpo": pairs, "sft": sft, "kto": kto, "pro": pro, "nll": offline_rl, "a_lol": offline_rl}
FORMS = {"sft": demonstrations_of, "kto": sides_of}


def capitals(count: int = 8, first: int = 0, *, liked: bool = True) -> list[Pair]:
    """Capitals are chosen over digits, or where they are not `liked` the other way round."""
    made = []
    for i in range(first, first + count):
        texts = ("YES " * (1 + i % 3), "12 " * (1 + i % 4))
        made.append(Pair([{"role": "user", "content": f"Say {i}"}], *(texts if liked else texts[::-1]), i, f"g{i}"))
    return made


def train(algorithm, tiny_model_dir, folder: Path, *, recorder=None, unseen=(), questions=(), reward=None, **changes):
    form = FORMS.get(algorithm, list)
    return TRAIN.get(algorithm, reward_model).train(
        config=parse_config(algorithm, COMMON | OWN.get(algorithm, {}) | changes),
        examples=form(capitals()),
        policy_source=str(tiny_model_dir),
        output=folder / f"{algorithm}-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        unseen=Unseen(form(unseen), questions, reward),
        device="cpu",
    )


def seen(recorder, name="validation/loss"):
    return {entry["step"]: entry[name] for entry in recorder.steps if name in entry}


def weights(checkpoint: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(checkpoint.glob("*.safetensors")))


@pytest.mark.parametrize("algorithm", ["dpo", "sft", "kto", "pro", "nll", "a_lol", "reward_model"])
def test_the_loss_on_unseen_examples_falls_beside_the_run_and_changes_nothing_in_it(
    algorithm, tiny_model_dir, tmp_path
):
    with_looks, without = Recorder(), Recorder()
    result = train(
        algorithm, tiny_model_dir, tmp_path / "a", recorder=with_looks, unseen=capitals(LEAST, 100), validate_every=3
    )
    train(algorithm, tiny_model_dir, tmp_path / "b", recorder=without, validate_every=0)
    losses = seen(with_looks)
    last = with_looks.steps[-1]["step"]
    assert list(losses) == [*range(3, last, 3), last] and losses[last] < losses[3]
    assert result.metrics["validation/loss"] == losses[last] and result.metrics["validation/step"] == last
    assert [entry["loss"] for entry in with_looks.steps] == [entry["loss"] for entry in without.steps]


def test_a_look_has_the_loss_of_the_weights_it_looks_at(tiny_model_dir, tmp_path):
    unseen = capitals(LEAST, 100)
    result = train("nll", tiny_model_dir, tmp_path, unseen=unseen)
    policy = load_policy(tmp_path / "nll-0001", device="cpu")
    rows = []
    for pair in unseen:
        prompt, (completion,), _ = encode(policy.tokenizer, pair.prompt, [pair.chosen], max_length=64)
        rows.append((prompt, completion))
    found = completion_logprobs(policy.model, rows, pad_id=policy.tokenizer.pad_token_id, batch_size=8)
    assert result.metrics["validation/loss"] == pytest.approx(-sum(found) / len(found), rel=1e-4)


def test_a_run_ends_when_its_patience_is_used_up(tiny_model_dir, tmp_path):
    recorder = Recorder()
    contrary = capitals(LEAST, 100, liked=False)
    settings = {"unseen": contrary, "validate_every": 1, "patience": 2, "epochs": 50, "learning_rate": 2e-2}
    result = train("dpo", tiny_model_dir, tmp_path, recorder=recorder, **settings)
    losses = seen(recorder)
    best = min(losses, key=lambda step: losses[step])
    assert result.steps == best + 2 < 20
    assert any(f"no better validation/loss than step {best}" in line for line in recorder.lines)


@pytest.mark.parametrize("adapter", ["lora", "full", "bottleneck"])
def test_the_best_step_is_what_is_kept(adapter, tiny_model_dir, tmp_path):
    recorder = Recorder()
    changes = {"adapter": adapter, "schedule": "constant", "validate_every": 2, "learning_rate": 3e-2}
    contrary = capitals(LEAST, 100, liked=False)
    result = train("dpo", tiny_model_dir, tmp_path / "a", recorder=recorder, unseen=contrary, keep="best", **changes)
    losses = seen(recorder)
    best = min(losses, key=lambda step: losses[step])
    assert best < result.steps and result.metrics["validation/step"] == best
    train("dpo", tiny_model_dir, tmp_path / "b", max_steps=best, **changes)
    assert weights(tmp_path / "a" / "dpo-0001") == weights(tmp_path / "b" / "dpo-0001")


def test_a_stopped_run_goes_on_to_the_same_end_and_looks_once_at_each_step(tiny_model_dir, tmp_path):
    settings = {
        "unseen": capitals(LEAST, 100, liked=False),
        "validate_every": 1,
        "patience": 3,
        "keep": "best",
        "save_steps": 2,
    }
    whole = train("dpo", tiny_model_dir, tmp_path / "whole", **settings)
    with pytest.raises(Stopped):
        train("dpo", tiny_model_dir, tmp_path / "cut", recorder=Recorder(stop_after=3), **settings)
    again = train("dpo", tiny_model_dir, tmp_path / "cut", **settings)
    assert (again.metrics, again.steps) == (whole.metrics, whole.steps)
    assert weights(tmp_path / "cut" / "dpo-0001") == weights(tmp_path / "whole" / "dpo-0001")


def test_the_text_of_the_policy_may_be_what_decides(tiny_model_dir, tmp_path):
    looked, recorder = [], Recorder()

    def middle_is_best(prompts, completions, references):
        looked.append(list(completions))
        return [{2: 1.0}.get(len(looked), 0.0)] * len(prompts)

    questions = [Question(pair.prompt) for pair in capitals(3, 100)]
    changes = {"validate_every": 2, "keep": "best", "schedule": "constant"}
    result = train(
        "nll", tiny_model_dir, tmp_path / "a", recorder=recorder, questions=questions, reward=middle_is_best, **changes
    )
    assert [len(texts) for texts in looked] == [3] * len(looked) and len(looked) > 2
    assert result.metrics["validation/reward"] == 1.0 and result.metrics["validation/step"] == 4
    train("nll", tiny_model_dir, tmp_path / "b", **changes | {"keep": "last"})
    assert weights(tmp_path / "a" / "nll-0001") != weights(tmp_path / "b" / "nll-0001")


SAMPLING = {
    "adapter": "lora",
    "rollouts": 8,
    "batch_size": 8,
    "max_new_tokens": 4,
    "max_steps": 7,
    "learning_rate": 3e-2,
    "schedule": "constant",
    "warmup_share": 0.0,
    "guards": "watch",
    "validate_every": 1,
}


@pytest.mark.parametrize("method", ["ppo", "online_dpo", "rloo", "grpo"])
def test_a_run_that_samples_looks_at_its_own_reward_on_other_prompts(method, tiny_model_dir, tmp_path):
    asked, recorder = [], Recorder()

    def letters(prompts, completions, references):
        if all(prompt[0]["content"].startswith("Unseen") for prompt in prompts):
            asked.append(len(prompts))
            return [{1: 0.125, 2: 0.875, 3: 0.25}.get(len(asked), 0.5)] * len(prompts)
        return [float(text.count("a")) for text in completions]

    result = train_run(
        method,
        config=parse_config(method, SAMPLING | {"keep": "best", "patience": 2}),
        examples=[Question([{"role": "user", "content": f"Say {i}"}]) for i in range(8)],
        reward=letters,
        unseen=Unseen(questions=[Question([{"role": "user", "content": f"Unseen {i}"}]) for i in range(3)]),
        policy_source=str(tiny_model_dir),
        output=tmp_path / "made",
        work=tmp_path / "work",
        reporter=recorder,
        device="cpu",
    )
    assert asked == [3] * 4 and result.steps == 4
    assert seen(recorder, "validation/reward") == {1: 0.125, 2: 0.875, 3: 0.25, 4: 0.5}
    assert result.metrics["validation/reward"] == 0.875 and result.metrics["validation/step"] == 2


def test_looks_by_a_composed_reward_keep_the_scale_of_the_first(tmp_path):
    of_length = [lambda prompts, completions, references: [float(len(text)) for text in completions]]
    reward = Composition(parse_config("ppo", {"rewards": "length"}), of_length)
    ask = [[{"role": "user", "content": "?"}]] * 3
    reward.score(ask, ["a" * 5, "a" * 10, "a" * 15], [None] * 3)
    first = steady(reward, tmp_path).score(ask, ["a" * 12] * 3, [None] * 3, learn=False).rewards
    reward.score(ask, ["one two three", "four five six seven", "eight nine ten eleven twelve"], [None] * 3)
    assert steady(reward, tmp_path).score(ask, ["a" * 12] * 3, [None] * 3, learn=False).rewards == first
    assert reward.score(ask, ["a" * 12] * 3, [None] * 3, learn=False).rewards != first


def test_a_reward_without_prompts_is_refused(tiny_model_dir, tmp_path):
    with pytest.raises(ValueError, match="no validation prompts to complete"):
        train("nll", tiny_model_dir, tmp_path, reward=lambda *given: [])


def test_few_examples_decide_nothing_and_that_is_said(tiny_model_dir, tmp_path):
    recorder = Recorder()
    result = train("dpo", tiny_model_dir, tmp_path, recorder=recorder, unseen=capitals(LEAST - 1, 100), patience=1)
    assert seen(recorder) == {} and "validation/loss" not in result.metrics
    assert any(f"there are {LEAST - 1} validation examples" in line for line in recorder.lines)


def test_a_look_has_a_bound_however_many_examples_there_are():
    many = Unseen([Demonstration([], str(i)) for i in range(MOST + 7)])
    assert len({one.completion for one in many.chosen(0)}) == MOST
    assert many.chosen(0) == many.chosen(0) != many.chosen(1)


@pytest.mark.parametrize("wish", [{"patience": 2}, {"keep": "best"}])
def test_what_needs_looks_is_refused_without_them(wish):
    with pytest.raises(InvalidConfig, match="validate_every is 0"):
        parse_config("dpo", {"validate_every": 0, **wish})


def test_a_moving_reference_has_no_loss_to_go_by():
    moving = {"reward": "reward_model-0001", "baseline_update_threshold": 0.1}
    with pytest.raises(InvalidConfig, match="no one loss"):
        parse_config("a_lol", moving | {"patience": 1})


@pytest.mark.parametrize(
    ("schedule", "share"), [("linear", [1, 0.75, 0.5, 0.25]), ("constant", [1] * 4), ("cosine", [1, 0.85, 0.5, 0.15])]
)
def test_the_learning_rate_goes_by_its_schedule(schedule, share, tiny_model_dir, tmp_path):
    recorder = Recorder()
    train("nll", tiny_model_dir, tmp_path, recorder=recorder, schedule=schedule, epochs=2)
    rates = [entry["learning_rate"] for entry in recorder.steps]
    assert rates == pytest.approx([1e-2 * one for one in share], rel=0.03)
    assert NLLConfig().schedule == "linear"
