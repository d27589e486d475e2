"""A judge measured on what this project's people chose between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from judging import RuleJudge

from storage.tables import Choice
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.people import PeopleAgreement, measure_agreement


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ReplyCache]:
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        yield cache


def choices(count: int, *, likes_longer: float = 1.0) -> list[tuple[list[dict[str, str]], str, str, Choice]]:
    """People who take the longer text in a share of cases; it stands left and right in turn."""
    made = []
    for n in range(count):
        long_left = n % 2 == 0
        texts = (f"a longer text {n}", f"text {n}") if long_left else (f"text {n}", f"a longer text {n}")
        takes_left = long_left == (n % 10 < 10 * likes_longer)
        prompt = [{"role": "user", "content": f"Question {n}?"}]
        made.append((prompt, *texts, Choice.left if takes_left else Choice.right))
    return made


def agreement(cache: ReplyCache, count: int, likes_longer: float) -> PeopleAgreement:
    return measure_agreement(RuleJudge(), cache, choices(count, likes_longer=likes_longer))


def test_a_judge_that_says_what_people_say_may_speak_for_them(cache: ReplyCache) -> None:
    found = agreement(cache, 100, 0.8)
    assert found.choices == 100 and found.kappa == pytest.approx(0.6) and found.speaks
    assert "80 of 100 choices (kappa 0.60)" in found.sentence


def test_99_choices_are_not_enough(cache: ReplyCache) -> None:
    found = agreement(cache, 99, 1.0)
    assert found.kappa == 1.0 and not found.speaks


def test_a_kappa_below_4_tenths_is_not_enough(cache: ReplyCache) -> None:
    found = agreement(cache, 200, 0.6)
    assert found.kappa == pytest.approx(0.2) and not found.speaks


def test_a_judge_that_flips_with_the_order_says_tie(cache: ReplyCache) -> None:
    found = measure_agreement(RuleJudge(lambda one: "[[A]]"), cache, choices(120))
    assert found.kappa == 0.0 and not found.speaks  # one verdict for everything agrees by chance only


def test_a_judge_without_valid_verdicts_is_not_known_to_agree(cache: ReplyCache) -> None:
    found = measure_agreement(RuleJudge(lambda one: "??"), cache, choices(5))
    assert (found.measured, found.invalid, found.speaks) == (None, 5, False)
    assert "not known" in found.sentence


def test_two_people_on_the_same_texts_are_one_item_and_the_ceiling(cache: ReplyCache) -> None:
    found = measure_agreement(RuleJudge(), cache, choices(10) + choices(10, likes_longer=0.5))
    assert found.choices == 10
    assert "two of them agree on 5 of 10" in found.sentence


def test_both_bad_counts_as_a_tie(cache: ReplyCache) -> None:
    same_length = [([{"role": "user", "content": f"Q{n}"}], f"one{n}", f"two{n}", Choice.both_bad) for n in range(3)]
    found = measure_agreement(RuleJudge(), cache, same_length + choices(3))
    assert found.measured is not None and found.measured.majority.agree == 6
