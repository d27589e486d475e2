"""A run whose reference moves: when it does, what is made anew, and that it goes on where it was stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from safetensors.torch import load_file

from trainer.algorithms import offline_rl, offline_rounds
from trainer.algorithms.offline_rounds import Rounds, held_out
from trainer.base_config import InvalidConfig
from trainer.configs import parse_config
from trainer.examples import Pair
from trainer.reporter import Stopped

SMALL: dict[str, Any] = {
    "reward": "reward_model-0001",
    "sampling": "all_priority",
    "value_samples": 2,
    "value_epochs": 3,
    "batch_size": 4,
    "max_steps": 6,
    "baseline_every": 2,
    "learning_rate": 3e-2,
    "warmup_share": 0.0,
    "max_length": 64,
}


def pairs(n: int = 12) -> list[Pair]:
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(n)
    ]


def capitals(prompts: Any, texts: Any, references: Any) -> list[float | None]:
    return [sum(map(str.isupper, text)) / max(1, len(text)) for text in texts]


def train(model: Path, folder: Path, recorder: Recorder | None = None, **changes: Any) -> Any:
    return offline_rounds.train(
        config=parse_config("a_lol", SMALL | changes),
        examples=pairs(),
        policy_source=str(model),
        output=folder / "made",
        work=folder / "work",
        reporter=recorder or Recorder(),
        reward=capitals,
        device="cpu",
    )


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the reference of each round lay, by the last parts of its path."""
    seen: list[str] = []
    honest = offline_rl.train

    def told(**given: Any) -> Any:
        seen.append("/".join(Path(given["reference_source"]).parts[-2:]))
        return honest(**given)

    monkeypatch.setattr(offline_rl, "train", told)
    return seen


def test_a_checkpoint_that_is_better_by_the_threshold_becomes_the_reference_of_the_next_round(
    tiny_model_dir: Path, tmp_path: Path, references: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([0.1, 0.3, 0.35])  # the reference's, then after each round but the last
    monkeypatch.setattr(Rounds, "_measured", lambda self, policy: next(found))
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, recorder, baseline_update_threshold=0.1)
    assert references[1:] == ["round-0/checkpoint", "round-0/checkpoint"] != references[:1] * 2
    assert (result.metrics["baseline/updates"], result.metrics["baseline/reward"]) == (1, 0.3)
    assert [step["step"] for step in recorder.steps] == [1, 2, 3, 4, 5, 6] and recorder.total == result.steps == 6
    assert sum("the reference's value" in line for line in recorder.lines) == 3  # fitted again in every round


def test_one_that_is_not_leaves_the_reference_where_it_is(
    tiny_model_dir: Path, tmp_path: Path, references: list[str]
) -> None:
    result = train(tiny_model_dir, tmp_path, baseline_update_threshold=100.0)
    assert len(set(references)) == 1 and result.metrics["baseline/updates"] == 0


def test_a_run_stopped_in_a_round_goes_on_to_the_weights_of_one_that_was_not(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    settings = {"baseline_update_threshold": 0.01, "save_steps": 1}
    train(tiny_model_dir, tmp_path / "whole", **settings)
    with pytest.raises(Stopped):
        train(tiny_model_dir, tmp_path / "parts", Recorder(stop_after=4), **settings)
    recorder = Recorder()
    train(tiny_model_dir, tmp_path / "parts", recorder, **settings)
    assert recorder.steps[0]["step"] > 2
    ours, theirs = (load_file(tmp_path / name / "made" / "adapter_model.safetensors") for name in ("parts", "whole"))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)


def test_prompts_that_decide_about_the_reference_are_not_learnt_from() -> None:
    learnt, asked = held_out(pairs(30), seed=0)
    assert len(asked) == 3 and len(learnt) == 27
    assert not {str(prompt) for prompt in asked} & {str(pair.prompt) for pair in learnt}
    with pytest.raises(ValueError, match="of 3 prompts"):
        held_out(pairs(3), seed=0)


@pytest.mark.parametrize("changes", [{"reward": "preferences"}, {"adapter": "full"}])
def test_what_cannot_move_its_reference_is_refused_at_the_field(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidConfig, match="baseline_update_threshold: 0"):
        parse_config("a_lol", SMALL | {"baseline_update_threshold": 0.1} | changes)
