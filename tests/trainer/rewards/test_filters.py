"""Hard filters: each fault is found, and a clean completion has none."""

import pytest
from rewarding import asked

from trainer.guards import is_repetitive
from trainer.rewards.base import RewardError
from trainer.rewards.configs import HardFilters
from trainer.rewards.filters import FILTERS, find_faults


def fault(text: str, *, prompt: str = "Say it.", reference: str | None = None, ended: bool = True, **options: object):
    return find_faults(HardFilters.model_validate(options), asked(prompt), [text], [reference], [ended])[0]


def test_a_clean_completion_has_no_fault():
    assert fault("It is Paris, of course.", missing_end=True, longest=100) is None


@pytest.mark.parametrize(("text", "options"), [("  ", {}), ("abc", {"shortest": 4}), ("abcdef", {"longest": 5})])
def test_a_length_out_of_range_is_a_fault(text: str, options: dict[str, object]):
    assert fault(text, **options) == "length"


def test_letters_of_a_script_that_nobody_used_are_a_fault():
    assert fault("It is 巴黎.") == "script"


def test_broken_characters_are_a_fault():
    assert fault("It is \ufffd\ufffd.") == "script"


def test_scripts_of_the_prompt_its_reference_and_the_settings_are_known():
    assert fault("巴黎", prompt="巴黎在哪里") is None
    assert fault("巴黎", reference="巴黎") is None
    assert fault("巴黎", scripts=["CJK"]) is None
    assert fault("漢字", prompt="ひらがな") is None


def test_emoji_digits_and_symbols_are_no_script():
    assert fault("42 🙂 ≈ 6 × 7") is None


def test_another_prompts_script_does_not_make_it_known():
    found = find_faults(HardFilters(), asked("巴黎在哪里", "Say it."), ["巴黎", "巴黎"], [None, None], None)
    assert found == [None, "script"]


def test_repetition_is_what_the_guards_call_repetition():
    text = "the cat sat on the mat and the cat sat on the mat and the cat sat on the mat and"
    assert is_repetitive(text)
    assert fault(text) == "repetition"
    assert fault("no no no no no no no no no no no") == "repetition"


def test_a_missing_end_is_a_fault_where_it_is_asked_for():
    assert fault("It is Paris", ended=False) is None
    assert fault("It is Paris", ended=False, missing_end=True) == "missing_end"


def test_a_missing_end_that_nobody_told_of_is_refused():
    with pytest.raises(RewardError, match="which completions ended"):
        find_faults(HardFilters(missing_end=True), asked("Say it."), ["a"], [None], None)


def test_every_filter_can_be_switched_off():
    options = {"script": False, "repetition": False, "missing_end": False, "shortest": 0}
    assert [fault(text, ended=False, **options) for text in ("", "巴黎", "no " * 30)] == [None] * 3


def test_each_fault_has_one_name():
    found = {fault("", ended=True), fault("巴黎"), fault("no " * 30), fault("a", ended=False, missing_end=True)}
    assert found == set(FILTERS)
