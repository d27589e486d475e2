"""What counts as a verdict, and what does not: quotes, contradictions, broken JSON, probability that lies elsewhere."""

import math

import pytest

from trainer.evaluation.judges.base import Said
from trainer.evaluation.judges.parsing import parse_choice, parse_json, parse_logprobs, parse_marked, parse_ranking

MODELS = {"m": Said.first, "M": Said.second}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[A]]", Said.first),
        ("B is vague.\n\n[[B]]", Said.second),
        ("Both are right.\n**[[tie]]**\n", Said.tie),
        ("Verdict: [[b]]", Said.second),
        ("**Final verdict:** [[A]].", Said.first),
        ("[[A]]\nOn reflection the same.\n[[A]]", Said.first),
        ("I must write [[A]] or [[B]] or [[tie]].\n[[B]]", Said.second),
    ],
)
def test_a_verdict_marked_on_its_own_line_counts(text: str, said: Said) -> None:
    assert parse_marked(text).said is said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A is better.",
        "I choose between [[A]] and [[B]].",
        "[[A]]\n[[B]]",
        "[[C]]",
        "> [[A]]",
        "[[A]] [[B]]",
        "[[A>B]]",
    ],
)
def test_a_reply_without_one_clear_verdict_is_invalid_and_says_why(text: str) -> None:
    reading = parse_marked(text)
    assert reading.said is Said.invalid and reading.score is None and reading.note


def test_a_tie_is_no_verdict_of_a_rubric_without_ties() -> None:
    assert parse_marked("[[tie]]", {"A": Said.first, "B": Said.second}).said is Said.invalid


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"reasons": "x", "verdict": "A"}', Said.first),
        ('```json\n{"verdict": "tie"}\n```', Said.tie),
        ('{"reasons": "It says {\\"verdict\\": \\"A\\"}", "verdict": "B"}', Said.second),
    ],
)
def test_the_verdict_of_a_json_object_counts(text: str, said: Said) -> None:
    assert parse_json(text).said is said


@pytest.mark.parametrize(
    "text",
    [
        "Sure! The verdict is A.",
        '{"verdict": "A"',
        '{"verdict": "A", "verdict": "B"}',
        '{"verdict": ["A"]}',
        '{"winner": "A"}',
        '[{"verdict": "A"}]',
        '{"verdict": "A"}\n{"verdict": "B"}',
        "[" * 100_000,
    ],
)
def test_what_is_not_one_json_object_with_one_verdict_is_invalid(text: str) -> None:
    assert parse_json(text).said is Said.invalid


def test_a_closed_choice_allows_marks_and_nothing_else() -> None:
    assert [parse_choice(text).said for text in (" A\n", '"b"', "[[tie]].")] == [Said.first, Said.second, Said.tie]
    assert parse_choice("A or B").said is Said.invalid


def test_all_spellings_of_a_verdict_are_added_up() -> None:
    top = [("A", math.log(0.3)), (" a", math.log(0.2)), ("B", math.log(0.4)), ("ti", math.log(0.1))]
    reading = parse_logprobs(top)
    assert (reading.said, reading.score, reading.mass) == (Said.first, pytest.approx(0.55), pytest.approx(1.0))


def test_names_that_differ_by_case_alone_are_told_apart() -> None:
    assert parse_logprobs([("m", math.log(0.9)), ("M", math.log(0.1))], MODELS).score == pytest.approx(0.9)


def test_below_half_of_the_probability_there_is_no_verdict() -> None:
    reading = parse_logprobs([("A", math.log(0.4)), ("The", math.log(0.6))])
    assert reading.said is Said.invalid and reading.mass == pytest.approx(0.4)


def test_below_nine_tenths_of_the_probability_a_verdict_is_doubtful() -> None:
    reading = parse_logprobs([("A", math.log(0.8)), ("The", math.log(0.2))])
    assert reading.said is Said.first and "0.800" in reading.note


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3.0])
def test_what_is_no_log_probability_is_no_verdict(value: float) -> None:
    assert parse_logprobs([("A", value)]).said is Said.invalid


def test_equal_probabilities_of_both_texts_are_a_tie() -> None:
    assert parse_logprobs([("A", math.log(0.45)), ("B", math.log(0.45))]).said is Said.tie


@pytest.mark.parametrize(
    "text",
    [
        "[{'model': 'm', 'rank': 1}, {'model': 'M', 'rank': 1}]",
        "[{'model': 'm', 'rank': 1}, {'model': 'x', 'rank': 2}]",
        "[{'model': 'm', 'rank': 1}]",
        "__import__('os').getcwd()",
        "m wins",
    ],
)
def test_a_ranking_must_rank_both_models(text: str) -> None:
    assert parse_ranking(text, "m", "M").said is Said.invalid
