"""BLEU, ROUGE and exact match, on numbers worked by hand."""

import pytest
from rewarding import asked

from trainer.rewards import terms
from trainer.rewards.opening import open_term


def value(term: terms.Term, completion: str, reference: str | None) -> float | None:
    return open_term(term)(asked("Say it."), [completion], [reference])[0]


def test_bleu_is_the_geometric_mean_of_its_four_precisions():
    # four of five words, three of four pairs, two of three triples, one of two quadruples: (1/5) ** (1/4)
    assert value(terms.Bleu(), "a b c d e", "a b c d f") == pytest.approx(0.2**0.25, abs=1e-6)


def test_bleu_of_a_short_text_can_be_1():
    assert value(terms.Bleu(), "Rio Bravo", "Rio Bravo") == 1.0


def test_bleu_parts_chinese_where_it_is_told_to():
    assert value(terms.Bleu(), "我喜欢猫", "我喜欢狗") == pytest.approx(0, abs=1e-6)
    assert value(terms.Bleu(tokenize="zh"), "我喜欢猫", "我喜欢狗") > 0.5


def test_rouge_is_the_f1_of_common_words():
    # two of two words, two of three: 2 * 1 * 2/3 / (5/3)
    assert value(terms.Rouge(measure="rouge1"), "The cat!", "the cat sat") == pytest.approx(0.8)
    assert value(terms.Rouge(measure="rouge2"), "the cat", "the cat sat") == pytest.approx(2 / 3)
    assert value(terms.Rouge(), "cat the", "the cat sat") == pytest.approx(0.4)


def test_rouge_counts_words_of_other_scripts():
    assert value(terms.Rouge(measure="rouge1"), "мы любим кошек", "мы любим собак") == pytest.approx(2 / 3)


def test_exact_match_ignores_case_blanks_and_punctuation_unless_told():
    assert value(terms.ExactMatch(), " it is  PARIS", "It is Paris.") == 1.0
    assert value(terms.ExactMatch(), "It is Parish.", "It is Paris.") == 0.0
    assert value(terms.ExactMatch(ignore_case=False), "it is Paris", "It is Paris.") == 0.0
    assert value(terms.ExactMatch(ignore_punctuation=False), "It is Paris", "It is Paris.") == 0.0


@pytest.mark.parametrize("term", [terms.Bleu(), terms.Rouge(), terms.ExactMatch()])
def test_without_a_reference_there_is_no_value(term: terms.Term):
    assert value(term, "a text", None) is None


@pytest.mark.parametrize("term", [terms.Bleu(), terms.Rouge(), terms.ExactMatch()])
def test_an_empty_completion_is_worth_0(term: terms.Term):
    assert value(term, "", "a text") == 0.0
