"""Staying with the list or the text of the prompt."""

import json

import pytest
from rewarding import asked

from trainer.rewards import terms
from trainer.rewards.in_context import read_context, same_form
from trainer.rewards.opening import open_term
from trainer.starter import HAND_LISTS
from trainer.starter.check import packaged_prompts

FILMS = (
    "1. Rio Bravo (western)\n2. Airplane! (comedy)\n3. How Frank Found the Frozen Prayer (drama)\nWhich is a comedy?"
)
TEXT = "Greta was born in May. She plays the violin in a small orchestra.\nWhat does Greta play?"


def value(prompt: str, completion: str, **options: object) -> float | None:
    return open_term(terms.InContext.model_validate(options))(asked(prompt), [completion], [None])[0]


@pytest.mark.parametrize("completion", ["Airplane!", "airplane", '"Rio Bravo"', "2. Airplane! (comedy)", "Western."])
def test_an_item_in_any_of_its_forms_is_in_context(completion: str):
    assert value(FILMS, completion) == 1.0


@pytest.mark.parametrize("completion", ["", "Jaws", "It is Airplane! I think, by the way", "Which is a comedy?"])
def test_what_is_no_item_is_not(completion: str):
    assert value(FILMS, completion) == 0.0


def test_a_slip_of_a_tenth_of_the_characters_is_forgiven():
    assert value(FILMS, "How Frank Found the Frozen Prayr") == 1.0
    assert value(FILMS, "Rio Brvo") == 1.0  # 1 of the 17 characters of both is too many
    assert value(FILMS, "Rio Bra") == 0.0  # 2 of 16


def test_several_items_count_only_where_they_are_allowed():
    assert value(FILMS, "Rio Bravo, Airplane! and Rio Bravo") == 0.0
    assert value(FILMS, "Rio Bravo, Airplane! and Rio Bravo", several=True) == 1.0
    assert value(FILMS, "Rio Bravo and Jaws", several=True) == 0.0


@pytest.mark.parametrize("completion", ["the violin", "She plays the violin in a small orchestra."])
def test_a_span_of_the_text_is_in_context(completion: str):
    assert value(TEXT, completion) == 1.0


@pytest.mark.parametrize("completion", ["the piano", "Greta plays the violin", "violins of many small orchestras"])
def test_what_the_text_does_not_say_is_not(completion: str):
    assert value(TEXT, completion) == 0.0


def test_a_span_may_need_some_words():
    assert value(TEXT, "violin") == 1.0
    assert value(TEXT, "violin", least_words=2) == 0.0


def test_a_prompt_without_list_or_text_has_no_value():
    assert value("What is the capital of France?", "Paris") is None


def test_a_follow_up_is_about_the_list_before_it():
    prompt = [
        {"role": "user", "content": FILMS},
        {"role": "assistant", "content": "- Jaws\n- Heat"},
        {"role": "user", "content": "And a western?"},
    ]
    assert open_term(terms.InContext())([prompt, prompt], ["Rio Bravo", "Jaws"], [None, None]) == [1.0, 0.0]


def test_every_packaged_list_and_text_is_read_from_its_prompt():
    lists = [prompt for prompt in packaged_prompts() if prompt["items"]]
    texts = [prompt for prompt in packaged_prompts() if prompt["context"] and not prompt["items"]]
    assert len(lists) == 250 and len(texts) == 130
    for prompt in lists:
        found = read_context(prompt["messages"])
        assert found is not None and {same_form(item) for item in prompt["items"]} <= set(found.items), prompt
    for prompt in texts:
        found = read_context(prompt["messages"])
        assert found is not None and " ".join(map(same_form, str(prompt["context"]).split())) in found.text, prompt


def test_other_packaged_prompts_give_no_context():
    others = [prompt for prompt in packaged_prompts() if not prompt["context"]]
    assert len(others) > 1000
    assert not [prompt for prompt in others if read_context(prompt["messages"]) is not None]


def test_every_list_written_by_hand_is_read():
    for line in HAND_LISTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found = read_context([{"role": "user", "content": row["prompt"]}])
        assert found is not None and {same_form(item) for item in row["items"]} <= set(found.items), row
