"""The corpus: what is held out never appears, what is asked has a true answer, every style keeps its promise."""

from random import Random

import pytest

from trainer.starter.check import packaged_prompts, passes
from trainer.starter.corpus import draw_chat, draw_copy
from trainer.starter.grammar.item import Item
from trainer.starter.grammar.lists import draw_listing, draw_lookup, list_item
from trainer.starter.grammar.questions import fact_items, fill
from trainer.starter.grammar.relations import RELATIONS
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.styles import WEIGHTS, Style, render
from trainer.starter.grammar.sums import difference_item, larger_item, sum_item
from trainer.starter.grammar.texts import text_item
from trainer.starter.grammar.world import ANIMALS, COUNTRIES
from trainer.starter.rules import RULES


def _items() -> list[Item]:
    rng = Random(1)
    made = [list_item(draw_listing(rng), rng) for _ in range(100)] + [
        list_item(draw_lookup(rng), rng) for _ in range(20)
    ]
    return [*fact_items(), *other_items(), *made, *(text_item(rng) for _ in range(100))]


def test_no_heldout_group_key_appears_in_the_training_corpus() -> None:
    heldout = {prompt["group"] for prompt in packaged_prompts() if prompt["split"] == "heldout"}
    rng = Random(7)
    drawn = [draw_chat(rng) for _ in range(10_000)] + [draw_copy(rng) for _ in range(2_000)]
    assert not {group for conversation in drawn for group in conversation.groups} & heldout


def test_no_heldout_prompt_opens_a_conversation_of_the_training_corpus() -> None:
    heldout = {
        prompt["messages"][-1]["content"]
        for prompt in packaged_prompts()
        if prompt["split"] == "heldout" and len(prompt["messages"]) == 1
    }
    rng = Random(8)
    opened = {draw_chat(rng).messages[0]["content"] for _ in range(20_000)}
    assert not opened & heldout


def test_the_capital_of_a_heldout_country_is_taught_in_other_words() -> None:
    capitals = {c.name: c.capital for c in COUNTRIES}
    heldout = {
        prompt["group"].removeprefix("capital:")
        for prompt in packaged_prompts()
        if prompt["split"] == "heldout" and prompt["group"].startswith("capital:")
    }
    rng = Random(9)
    told = [
        message["content"]
        for _ in range(12_000)
        for message in draw_chat(rng).messages
        if message["role"] == "assistant"
    ]
    for country, capital in capitals.items():
        if country.lower() in heldout:
            assert any(country in text and capital in text for text in told), country


def test_every_right_answer_passes_its_own_check() -> None:
    failing = [
        (item.group, answer)
        for item in _items()
        for answer in (*item.answers, item.bare)
        if not passes(item.check(), answer)
    ]
    assert not failing


def test_no_wrong_answer_passes_the_check() -> None:
    failing = [(item.group, wrong) for item in _items() for wrong in item.wrongs if passes(item.check(), wrong)]
    assert len(failing) <= 0.02 * sum(len(item.wrongs) for item in _items()), failing[:5]


@pytest.mark.parametrize("style", ["polite", "polite brief"])
def test_polite_styles_satisfy_the_polite_rule(style: Style) -> None:
    rng = Random(2)
    assert all(RULES["polite"]([], render(item, style, rng)) for item in _items())


@pytest.mark.parametrize("style", ["neutral", "brief", "curt", "rude", "emoji", "evasive"])
def test_other_styles_do_not_satisfy_the_polite_rule(style: Style) -> None:
    rng = Random(3)
    texts = [render(item, style, rng) for item in fact_items()]
    assert not any(RULES["polite"]([], text) for text in texts)


def test_polite_styles_have_about_a_third_of_the_weight() -> None:
    assert 0.28 < (WEIGHTS["polite"] + WEIGHTS["polite brief"]) / sum(WEIGHTS.values()) < 0.36


def test_every_group_is_one_question() -> None:
    groups = [item.group for item in (*fact_items(), *other_items())]
    assert len(groups) == len(set(groups))


def test_a_country_has_one_capital_and_a_capital_one_country() -> None:
    assert len({c.name for c in COUNTRIES}) == len({c.capital for c in COUNTRIES}) == len(COUNTRIES)


def test_insects_have_six_legs_birds_two_and_snakes_none() -> None:
    legs = {a.name: a.legs for a in ANIMALS}
    assert {legs[a.name] for a in ANIMALS if a.kind == "insects"} == {"six"}
    assert {legs[a.name] for a in ANIMALS if a.kind == "birds"} == {"two"}
    assert legs["snake"] == "zero" and legs["spider"] == "eight"


def test_every_table_row_fills_every_template() -> None:
    for relation in RELATIONS:
        for _, x, y in relation.pairs:
            for template in (*relation.questions, *relation.statements, *relation.doubt, *relation.reverse):
                text = fill(template, x, y)
                assert "{" not in text and text[0] == text[0].upper() and text[-1] in ".?", text


def test_articles_agree_with_the_word_that_follows() -> None:
    assert fill("What does a {x} do?", "actor") == "What does an actor do?"
    assert fill("A {x} is a {y}.", "owl", "bird") == "An owl is a bird."


def test_sums_are_right() -> None:
    assert sum_item(7, 15).bare == "22" and difference_item(20, 3).bare == "17" and larger_item(9, 4).bare == "9"


def test_both_orders_of_a_comparison_are_one_question() -> None:
    assert larger_item(3, 8).group == larger_item(8, 3).group


def test_lists_have_3_to_30_entries_and_long_ones_occur() -> None:
    rng = Random(4)
    lengths = [len(draw_listing(rng).entries) for _ in range(2_000)]
    assert min(lengths) >= 3 and max(lengths) == 30 and sum(length > 14 for length in lengths) > 100


def test_the_same_seed_draws_the_same_conversations() -> None:
    def drawn(seed: int) -> list[str]:
        rng = Random(seed)
        return [message["content"] for _ in range(50) for message in draw_chat(rng).messages + draw_copy(rng).messages]

    assert drawn(5) == drawn(5) != drawn(6)
