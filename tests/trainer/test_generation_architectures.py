"""Any causal language model: padded rows, finished rows and caches of every kind give what generate gives alone."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.decoding import DecodingBatch
from trainer.policy import Policy
from trainer.prompting import position_limit
from trainer.sampling import Sampling

COMMON: dict[str, Any] = {"vocab_size": 99, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
LLAMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
LINEAR: dict[str, Any] = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "mistral": LLAMA | {"sliding_window": 8},
    "gemma3_text": LLAMA | {"head_dim": 8, "sliding_window": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "gpt_neox": {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "qwen3_5_text": LLAMA | LINEAR | {"head_dim": 8},
    "mamba": {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2},
}


class Letters:
    """A tokenizer for what decoding needs of one."""

    pad_token_id, eos_token_id, chat_template = 0, None, ""

    def decode(self, ids: list[int], **options: bool) -> str:
        return "".join(chr(97 + i % 26) for i in ids)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_greedy_rows_are_those_of_generate_alone(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **COMMON, **ARCHITECTURES[name])).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.15)
    prompts = [torch.randint(5, 99, (length,)).tolist() for length in (5, 17, 11)]
    prompts.append(prompts[0])
    lengths = [20, 6, 20, 3]
    policy = Policy(model, Letters(), "digest")  # type: ignore[arg-type]
    batch = DecodingBatch(
        policy, prompts, sampling=[Sampling(0.0, max_new_tokens=length) for length in lengths], seeds=[0] * 4
    )
    rows = {}
    while batch.live:
        rows |= {update.row: update.generated.token_ids for update in batch.step() if update.generated}
    for i, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        ids = torch.tensor([prompt])
        alone = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=length, do_sample=False, pad_token_id=0
        )
        assert rows[i] == tuple(alone[0, len(prompt) :].tolist())
    assert position_limit(model) == (None if name in ("bloom", "mamba") else 64)
