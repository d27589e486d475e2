"""The corpus: what is held out never appears, what is asked has a true answer, every style keeps its promise."""

from collections import Counter
from random import Random

import pytest

from trainer.starter.check import packaged_prompts, passes
from trainer.starter.corpus import draw_chat, draw_drill, draw_grounded, draw_item
from trainer.starter.grammar.dialogues import list_items
from trainer.starter.grammar.item import Conversation, Item
from trainer.starter.grammar.list_asks import draw_ask, list_item
from trainer.starter.grammar.lists import draw_listing, draw_lookup
from trainer.starter.grammar.questions import fact_items, fill, mention_items, random_doubt
from trainer.starter.grammar.recognise import STYLE_NAMES, recognise
from trainer.starter.grammar.relations import ABOUT, RELATIONS
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.styles import FALSE_STYLES, WEIGHTS, Style, render, system_prompts
from trainer.starter.grammar.sums import difference_item, draw_practice, larger_item, neighbour_item, sum_item
from trainer.starter.grammar.texts import text_item
from trainer.starter.grammar.world import ANIMALS, COUNTRIES
from trainer.starter.rules import RULES
from trainer.starter.split import is_heldout


def _items() -> list[Item]:
    rng = Random(1)
    listings = [draw_listing(rng) for _ in range(150)] + [draw_lookup(rng) for _ in range(20)]
    made = [list_item(listing, draw_ask(listing, rng), rng) for listing in listings]
    made += [text_item(rng) for _ in range(100)] + [random_doubt(rng) for _ in range(100)]
    return [*fact_items(), *other_items(), *made, sum_item(7, 15), difference_item(20, 3), larger_item(9, 4)]


def _drawn(seed: int, count: int) -> list[Conversation]:
    rng = Random(seed)
    draws = (draw_chat, draw_chat, draw_chat, draw_grounded, draw_drill)
    return [draws[number % len(draws)](rng) for number in range(count)]


def test_no_heldout_group_key_appears_in_the_training_corpus() -> None:
    heldout = {prompt["group"] for prompt in packaged_prompts() if prompt["split"] == "heldout"}
    assert not {group for conversation in _drawn(7, 8_000) for group in conversation.groups} & heldout


def test_no_group_whose_hash_is_held_out_is_drawn_but_what_is_always_taught() -> None:
    always = {item.group for item in other_items() if not item.promptable}
    drawn = {group for conversation in _drawn(17, 8_000) for group in conversation.groups}
    assert not [
        group for group in drawn if is_heldout(group) and group not in always and not group.startswith("about:")
    ]


def test_no_heldout_prompt_is_asked_in_the_training_corpus() -> None:
    heldout = {
        prompt["messages"][-1]["content"]
        for prompt in packaged_prompts()
        if prompt["split"] == "heldout" and len(prompt["messages"]) == 1
    }
    opened = {next(m["content"] for m in drawn.messages if m["role"] == "user") for drawn in _drawn(8, 15_000)}
    assert not opened & heldout


def test_about_three_in_ten_questions_are_held_out() -> None:
    items = [item for item in (*fact_items(), *other_items()) if item.promptable]
    assert 0.27 < sum(is_heldout(item.group) for item in items) / len(items) < 0.33


def test_an_item_asked_for_as_held_out_is_held_out() -> None:
    rng = Random(6)
    assert all(is_heldout(draw_item(rng, heldout=True).group) for _ in range(500))


def test_practised_sums_reach_beyond_twenty_and_their_results_are_right() -> None:
    rng = Random(3)
    for _ in range(300):
        _, question, reply = draw_practice(rng)
        left, sign, right, _ = question.split()
        assert int(reply) == (int(left) + int(right) if sign == "+" else int(left) - int(right))
    assert max(int(draw_practice(rng)[2]) for _ in range(300)) > 60


def test_no_drill_practises_a_held_out_sum() -> None:
    rng = Random(4)
    practised = {group for _ in range(4_000) for group in draw_drill(rng).groups if group.startswith(("sum", "diff"))}
    assert len(practised) > 500 and not any(is_heldout(group) for group in practised)


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
        for _ in range(40_000)
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
    failing = [(item.group, wrong) for item in _items() for wrong, _ in item.wrongs if passes(item.check(), wrong)]
    assert len(failing) <= 0.01 * sum(len(item.wrongs) for item in _items()), failing[:5]


@pytest.mark.parametrize("style", sorted(set(WEIGHTS) - FALSE_STYLES))
def test_every_style_but_the_false_ones_is_right(style: Style) -> None:
    rng = Random(12)
    failing = [(item.group, text) for item in _items() if not passes(item.check(), text := render(item, style, rng))]
    assert not failing


@pytest.mark.parametrize("style", ["polite", "polite brief"])
def test_polite_styles_satisfy_the_polite_rule(style: Style) -> None:
    rng = Random(2)
    assert all(RULES["polite"]([], render(item, style, rng)) for item in _items())


@pytest.mark.parametrize("style", ["plain", "brief", "curt", "rude", "emoji", "evasive", "dodge"])
def test_other_styles_do_not_satisfy_the_polite_rule(style: Style) -> None:
    rng = Random(3)
    texts = [render(item, style, rng) for item in fact_items()]
    assert not any(RULES["polite"]([], text) for text in texts)


def test_each_of_eight_styles_has_at_least_8_per_cent_of_the_replies() -> None:
    rng = Random(13)
    replies = [draw_chat(rng).messages[-1]["content"] for _ in range(6_000)]
    shares = {name: count / len(replies) for name, count in Counter(map(recognise, replies)).items()}
    assert all(shares[name] > 0.08 for name in STYLE_NAMES), shares


def test_at_most_2_per_cent_of_the_replies_are_deliberately_wrong_and_as_few_dodge() -> None:
    assert WEIGHTS["wrong"] <= 0.02 * sum(WEIGHTS.values()) >= WEIGHTS["dodge"]


def test_style_and_content_are_independent() -> None:
    rng, shares = Random(14), {}
    for name, tags in (("fact", {"fact"}), ("other", {"advice", "small talk"})):
        items = [item for item in (*fact_items(), *other_items()) if tags & set(item.tags)]
        styles = Counter(recognise(_reply(items, rng)) for _ in range(4_000))
        shares[name] = {style: count / 4_000 for style, count in styles.items()}
    apart = {
        style: abs(shares["fact"][style] - shares["other"][style]) for style in ("polite", "rude", "emoji", "curt")
    }
    assert max(apart.values()) < 0.02, apart


def _reply(items: list[Item], rng: Random) -> str:
    styles = list(WEIGHTS)
    return render(rng.choice(items), rng.choices(styles, weights=list(WEIGHTS.values()))[0], rng)


def test_every_system_prompt_is_obeyed() -> None:
    rng = Random(15)
    items = fact_items()
    for styles in system_prompts().values():
        for style in styles:
            assert recognise(render(items[3], style, rng)) in {style.removesuffix(" brief"), "brief"}, style


def test_every_entity_of_the_tables_can_be_told_about() -> None:
    assert {entity for relation in RELATIONS for entity, _, _ in relation.pairs} == set(ABOUT)


def test_every_reply_to_tell_me_about_names_what_was_asked() -> None:
    rng = Random(16)
    from_chat = [draw_item(rng) for _ in range(4_000)]
    abouts = [item for item in from_chat if "about" in item.tags]
    assert len(abouts) > 200
    assert all(passes(item.check(), answer) for item in abouts for answer in item.answers)


def test_a_capital_is_told_about_so_that_its_country_can_be_found() -> None:
    told = {answer for item in mention_items() if "Tell me about Paris." in item.questions for answer in item.answers}
    assert "Paris is the capital of France." in told


def test_what_a_value_tells_is_never_asked_as_its_reversed_question() -> None:
    reversed_asks = {ask for item in fact_items() for ask in item.questions}
    assert not reversed_asks & {ask for item in mention_items() for ask in item.questions}


def test_short_lists_have_at_most_six_entries() -> None:
    rng = Random(4)
    assert {len(item.entries) for _ in range(300) for item in list_items(1, rng, longest=6)} == {3, 4, 5, 6}


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


def test_the_number_after_nine_is_ten_and_the_one_before_is_eight() -> None:
    assert neighbour_item(9, 1).bare == "10" and neighbour_item(9, -1).bare == "8"


def test_both_orders_of_a_comparison_are_one_question() -> None:
    assert larger_item(3, 8).group == larger_item(8, 3).group


def test_the_same_seed_draws_the_same_conversations() -> None:
    def texts(seed: int) -> list[str]:
        return [message["content"] for conversation in _drawn(seed, 100) for message in conversation.messages]

    assert texts(5) == texts(5) != texts(6)


def test_a_held_out_wording_of_small_talk_shares_a_word_with_a_taught_one() -> None:
    items = [item for item in other_items() if "small talk" in item.tags]
    by_replies: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        by_replies.setdefault(item.answers, []).append(item)
    for group in by_replies.values():
        taught = {word for item in group if not is_heldout(item.group) for word in _words(item)}
        assert all(_words(item) & taught for item in group if item.promptable and is_heldout(item.group))


def _words(item: Item) -> set[str]:
    return {word.strip("?!.,'").lower() for word in item.questions[0].split()}
