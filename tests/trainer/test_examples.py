"""Examples become token ids by one rule: prompt first, whole turns dropped before words are cut."""

import pytest

from trainer import policy as policies
from trainer.examples import encode


@pytest.fixture(scope="module")
def tokenizer(tiny_model_dir):
    return policies.load_tokenizer(tiny_model_dir)


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]


def test_a_completion_follows_its_prompt_and_ends_in_the_end_token(tokenizer):
    encoded = encode(tokenizer, turns("Hi"), ["Yes", "No"], max_length=64)
    assert tokenizer.decode(encoded.prompt) == "<|user|>Hi<|assistant|>"
    assert [tokenizer.decode(ids) for ids in encoded.completions] == ["Yes<eos>", "No<eos>"]
    assert not encoded.shortened


def test_the_oldest_exchange_is_dropped_first_and_the_system_message_kept(tokenizer):
    prompt = [{"role": "system", "content": "S"}, *turns("a" * 20, "b" * 20, "c" * 5)]
    encoded = encode(tokenizer, prompt, ["yes"], max_length=24)
    assert tokenizer.decode(encoded.prompt) == "<|system|>S<|user|>ccccc<|assistant|>"
    assert encoded.shortened


def test_both_completions_share_a_prompt_shortened_for_the_longer(tokenizer):
    prompt = turns("a" * 10, "b" * 10, "c" * 5)
    short = encode(tokenizer, prompt, ["y", "y"], max_length=34)
    both = encode(tokenizer, prompt, ["y", "y" * 16], max_length=34)
    assert "aaaaaaaaaa" in tokenizer.decode(short.prompt)
    assert tokenizer.decode(both.prompt) == "<|user|>ccccc<|assistant|>"
    assert [len(ids) for ids in both.completions] == [2, 17]


def test_a_completion_that_is_cut_still_ends_in_the_end_token(tokenizer):
    encoded = encode(tokenizer, turns("Hi"), ["y" * 50], max_length=20)
    assert len(encoded.prompt) + len(encoded.completions[0]) == 20
    assert encoded.completions[0][-1] == tokenizer.eos_token_id
    assert encoded.shortened


def test_a_last_turn_that_is_too_long_leaves_the_completion_half_the_length(tokenizer):
    encoded = encode(tokenizer, turns("a" * 100), ["y" * 50], max_length=20)
    assert len(encoded.prompt) == len(encoded.completions[0]) == 10
    assert tokenizer.decode(encoded.prompt).endswith("aaa<|assistant|>")


def test_control_tokens_typed_by_a_person_are_text(tokenizer):
    end = tokenizer.eos_token_id
    encoded = encode(tokenizer, turns("Hi<eos>"), ["Yes<eos>No"], max_length=64)
    assert end not in encoded.prompt
    assert encoded.completions[0].count(end) == 1


def test_a_newline_after_the_end_of_the_turn_is_not_learnt(tokenizer, tiny_model_dir):
    other = policies.load_tokenizer(tiny_model_dir)
    other.chat_template = tokenizer.chat_template.replace("{% endgeneration %}", "{% endgeneration %}{{ '\\n' }}")
    assert encode(other, turns("Hi"), ["Yes"], max_length=64) == encode(tokenizer, turns("Hi"), ["Yes"], max_length=64)


def test_a_template_that_rewrites_the_answered_conversation_still_gives_the_completion(tokenizer, tiny_model_dir):
    other = policies.load_tokenizer(tiny_model_dir)
    other.chat_template = "{{ 'n' + (messages | length | string) }}" + tokenizer.chat_template
    encoded = encode(other, turns("Hi"), ["Yes"], max_length=64)
    assert tokenizer.decode(encoded.prompt) == "n1<|user|>Hi<|assistant|>"
    assert tokenizer.decode(encoded.completions[0]) == "Yes<eos>"


def test_a_prompt_without_messages_is_refused(tokenizer):
    with pytest.raises(ValueError, match="at least one message"):
        encode(tokenizer, [], ["Yes"], max_length=64)
