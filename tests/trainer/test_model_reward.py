"""A reward model as a reward: between 0 and 1, in the order of its scores, whatever is scored beside."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

from trainer.algorithms.reward_model import score
from trainer.model_reward import ModelReward
from trainer.policy import load_reward_model, save_checkpoint

PROMPTS = [[{"role": "user", "content": f"Say {i}"}] for i in range(4)]
TEXTS = ["YES", "12 12", "no", "YES YES YES"]


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    config = AutoConfig.from_pretrained(tiny_model_dir, num_labels=1)
    torch.manual_seed(1)
    model = LlamaForSequenceClassification(config)
    torch.nn.init.normal_(model.score.weight, std=2.0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    save_checkpoint(tmp_path / "reward_model-0001", model=model, tokenizer=tokenizer, kind="reward_model")
    return tmp_path / "reward_model-0001"


def test_a_reward_is_the_sigmoid_of_the_score(folder: Path) -> None:
    found = ModelReward(folder, device="cpu", max_length=64)(PROMPTS, TEXTS, [None] * 4)
    loaded = load_reward_model(folder, device="cpu")
    scores = score(loaded.model, loaded.tokenizer, list(zip(PROMPTS, TEXTS, strict=True)), max_length=64)
    assert max(scores) - min(scores) > 0.1
    assert found == pytest.approx(torch.tensor(scores).sigmoid().tolist(), abs=1e-6)
    assert all(0 < value < 1 for value in found)


def test_a_checkpoint_of_another_kind_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tiny_model_dir),
        AutoTokenizer.from_pretrained(tiny_model_dir),
    )
    save_checkpoint(tmp_path / "full-0001", model=model, tokenizer=tokenizer, kind="full")
    with pytest.raises(ValueError, match="a reward model is needed"):
        ModelReward(tmp_path / "full-0001", device="cpu", max_length=64)
