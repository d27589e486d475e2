"""A folder of checkpoints: a tiny random reward model, and a policy."""

from pathlib import Path

import pytest
import torch

from trainer.policy import load_tokenizer, save_checkpoint


@pytest.fixture(scope="session")
def checkpoints(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(1)
    config = LlamaConfig.from_pretrained(tiny_model_dir, num_labels=1, initializer_range=0.5)
    tokenizer = load_tokenizer(tiny_model_dir)
    scorer, policy = LlamaForSequenceClassification(config), LlamaForCausalLM(config)
    save_checkpoint(folder / "reward_model-0001", model=scorer, tokenizer=tokenizer, kind="reward_model")
    save_checkpoint(folder / "sft-0001", model=policy, tokenizer=tokenizer, kind="full")
    return folder
