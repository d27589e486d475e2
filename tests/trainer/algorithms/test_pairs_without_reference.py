"""ORPO, SimPO and CPO: runs that learn without ever asking a reference."""

import math
from pathlib import Path
from typing import Any

import pytest
from recorder import Recorder

from trainer.algorithms import pairs as family
from trainer.algorithms import train as train_by_name
from trainer.configs import parse_config
from trainer.examples import Pair
from trainer.losses.pair_mixture import PairSettings
from trainer.reporter import Stopped

SMALL = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}


def pairs(n: int = 12) -> list[Pair]:
    """Capitals are chosen over digits."""
    return [
        Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
        for i in range(n)
    ]


def train(model: Path, folder: Path, name: str, *, recorder: Recorder | None = None, **changes: Any) -> Any:
    return train_by_name(
        name,
        config=parse_config(name, SMALL | changes),
        examples=pairs(),
        policy_source=str(model),
        output=folder / f"{name}-0001",
        work=folder / "work",
        reporter=recorder or Recorder(),
        device="cpu",
    )


@pytest.mark.parametrize("name", ["orpo", "simpo", "cpo"])
def test_a_run_learns_to_prefer_the_chosen_without_a_reference(tiny_model_dir, tmp_path, name, monkeypatch):
    def asked(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a reference was asked")

    monkeypatch.setattr(family, "reference_logprobs", asked)
    recorder = Recorder()
    result = train(tiny_model_dir, tmp_path, name, recorder=recorder, epochs=8)
    assert result.metrics["loss"] < recorder.steps[0]["loss"] - 0.2
    first_pass = sum(step["rewards/margins"] for step in recorder.steps[:3]) / 3
    assert result.metrics["rewards/margins"] > first_pass


def test_what_is_set_reaches_the_loss(tiny_model_dir, tmp_path):
    recorder = Recorder()
    train(tiny_model_dir, tmp_path, "simpo", recorder=recorder, epochs=1, beta=0.01, gamma=4.0)
    # a random model finds both sides alike, so that -log sigmoid(-4) is left
    assert recorder.steps[0]["loss"] == pytest.approx(math.log(1 + math.exp(4)), abs=0.05)


def test_every_setting_of_a_loss_has_the_name_it_has_there():
    given = {"beta": 0.3, "label_smoothing": 0.2}
    assert PairSettings(**parse_config("orpo", {"beta": 0.3}).loss_settings) == PairSettings(beta=0.3)
    simpo, cpo = parse_config("simpo", given | {"gamma": 2.0}), parse_config("cpo", given | {"cpo_alpha": 3.0})
    assert PairSettings(**simpo.loss_settings) == PairSettings(beta=0.3, label_smoothing=0.2, gamma=2.0)
    assert PairSettings(**cpo.loss_settings) == PairSettings(beta=0.3, label_smoothing=0.2, cpo_alpha=3.0)
    assert PairSettings(**parse_config("dpo", given).loss_settings) == PairSettings(beta=0.3, label_smoothing=0.2)


def test_a_run_stopped_on_request_resumes_to_the_same_end(tiny_model_dir, tmp_path):
    expected = train(tiny_model_dir, tmp_path / "whole", "orpo")
    with pytest.raises(Stopped, match="after step 4"):
        train(tiny_model_dir, tmp_path / "cut", "orpo", recorder=Recorder(stop_after=4))
    assert train(tiny_model_dir, tmp_path / "cut", "orpo").metrics == pytest.approx(expected.metrics, abs=1e-4)


def test_pairs_share_their_prompt_as_dpo_does(tiny_model_dir, tmp_path, monkeypatch):
    seen = []
    can_share = family.can_share
    monkeypatch.setattr(family, "can_share", lambda *a: seen.append(can_share(*a)) or seen[-1])
    train(tiny_model_dir, tmp_path, "orpo", epochs=1)
    assert seen == [True]
