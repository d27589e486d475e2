"""Guards against saying the same to everything: each is tripped by its sabotage and by nothing that is healthy."""

import random

import pytest
import sacrebleu

from trainer.collapse_guards import alike, distinct, memorised, same_text
from trainer.collapse_measures import self_bleu, shared_by_prompts
from trainer.guard_limits import GUARDS
from trainer.guard_results import GuardInputs, Sample
from trainer.guards import refusals
from trainer.text_measures import refuses, words

WORDS = [f"{a}{b}" for a in ("ba", "ko", "mi", "su", "re", "ta", "vo", "li") for b in ("n", "ra", "sti", "mel", "do")]
PASSAGE = "the lighthouse keeper wrote three letters to his sister every winter about the sea"
PROMPTS = [f"What is number {number}?" for number in range(40)]


def said(seed: int = 0, **change: float) -> list[list[str]]:
    """Two texts of random words for each prompt; `passage` and `refusal` are shares that end or reply so."""
    chance = random.Random(seed)
    rows = []
    for _ in PROMPTS:
        texts = [" ".join(chance.choices(WORDS, k=14)) for _ in range(2)]
        texts = [f"{text} {PASSAGE}" if chance.random() < change.get("passage", 0) else text for text in texts]
        rows.append(["I can't do that." if chance.random() < change.get("refusal", 0) else text for text in texts])
    return rows


def inputs(rows: list[list[str]]) -> GuardInputs:
    return GuardInputs([[Sample(text, 10, False, -10.0, -10.0) for text in row] for row in rows])


INITIAL, OTHER = inputs(said(0)), inputs(said(1))


def few(texts: int) -> GuardInputs:
    """The initial model's first so many texts, over and over."""
    kept = INITIAL.texts[:texts]
    return inputs([[kept[(2 * p + k) % texts] for k in range(2)] for p in range(len(PROMPTS))])


def test_other_samples_of_the_same_model_hold_every_one_of_them() -> None:
    results = [distinct(OTHER, INITIAL, GUARDS, n=n) for n in (1, 2, 3)]
    results += [alike(OTHER, INITIAL, GUARDS), same_text(OTHER, INITIAL, GUARDS), refusals(OTHER, INITIAL, GUARDS)]
    results.append(memorised(OTHER, INITIAL, GUARDS, prompts=PROMPTS))
    assert [result.name for result in results if not result.passed] == []


def test_a_few_texts_for_all_prompts_trip_self_bleu_and_distinct_triples() -> None:
    assert not alike(few(11), INITIAL, GUARDS).passed
    assert not distinct(few(11), INITIAL, GUARDS, n=3).passed


def test_a_vocabulary_that_shrinks_trips_distinct_words() -> None:
    shrunk = inputs([[" ".join(text.split()[0] for _ in text.split()) for text in row] for row in said(1)])
    assert distinct(shrunk, INITIAL, GUARDS, n=1).passed  # as many different words: each text has one of its own
    one = inputs([["yes yes no yes"] * 2 for _ in PROMPTS])
    assert not distinct(one, INITIAL, GUARDS, n=1).passed


def test_a_passage_in_the_replies_to_different_prompts_trips_memorised() -> None:
    found = memorised(inputs(said(1, passage=0.4)), INITIAL, GUARDS, prompts=PROMPTS)
    assert not found.passed and "8 words in a row" in found.reason


def test_a_passage_that_the_initial_model_writes_too_is_a_style_and_not_memorised() -> None:
    start = inputs(said(0, passage=0.1))
    assert memorised(inputs(said(1, passage=0.9)), start, GUARDS, prompts=PROMPTS).passed


def test_a_passage_that_stands_in_a_prompt_is_quoted_and_not_memorised() -> None:
    asked = [*PROMPTS[:-1], f"What do you think of this: {PASSAGE}"]
    assert memorised(inputs(said(1, passage=0.9)), INITIAL, GUARDS, prompts=asked).passed


def test_the_same_words_for_one_prompt_alone_are_not_memorised() -> None:
    rows = [(0, PASSAGE), (0, PASSAGE), (1, "another reply altogether")]
    assert shared_by_prompts(rows, 8, 2, known=[]) == [False, False, False]
    assert shared_by_prompts([*rows, (2, f"well, {PASSAGE}")], 8, 2, known=[]) == [True, True, False, True]


def test_refusals_that_creep_in_trip_their_guard() -> None:
    found = refusals(inputs(said(1, refusal=0.25)), INITIAL, GUARDS)
    assert not found.passed and "refuse to answer" in found.reason


def test_as_many_refusals_as_the_initial_model_has_are_none_of_its_business() -> None:
    assert refusals(inputs(said(1, refusal=0.5)), inputs(said(0, refusal=0.5)), GUARDS).passed


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can\u2019t help with that.",
        "As an AI language model, I have no body.",
        "That is not something I can help with.",
        "We are unable to answer this.",
        "I won't help you do that.",
    ],
)
def test_a_refusal_is_told(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    ["You can't park there.", "It refused to start.", "A program cannot love, but it can help.", "Cannes is nice."],
)
def test_what_others_cannot_do_is_no_refusal(text: str) -> None:
    assert not refuses(text)


def test_self_bleu_is_the_mean_of_sacrebleus_with_the_others_as_references() -> None:
    chance = random.Random(3)
    texts = [" ".join(chance.choices(WORDS[:6], k=chance.randrange(1, 12))) for _ in range(12)]
    texts += [texts[0], f"{texts[1]} ban", "unheard", "Quite, unheard!"]
    expected = [
        sacrebleu.sentence_bleu(
            " ".join(words(text)),
            [" ".join(words(other)) for j, other in enumerate(texts) if j != i],
            tokenize="none",
        ).score
        for i, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(sum(expected) / len(expected) / 100, abs=1e-6)


def test_equal_texts_have_a_self_bleu_of_one_and_a_single_text_of_none() -> None:
    assert self_bleu(["the same words for all of them"] * 3) == pytest.approx(1)
    assert self_bleu(["alone"]) == 0
