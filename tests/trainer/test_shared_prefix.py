"""A pair in one row has the log-probabilities it has in two, on models where that can be."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from trainer import policy as policies
from trainer.shared_prefix import PairIds, pad_pairs, pair_logprobs, shares_prefix
from trainer.tensors import pad_rows, sequence_logprobs

PAIRS = [
    PairIds([3, 40, 41, 4], [60, 61, 62, 1], [70, 1]),
    PairIds([3, 50, 51, 52, 53, 54, 4], [80, 1], [90, 91, 92, 93, 94, 1]),
]
SIZES = {"vocab_size": 128, "hidden_size": 32, "num_hidden_layers": 2}


def apart(model, pairs):
    rows = [(pair.prompt, pair.chosen) for pair in pairs] + [(pair.prompt, pair.rejected) for pair in pairs]
    return sequence_logprobs(model, pad_rows(rows, pad_id=0)).chunk(2)


def test_a_shared_row_gives_what_two_rows_give(tiny_model_dir):
    model = policies.load_policy(tiny_model_dir, device="cpu").model
    with torch.no_grad():
        for together, alone in zip(pair_logprobs(model, pad_pairs(PAIRS, pad_id=0)), apart(model, PAIRS), strict=True):
            torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_a_shared_row_gives_the_gradient_two_rows_give(tiny_model_dir):
    model = policies.load_policy(tiny_model_dir, device="cpu").model.requires_grad_(True)
    gradients = []
    for chosen, rejected in (pair_logprobs(model, pad_pairs(PAIRS, pad_id=0)), apart(model, PAIRS)):
        model.zero_grad()
        (chosen - rejected).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


def test_the_rejected_completion_cannot_see_the_chosen(tiny_model_dir):
    model = policies.load_policy(tiny_model_dir, device="cpu").model
    other = [pair._replace(chosen=[99] * len(pair.chosen)) for pair in PAIRS]
    with torch.no_grad():
        _, one = pair_logprobs(model, pad_pairs(PAIRS, pad_id=0))
        _, two = pair_logprobs(model, pad_pairs(other, pad_id=0))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        (GPT2LMHeadModel(GPT2Config(vocab_size=128, n_embd=32, n_layer=2, n_head=4)), True),
        (
            MistralForCausalLM(MistralConfig(**SIZES, num_attention_heads=4, num_key_value_heads=2, sliding_window=8)),
            False,
        ),
        (MambaForCausalLM(MambaConfig(**SIZES)), False),
    ],
    ids=["learnt positions", "sliding window", "state space"],
)
def test_only_models_with_full_attention_share(model, shares):
    assert shares_prefix(model.eval(), PAIRS, pad_id=0, allowed=1e-3) is shares


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one prompt token"):
        pad_pairs([PairIds([], [60, 1], [70, 1])], pad_id=0)
