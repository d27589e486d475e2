"""Log-probabilities of completions: the right tokens, whatever stands beside them."""

import pytest
import torch
from transformers import LlamaForCausalLM

from trainer import policy as policies
from trainer.tensors import (
    completion_logprobs,
    completion_token_logprobs,
    disable_dropout,
    pad_rows,
    sequence_logprobs,
    token_logprobs,
)

PROMPT, LONG = [3, 40, 41, 42, 4], [3, 50, 51, 52, 53, 54, 55, 4]
COMPLETION = [60, 61, 1]


@pytest.fixture(scope="module")
def model(tiny_model_dir):
    return policies.load_policy(tiny_model_dir, device="cpu").model


def by_hand(model, prompt: list[int], completion: list[int]) -> float:
    """One token at a time, each from a forward pass of its own."""
    total, ids = 0.0, list(prompt)
    for token in completion:
        with torch.no_grad():
            last = model(torch.tensor([ids])).logits[0, -1].double()
        total += float(last[token] - torch.log(torch.exp(last).sum()))
        ids.append(token)
    return total


def test_a_completion_has_the_sum_of_its_tokens_log_probabilities(model):
    with torch.no_grad():
        found = sequence_logprobs(model, pad_rows([(PROMPT, COMPLETION)], pad_id=0))
    assert found.tolist() == pytest.approx([by_hand(model, PROMPT, COMPLETION)], abs=1e-4)


def test_neighbours_and_padding_change_nothing(model):
    rows = [(PROMPT, COMPLETION), (LONG, [70, 1]), ([3, 4], [60] * 12)]
    with torch.no_grad():
        together = sequence_logprobs(model, pad_rows(rows, pad_id=0))
        alone = torch.cat([sequence_logprobs(model, pad_rows([row], pad_id=0)) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_a_pad_id_that_is_also_the_end_token_is_counted_where_it_is_real(model):
    rows = [(PROMPT, COMPLETION), (LONG, [70, 71, 72, 1])]
    with torch.no_grad():
        with_end = sequence_logprobs(model, pad_rows(rows, pad_id=1))
        with_other = sequence_logprobs(model, pad_rows(rows, pad_id=0))
    torch.testing.assert_close(with_end, with_other, atol=1e-4, rtol=0)
    assert pad_rows(rows, pad_id=1)["completion_mask"].sum(dim=1).tolist() == [3, 4]


def test_a_model_that_cannot_keep_fewer_logits_gives_the_same(model):
    class Plain(LlamaForCausalLM):
        def forward(self, input_ids, attention_mask, use_cache):  # type: ignore[override]
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    plain = Plain(model.config).eval()
    plain.load_state_dict(model.state_dict())
    rows = pad_rows([(PROMPT, COMPLETION), (LONG, [70, 1])], pad_id=0)
    with torch.no_grad():
        torch.testing.assert_close(sequence_logprobs(plain, rows), sequence_logprobs(model, rows))


def test_log_probabilities_are_float32_from_a_half_precision_model(tiny_model_dir):
    half = policies.load_policy(tiny_model_dir, device="cpu", dtype=torch.bfloat16).model
    with torch.no_grad():
        logprobs, mask = token_logprobs(half, pad_rows([(PROMPT, COMPLETION)], pad_id=0))
    assert logprobs.dtype == mask.dtype == torch.float32


def test_no_gradient_reaches_what_is_not_the_completion(model):
    rows = pad_rows([(PROMPT, COMPLETION), (LONG, [70, 1])], pad_id=0)
    logprobs, mask = token_logprobs(model, rows)
    (gradient,) = torch.autograd.grad((logprobs * mask).sum(), logprobs)
    assert torch.equal(gradient, mask)
    assert mask.sum(dim=1).tolist() == [3.0, 2.0]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one prompt token"):
        pad_rows([([], COMPLETION)], pad_id=0)


def test_dropout_is_off_in_train_mode(model):
    copy = LlamaForCausalLM(model.config)
    copy.config.attention_dropout = 0.5
    for layer in copy.model.layers:
        layer.self_attn.attention_dropout = 0.5
    copy.load_state_dict(model.state_dict())
    rows = pad_rows([(PROMPT, COMPLETION)], pad_id=0)
    copy.train()
    with torch.no_grad():
        assert not torch.allclose(sequence_logprobs(copy, rows), sequence_logprobs(model, rows), atol=1e-4)
        disable_dropout(copy)
        torch.testing.assert_close(sequence_logprobs(copy, rows), sequence_logprobs(model, rows))


def test_tokens_come_in_the_order_of_the_rows_and_add_up_to_the_completions(model):
    rows = [(LONG, [70, 1]), (PROMPT, []), (PROMPT, COMPLETION), ([3, 4], [60] * 12)]
    tokens = completion_token_logprobs(model, rows, pad_id=0, batch_size=2)
    assert [len(values) for values in tokens] == [2, 0, 3, 12]
    sums = completion_logprobs(model, rows, pad_id=0, batch_size=3)
    assert [sum(values) for values in tokens] == pytest.approx(sums, abs=1e-4)
    assert sum(tokens[2][:1]) == pytest.approx(by_hand(model, PROMPT, COMPLETION[:1]), abs=1e-4)
