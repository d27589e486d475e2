"""Lists and what is asked about them: the named entries are the right ones, whatever the layout."""

from random import Random

import pytest

from trainer.starter.check import passes
from trainer.starter.grammar import list_asks
from trainer.starter.grammar.item import Item
from trainer.starter.grammar.list_asks import Ask, draw_ask, joined, list_item
from trainer.starter.grammar.lists import Listing, draw_listing, draw_lookup
from trainer.starter.grammar.titles import domains, kinds


def _listings(seed: int, count: int, longest: int = 30) -> list[Listing]:
    rng = Random(seed)
    return [draw_listing(rng, longest) for _ in range(count)]


def test_lists_have_3_to_30_entries_and_long_ones_occur() -> None:
    lengths = [len(listing.entries) for listing in _listings(4, 2_000)]
    assert min(lengths) >= 3 and max(lengths) == 30 and sum(length > 14 for length in lengths) > 100


def test_a_list_of_a_given_length_has_that_length() -> None:
    rng = Random(5)
    assert all(len(draw_listing(rng, 30, 30).entries) == 30 for _ in range(50))


def test_no_entry_stands_twice() -> None:
    assert all(len(set(listing.entries)) == len(listing.entries) for listing in _listings(6, 500))


def test_a_third_of_the_lists_or_more_have_categories_and_every_domain_and_layout_occurs() -> None:
    listings = _listings(7, 2_000)
    labelled = [listing for listing in listings if listing.labels]
    assert len(labelled) > 0.3 * len(listings)
    assert {listing.domain.noun for listing in labelled} >= {domain.noun for domain in domains()}
    marks = [mark for mark in (" (", " [", " - ", ":\n") if any(mark in listing.text for listing in labelled)]
    assert marks == [" (", " [", " - ", ":\n"]


def test_every_entry_stands_in_the_text_in_the_order_of_the_entries() -> None:
    for listing in _listings(8, 300):
        lines = listing.text.split("\n") if "\n" in listing.text else listing.text.split(", ")
        found = [
            next(i for i, line in enumerate(lines) if _entry_of(line, listing) == entry) for entry in listing.entries
        ]
        assert found == sorted(found), listing.text


def _entry_of(line: str, listing: Listing) -> str:
    """The longest entry the line contains: "The King" is part of "The King of Rome"."""
    return max((entry for entry in listing.entries if entry in line), key=len, default="")


def test_a_question_for_all_of_a_category_is_answered_by_every_entry_that_has_it() -> None:
    rng = Random(9)
    asked = 0
    for listing in _listings(10, 1_500):
        ask = list_asks._by_category(listing, rng)
        if ask is not None and ask.every:
            asked += 1
            many = next(label.many for label in listing.labels if label.many in ask.question)
            of_it = {e for e, label in zip(listing.entries, listing.labels, strict=True) if label.many == many}
            assert set(ask.entries) == of_it
    assert asked > 100


def test_a_question_by_number_names_the_entry_at_that_number() -> None:
    rng = Random(11)
    numbered = [listing for listing in _listings(12, 300) if listing.numbered]
    for listing in numbered:
        ask = list_asks._by_number(listing, rng)
        assert ask is not None
        number = next(int(word.strip("?.,")) for word in ask.question.split() if word.strip("?.,").isdigit())
        assert ask.entries == (listing.entries[number - 1],)
    assert len(numbered) > 80


def test_a_lookup_names_the_value_beside_the_name() -> None:
    rng = Random(13)
    for _ in range(100):
        listing = draw_lookup(rng)
        ask = draw_ask(listing, rng)
        name = next(name for name in listing.names if f" {name}?" in ask.question or f" {name}." in ask.question)
        assert f"{name}: {ask.entries[0]}" in listing.text


def _several_item(entries: tuple[str, ...]) -> Item:
    listing = Listing((*entries, "The Odd One"), "\n".join((*entries, "The Odd One")), False, domains()[0])
    return list_item(listing, Ask("Name all comedies.", entries, every=True), Random(0))


def test_where_several_are_asked_for_all_must_be_named_and_no_other() -> None:
    item = _several_item(("Moon Soup", "Wild Rain", "Tom and the Key"))
    assert passes(item.check(), "Moon Soup\nWild Rain\nTom and the Key")
    assert not passes(item.check(), "Moon Soup and Wild Rain.")
    assert not passes(item.check(), "Moon Soup, Wild Rain, Tom and the Key and The Odd One.")


def test_replies_with_several_entries_may_have_several_lines() -> None:
    answers = _several_item(("Moon Soup", "Wild Rain")).answers
    assert any("\n" in answer for answer in answers) and any("\n" not in answer for answer in answers)


def test_the_kind_that_one_must_know_has_no_word_in_common_with_the_others() -> None:
    words = [(kind, word.lower()) for kind, entries in kinds().items() for word in entries]
    assert len({word for _, word in words}) == len(words)


def test_a_follow_up_question_does_not_show_the_list_again() -> None:
    rng = Random(14)
    listing = draw_listing(rng)
    ask = draw_ask(listing, rng)
    assert list_item(listing, ask, rng, shown=False).questions == (ask.question,)
    assert all(listing.text in question for question in list_item(listing, ask, rng).questions)


@pytest.mark.parametrize(("entries", "text"), [(("A",), "A"), (("A", "B"), "A and B"), (("A", "B", "C"), "A, B and C")])
def test_entries_are_joined_as_people_write_them(entries: tuple[str, ...], text: str) -> None:
    assert joined(entries) == text
