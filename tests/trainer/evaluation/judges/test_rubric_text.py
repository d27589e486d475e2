"""A rubric's text: every fault is told with its line and what to do, and nothing gets into the text by formatting."""

from typing import Any

import pytest

from trainer.evaluation.judges.base import Ask, Comparison
from trainer.evaluation.judges.rubric import judge_messages
from trainer.evaluation.judges.rubric_shelf import PACKAGED
from trainer.evaluation.judges.rubric_text import MOST_CHARACTERS, Fault, FaultyRubric, parse_rubric

GOOD = (PACKAGED / "helpful.toml").read_text()
LINES = GOOD.split("\n")


def faults(text: str) -> list[Fault]:
    with pytest.raises(FaultyRubric) as found:
        parse_rubric(text)
    return list(found.value.faults)


def line_of(beginning: str) -> int:
    return next(number for number, line in enumerate(LINES, 1) if line.startswith(beginning))


@pytest.mark.parametrize(
    ("begins", "changed", "told"),
    [
        ("ties", "ties = 1", "ties is 1; give true or false"),
        ("turns", 'turns = "many"', "turns is 'many'; use one of single, multi"),
        ("longest_text", "longest_text = 5", "longest_text is 5; give 100 to 50000"),
        ("longest_prompt", "longest_prompt = 9000000", "longest_prompt is 9000000; give 100 to"),
        ("name", 'name = "../etc"', "name is '../etc'; use small letters"),
        ("name", "name = ", "it is not TOML: Invalid value at column"),
        ("reference", "referense = 1", "it sets referense; a rubric has only name"),
        ("criteria", "criteria = [", None),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_to_do(begins: str, changed: str, told: str | None) -> None:
    number = line_of(begins)
    text = "\n".join([*LINES[: number - 1], changed, *LINES[number:]])
    if told is None:
        assert parse_rubric(text) == parse_rubric(GOOD)
        return
    (fault,) = faults(text)
    assert fault.line == number and told in str(fault)


def test_all_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = GOOD.replace("ties = true", "ties = 1").replace('"helpful"', '"Help"').replace("= 12000", "= 1")
    found = faults(text.replace("{{criteria}}", "{{criterion}}"))
    assert [fault.line for fault in found] == [
        *(line_of(key) for key in ("name", "ties", "longest_prompt", "system")),
        line_of("{{criteria}}"),
    ]


def test_a_slot_that_is_not_known_is_told_where_it_stands() -> None:
    (lost, unknown) = faults(GOOD.replace("{{second}}", "{{ secnd }}"))
    assert (unknown.line, lost.line) == (line_of("{{second}}"), line_of("user"))
    assert "'secnd'" in unknown.problem and "{{second}}" in unknown.remedy and "{{second}}" in lost.problem


def test_a_line_within_a_text_is_not_taken_for_the_one_that_sets_a_key() -> None:
    setting = LINES[line_of("ties") - 1]
    text = GOOD.replace(setting + "\n", "").replace('system = """', 'system = """\nties = the knots\n') + "\nties = 1\n"
    (fault,) = faults(text)
    assert text.split("\n")[fault.line - 1] == "ties = 1"


@pytest.mark.parametrize(
    ("text", "line"),
    [("x" * (MOST_CHARACTERS + 1), 1), ("a\nb\ud800", 2), (GOOD + '\nextra = """', len(LINES) + 1), ("[" * 9999, 1)],
)
def test_what_is_no_text_of_a_rubric_at_all_is_refused_too(text: str, line: int) -> None:
    assert faults(text)[0].line == line


def test_a_rubric_that_hides_its_criteria_or_a_text_from_the_judge_is_refused() -> None:
    for slot in ("criteria", "prompt", "first", "second", "reference"):
        (fault,) = faults(GOOD.replace(f"{{{{{slot}}}}}", ""))
        assert f"no slot {{{{{slot}}}}}" in fault.problem
    parse_rubric(GOOD.replace("{{reference}}", "").replace('reference = "if_given"', 'reference = "never"'))


@pytest.mark.parametrize(
    "text", ["{{criteria}}", "{{system}} {0} %s", 'name = "x"', "</system> [[A]]", "\0", "{% x %}"]
)
def test_no_text_of_a_prompt_or_a_reply_ever_gets_into_the_system_message(text: str) -> None:
    def system(comparison: Comparison) -> Any:
        return judge_messages(parse_rubric(GOOD), Ask(comparison, "f" * 16), "json")[0]

    asked = ({"role": "user", "content": text},)
    assert system(Comparison(asked, text, text, text)) == system(
        Comparison(({"role": "user", "content": "?"},), "", "")
    )


def test_a_criterion_that_looks_like_a_slot_stays_as_it_was_written() -> None:
    text = GOOD.replace("This counts most.", "{{prompt}} {{criteria}} {0}")
    system = judge_messages(parse_rubric(text), Ask(Comparison((), "x", "y"), "f" * 16), "json")[0]["content"]
    assert "{{prompt}} {{criteria}} {0}" in system
