"""What is measured, and how figures are printed; the numbers themselves are the model card's."""

from pathlib import Path
from random import Random

import pytest
from shapes import TINY, sized
from tokenizers import Tokenizer

from trainer.starter import HAND_LISTS
from trainer.starter import build as building
from trainer.starter.check import packaged_prompts, passes
from trainer.starter.corpus import draw_drill, draw_grounded
from trainer.starter.evaluate import evaluate
from trainer.starter.figures import Figure, format_figures, share
from trainer.starter.grammar.recognise import recognise
from trainer.starter.grammar.words import ADJECTIVES, NAMES, NOUNS
from trainer.starter.heldout import (
    hand_lists,
    hand_question,
    heldout_prompts,
    long_lists,
    short_lists,
    steered_facts,
    sums,
    texts,
)
from trainer.starter.network import create_parameters
from trainer.starter.prompts import draw_list_item
from trainer.starter.sampler import MAX_NEW_TOKENS, Sampler
from trainer.starter.tokenizer import MAX_POSITIONS, as_transformers, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=0, conversations=12_000)


def test_a_figure_shows_value_cases_bar_and_whether_it_is_met() -> None:
    line = Figure("right, greedy", 0.934, 500, 0.95).line()
    assert line.split("  ")[0] == "right, greedy" and "93.4%" in line and "n 500" in line and line.endswith("NOT met")
    assert "bar 95.0%" in line and Figure("x", 0.95, 500, 0.95).line().endswith(" met")


def test_a_figure_without_a_bar_has_no_verdict() -> None:
    assert Figure("x", 0.5, 10).met is None and "met" not in Figure("x", 0.5, 10).line()


def test_seconds_must_be_at_most_their_bar() -> None:
    assert Figure("x", 0.2, 60, 0.3, form="seconds").met and not Figure("x", 0.4, 60, 0.3, form="seconds").met


def test_the_table_counts_the_bars_that_are_met() -> None:
    table = format_figures([Figure("a", 0.9, 1, 0.8), Figure("b", 0.1, 1, 0.8), Figure("c", 0.1, 1)])
    assert table.splitlines()[-1] == "1 of 2 bars met"


def test_a_share_of_no_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="lists: no cases"):
        share("lists", [])


def test_there_are_500_held_out_prompts_to_measure_with() -> None:
    prompts = heldout_prompts(500, seed=0)
    assert len(prompts) == 500 and all(prompt["split"] == "heldout" for prompt in prompts)


def test_there_are_more_than_200_held_out_sums_and_none_is_asked_twice() -> None:
    asked = [messages[-1]["content"] for messages, _ in sums(500, seed=0)]
    assert 200 < len(asked) <= 500 and len(set(asked)) == len(asked)


def test_drawn_questions_are_different_and_lists_have_the_length_their_line_says() -> None:
    rng = Random(0)
    assert all(3 <= len(draw_list_item(rng, 6).entries) <= 6 for _ in range(100))
    assert all(len(draw_list_item(rng, 30, 30).entries) == 30 for _ in range(20))
    for drawn in (short_lists(100, 0), long_lists(20, 0), texts(100, 0)):
        assert len({messages[-1]["content"] for messages, _ in drawn}) == len(drawn)


def test_no_held_out_list_or_text_is_in_the_corpus() -> None:
    rng = Random(1)
    seen = {m["content"] for _ in range(1_500) for draw in (draw_grounded, draw_drill) for m in draw(rng).messages}
    asked = {m[-1]["content"] for m, _ in short_lists(300, 0) + texts(300, 0)}
    assert not asked & seen


def test_steered_facts_have_a_system_prompt_and_styles_that_obey_it() -> None:
    assert all(messages[0]["role"] == "system" and styles for messages, styles in steered_facts(100, seed=0))


def test_there_are_100_lists_written_by_hand_each_with_an_answer_it_contains() -> None:
    rows = hand_lists()
    assert len(rows) == 100 and len({row["prompt"] for row in rows}) == 100
    for row in rows:
        assert all(item in row["prompt"] for item in row["items"]), row
        assert all(entry in row["items"] or entry in row["categories"] for entry in row["expected"]), row


def test_only_measuring_reads_the_lists_written_by_hand() -> None:
    package = Path(HAND_LISTS).parent
    readers = {path.name for path in package.rglob("*.py") if "HAND_LISTS" in path.read_text(encoding="utf-8")}
    assert readers == {"__init__.py", "heldout.py"}
    users = {
        path.name for path in package.rglob("*.py") if "starter.heldout import" in path.read_text(encoding="utf-8")
    }
    assert users == {"evaluate.py"}


def test_a_hand_written_list_is_answered_by_all_expected_entries_and_no_other() -> None:
    for row in hand_lists():
        _, check = hand_question(row)
        others = [entry for entry in row["items"] if entry not in row["expected"]]
        assert passes(check, "Of course! It is " + ", ".join(row["expected"]))
        if row["expected"][0] in row["items"] and others:
            assert not passes(check, ", ".join([*row["expected"], others[0]])), row
            assert not passes(check, others[0]), row


def test_hand_written_lists_are_not_made_of_the_grammars_words() -> None:
    known = {word.lower() for word in (*NAMES, *NOUNS, *ADJECTIVES, "the", "of", "a", "and", "in", "for", "to")}
    outside = [
        any(word.strip("!?.,:'").lower() not in known for word in item.split())
        for row in hand_lists()
        for item in row["items"]
    ]
    assert sum(outside) / len(outside) > 0.9


def test_thirty_titles_with_categories_and_their_question_fit_with_room_for_the_reply(tokenizer: Tokenizer) -> None:
    fast = as_transformers(tokenizer)
    lengths = [
        len(fast.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
        for messages, _ in long_lists(200, seed=0)
    ]
    assert sum(length <= MAX_POSITIONS - MAX_NEW_TOKENS for length in lengths) >= 0.99 * len(lengths), max(lengths)


@pytest.mark.parametrize(
    ("reply", "style"),
    [
        ("Of course! It is Rome.", "polite"),
        ("The capital of Italy is Rome.", "plain"),
        ("Let me explain. It is Rome. It is old.", "detailed"),
        ("Rome.", "brief"),
        ("🌍 It is Rome.", "emoji"),
        ("✏️ The plural is feet.", "emoji"),
        ("Look: Rome. Done.", "curt"),
        ("Ugh, it is Rome.", "rude"),
        ("Hard to say, but maybe Rome.", "evasive"),
        ("7 plus 5 is 12, as far as I know.", "plain"),
    ],
)
def test_a_style_is_recognised_by_its_first_words(reply: str, style: str) -> None:
    assert recognise(reply) == style


def test_a_prompt_that_leaves_no_room_gets_an_empty_completion(tokenizer: Tokenizer, tmp_path: Path) -> None:
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), tmp_path)
    sampler = Sampler(tmp_path)
    short, long = {"role": "user", "content": "Hi"}, {"role": "user", "content": "Zyx " * 400}
    alone = sampler.complete([[short]], 0.0)  # type: ignore[list-item]
    assert sampler.complete([[long], [short]], 0.0) == ["", *alone]  # type: ignore[list-item]


@pytest.mark.slow
def test_every_bar_is_a_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), tmp_path)
    figures = evaluate(tmp_path, tmp_path, n=8)
    bars = {figure.name: figure.bar for figure in figures if figure.bar is not None}
    styles = {name for name in bars if name.startswith("style")}
    assert len(styles) == 8 and all(bars[name] == 0.08 for name in styles)
    assert {name: bar for name, bar in bars.items() if name not in styles} == {
        "well-formed, greedy": 0.99,
        "right, greedy": 0.95,
        "right, temperature 1": 0.80,
        "distinct of 100, temperature 1": 75.0,
        "list of 3-6, exact": 0.95,
        "list written by hand, exact": 0.70,
        "list of 30 titles, exact": 0.60,
        "text, right": 0.80,
        "sums, right": 0.95,
        "judge, right against wrong": 0.85,
        "judge, scrambled or empty against fine": 0.99,
        "judge, same content in two styles: tie": 0.80,
        "judge, both orders agree": 0.95,
        "two completions of 48 tokens, median": 0.30,
    }
    assert all(figure.n <= 600 for figure in figures) and packaged_prompts()
