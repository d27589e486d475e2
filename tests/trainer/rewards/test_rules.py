"""Rules on the text alone."""

import logging

import pytest
from rewarding import asked

from trainer.rewards import terms
from trainer.rewards.opening import open_term


def value(term: terms.Term, completion: str) -> float | None:
    return open_term(term)(asked("Say it."), [completion], [None])[0]


def test_a_length_in_the_band_is_worth_1_and_falls_off_over_the_margin():
    term = terms.Length(shortest=3, longest=4, margin=2)
    found = [value(term, " ".join(["word"] * count) + "!") for count in range(8)]
    assert found == [0.0, 0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_without_a_margin_the_band_has_hard_edges():
    term = terms.Length(shortest=2, longest=3, unit="characters")
    assert [value(term, text) for text in (" a ", "ab", "abc", "abcd")] == [0.0, 1.0, 1.0, 0.0]


def test_all_of_must_and_none_of_must_not():
    term = terms.Match(must=(r"\bcat\b", r"\d"), must_not=("dog",))
    assert [value(term, text) for text in ("Cat 9", "cat", "cats 9", "cat 9 dog")] == [1.0, 0.0, 0.0, 0.0]


def test_case_counts_where_it_is_told_to():
    assert value(terms.Match(must=("cat",), ignore_case=False), "Cat") == 0.0


@pytest.mark.parametrize("where", ["must", "must_not"])
def test_a_search_without_end_is_stopped_counts_as_0_and_is_told(where: str, caplog: pytest.LogCaptureFixture):
    term = terms.Match.model_validate({where: ["(a|aa)+$"], "seconds": 0.05})
    with caplog.at_level(logging.WARNING, logger="trainer"):
        assert value(term, "a" * 60 + "b") == 0.0  # without a limit it takes years
    assert "(a|aa)+$" in caplog.text


def test_the_share_of_letters_in_a_script():
    assert value(terms.Script(), "ab вг") == 0.5
    assert value(terms.Script(scripts=("LATIN", "CYRILLIC")), "ab вг!") == 1.0
    assert value(terms.Script(), "42 🙂") == 1.0


@pytest.mark.parametrize("text", ['{"a": [1, null]}', ' {"b": "\\u00e9"} \n'])
def test_json_is_json(text: str):
    assert value(terms.Json(), text) == 1.0


@pytest.mark.parametrize("text", ["", "{'a': 1}", '{"a": NaN}', '{"a": 1} and so on', "[1]", "5", "[" * 100_000])
def test_what_is_no_json_object_is_worth_0(text: str):
    assert value(terms.Json(), text) == 0.0


def test_json_of_another_shape_with_keys_and_in_a_fence():
    assert value(terms.Json(shape="array"), "[1]") == 1.0
    assert value(terms.Json(shape="any"), "5") == 1.0
    assert value(terms.Json(keys=("a", "b")), '{"a": 1, "b": 2, "c": 3}') == 1.0
    assert value(terms.Json(keys=("a", "b")), '{"a": 1}') == 0.0
    assert value(terms.Json(fence=True), '```json\n{"a": 1}\n```') == 1.0
    assert value(terms.Json(), '```json\n{"a": 1}\n```') == 0.0


def test_the_starters_rules_are_rewards_by_name():
    assert value(terms.Rule(rule="polite"), "Of course, thank you!") == 1.0
    assert value(terms.Rule(rule="not-polite"), "Of course, thank you!") == 0.0
