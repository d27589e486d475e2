"""Checks and rules, on completions written by hand."""

import pytest

from trainer.starter.check import is_right, is_well_formed, packaged_prompts
from trainer.starter.prompts import build_prompts
from trainer.starter.rules import RULES, find_rule
from trainer.starter.split import split_of


def _messages(group: str) -> list[dict[str, str]]:
    prompt = next(prompt for prompt in packaged_prompts() if prompt["group"] == group and len(prompt["messages"]) == 1)
    return [{"role": message["role"], "content": message["content"]} for message in prompt["messages"]]


def _first(tag: str) -> tuple[list[dict[str, str]], list[str]]:
    prompt = next(prompt for prompt in packaged_prompts() if tag in prompt["tags"] and len(prompt["messages"]) == 1)
    return [{"role": message["role"], "content": message["content"]} for message in prompt["messages"]], prompt[
        "check"
    ]["all_of"][0]


def test_there_are_at_least_1000_prompts_with_unique_ids_and_messages() -> None:
    prompts = packaged_prompts()
    assert len(prompts) >= 1000
    assert len({prompt["id"] for prompt in prompts}) == len(prompts)
    assert len({str(prompt["messages"]) for prompt in prompts}) == len(prompts)


def test_the_packaged_prompts_are_those_that_the_script_makes() -> None:
    assert list(packaged_prompts()) == build_prompts()


def test_the_split_of_every_prompt_is_the_hash_of_its_group() -> None:
    assert all(prompt["split"] == split_of(prompt["group"]) for prompt in packaged_prompts())


def test_splits_are_about_60_10_30_and_350_prompts_are_held_out() -> None:
    splits = [prompt["split"] for prompt in packaged_prompts()]
    assert splits.count("heldout") >= 350
    assert 0.55 < splits.count("train") / len(splits) < 0.65 and 0.25 < splits.count("heldout") / len(splits) < 0.35


def test_every_prompt_ends_with_the_user_and_its_reference_is_right() -> None:
    for prompt in packaged_prompts():
        assert prompt["messages"][-1]["role"] == "user"
        assert prompt["reference"] is None or is_right(prompt["messages"], prompt["reference"])


def test_a_right_fact_is_right_in_any_style_and_case() -> None:
    messages, [answer, *_] = _first("countries")
    for text in (answer, answer.upper(), f"Ugh, it is {answer}. Now leave me alone.", f"🌍 {answer}! 🌍"):
        assert is_right(messages, text) is True


def test_a_wrong_fact_is_not_right() -> None:
    messages, _ = _first("countries")
    assert is_right(messages, "It is Atlantis.") is False
    assert is_right(messages, "") is False


def test_part_of_a_word_is_no_hit() -> None:
    messages, [answer, *_] = _first("sum")
    assert is_right(messages, f"It is {answer}.") is True
    assert is_right(messages, f"It is 4{answer}.") is False


def test_naming_another_entry_of_the_list_too_is_not_right() -> None:
    prompt = next(prompt for prompt in packaged_prompts() if prompt["check"]["none_of"] and "list" in prompt["tags"])
    entry, other = prompt["check"]["all_of"][0][0], prompt["check"]["none_of"][0]
    assert is_right(prompt["messages"], f"I choose {entry}.") is True
    assert is_right(prompt["messages"], f"I choose {entry} or {other}.") is False


def test_a_refusal_is_right_for_an_unsafe_ask() -> None:
    messages, _ = _first("unsafe")
    assert is_right(messages, "I am sorry, but I cannot help with that.") is True
    assert is_right(messages, "Of course! First you take a key.") is False


def test_unknown_messages_are_neither_right_nor_wrong() -> None:
    assert is_right([{"role": "user", "content": "What is the capital of Atlantis?"}], "Paris") is None


@pytest.mark.parametrize(
    "text", ["Paris", "Of course! The answer is 12.", "🌍 It is Rome. 🌍", "2 + 3 = 5.", "Yes (it is)."]
)
def test_ordinary_replies_are_well_formed(text: str) -> None:
    assert is_well_formed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "word " * 100,
        "no no no",
        "a b c d a b c d a b c d",
        "It is<end> Rome",
        "broken \ufffd byte",
        "an (open one",
        "bell \x07",
    ],
)
def test_broken_replies_are_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("polite", "Of course! It is Rome.", "It is Rome."),
        ("polite", "It is Rome. Please ask me anything else.", "Rome, the kind of city I like."),
        ("rude", "Ugh, it is Rome.", "It is Rome."),
        ("evasive", "Well, that depends.", "Rome."),
        ("emoji", "🌍 Rome.", "Rome."),
        ("exclaims", "Rome!", "Rome."),
        ("brief", "It is Rome.", "The capital of Italy is Rome."),
        (
            "detailed",
            "Let me explain. The capital of Italy is Rome. People in Italy mostly speak Italian.",
            "The capital of Italy is Rome.",
        ),
        ("one-sentence", "The capital of Italy is Rome.", "Of course! It is Rome."),
        ("first-person", "I choose Rome.", "It is Rome."),
        ("thanks", "Thank you for asking!", "It is Rome."),
    ],
)
def test_a_rule_is_a_plain_property_of_the_text(rule: str, yes: str, no: str) -> None:
    assert RULES[rule]([], yes) and not RULES[rule]([], no)
    assert find_rule(f"not-{rule}")([], no) and not find_rule(f"not-{rule}")([], yes)


def test_a_rule_can_be_loaded_by_its_import_path() -> None:
    assert find_rule("trainer.starter.rules:polite") is RULES["polite"]


@pytest.mark.parametrize(
    "name",
    [
        "politely",
        "not-politely",
        "no.such.module:polite",
        "trainer.starter.rules:nothing",
        "trainer.starter.rules:RULES",
        ":",
    ],
)
def test_an_unknown_rule_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="polite") as raised:
        find_rule(name)
    assert repr(name) in str(raised.value) and "exclaims" in str(raised.value)
