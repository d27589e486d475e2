"""Mean tf-idf, by hand."""

import math

import pytest
from rewarding import asked

from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.opening import open_term

SIX = "one two three four five six"


def values(texts: list[str], *completions: str) -> list[float | None]:
    reward = open_term(terms.Diversity(), RewardSources(texts=texts))
    return reward(asked(*["Say it."] * len(completions)), completions, [None] * len(completions))


def test_words_of_one_rarity_have_the_root_of_their_count_as_mean():
    # a row of n equal values and length 1 has values of 1 / sqrt n
    assert values([SIX], SIX, "one two three four five") == pytest.approx([1 / math.sqrt(6), 1 / math.sqrt(5)])


def test_a_single_word_does_not_score_1():
    # 1 / sqrt n, times n / 10
    assert values([SIX], "one", "one two three four") == pytest.approx([0.1, 0.5 * 0.4])


def test_by_hand_with_words_of_two_rarities():
    # of three texts, `the` is in all: idf 1; the others in one each: idf 1 + ln(4 / 2)
    rare = 1 + math.log(2)
    length = math.sqrt(1 + 4 * rare**2)
    found = values(["the a b c d", "the e", "the f"], "the a b c d")
    assert found == pytest.approx([(1 + 4 * rare) / length / 5])


def test_nothing_and_words_that_were_never_seen_are_worth_0():
    assert values([SIX], "", "!!", "zebra xylophone") == [0.0, 0.0, 0.0]


def test_a_completions_value_does_not_depend_on_its_batch():
    assert values([SIX, "one seven"], "one two", SIX)[0] == values([SIX, "one seven"], "one two")[0]


def test_without_texts_to_count_in_it_is_refused():
    with pytest.raises(RewardError, match="no texts to count words in"):
        open_term(terms.Diversity(), RewardSources(texts=["", "!"]))
