import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from trainer.guards import GuardInputs, GuardResult, Sample, is_repetitive, run_guards, trips_guard
from trainer.text_measures import script

TOPICS = [
    "bread",
    "tea",
    "France",
    "winter",
    "running",
    "chess",
    "tomatoes",
    "sleep",
    "Peru",
    "violins",
    "cats",
    "bicycles",
    "glaciers",
    "saffron",
    "dentists",
    "kites",
    "pasta",
    "rivers",
    "comets",
    "gardens",
    "trains",
    "honey",
    "castles",
    "bees",
    "soup",
    "boats",
    "mirrors",
    "candles",
    "maps",
    "owls",
]
FACTS = (
    "{} can be found in more places than most people think",
    "many people enjoy {} on a quiet Sunday with friends",
    "you could start with {} and see where it leads you",
    "{} was first described by a traveller some centuries ago",
    "the best thing about {} is how little it costs",
    "nobody agrees on where {} really comes from",
)
OPENERS = {
    "plain": ("", "Well, ", "In short, "),
    "polite": ("Of course! ", "Thank you for asking. ", "I would be glad to help. "),
}
CLOSERS = {
    "plain": (".", ". That is all.", ". It depends on the season, too."),
    "polite": (". Please let me know if I can help with anything else!", ". I hope this helps you!"),
}
PROMPTS = [f"Tell me about {topic}." for topic in TOPICS]
Texts = Callable[[random.Random, str], str]


def sentence(rng: random.Random, topic: str, style: str = "plain") -> str:
    fact = " and ".join(rng.sample(FACTS, rng.choice((1, 2)))).format(topic, topic)
    return rng.choice(OPENERS[style]) + fact + rng.choice(CLOSERS[style])


def sampled(write: Texts, *, seed: int = 0, kl: float = 0.0, mean: float = -1.0, endless: bool = False) -> GuardInputs:
    """Four samples of each prompt; `mean` is the initial model's mean log-probability per token, `kl` is per token."""
    rng = random.Random(seed)
    samples = []
    for topic in TOPICS:
        row = []
        for _ in range(4):
            text = write(rng, topic)
            tokens = len(text) // 4 + 1
            under_initial = tokens * rng.gauss(mean, 0.2)
            row.append(Sample(text, tokens, endless, under_initial + kl * tokens, under_initial))
        samples.append(row)
    return GuardInputs(samples)


INITIAL = sampled(sentence)
SAMPLES = INITIAL.samples
CHOSEN = [len(sentence(random.Random(seed), TOPICS[seed % 30], "polite")) for seed in range(60)]


def guards_of(candidate: GuardInputs, initial: GuardInputs = INITIAL) -> dict[str, GuardResult]:
    results = run_guards(candidate, initial, prompts=PROMPTS, chosen_lengths=CHOSEN)
    return {result.name: result for result in results}


def failed(candidate: GuardInputs, initial: GuardInputs = INITIAL) -> set[str]:
    return {name for name, result in guards_of(candidate, initial).items() if not result.passed}


def scrambled(rng: random.Random, topic: str) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz ,.éЖж漢あ\x07\ufffd"
    return "".join(rng.choice(alphabet) for _ in range(90))


def test_the_initial_model_holds_its_own_guards() -> None:
    assert failed(INITIAL) == set()


def test_the_initial_model_holds_them_with_other_seeds() -> None:
    for seed in range(1, 9):
        assert failed(sampled(sentence, seed=seed)) == set()


def test_a_healthy_change_of_style_holds_every_guard() -> None:
    polite = sampled(lambda rng, topic: sentence(rng, topic, "polite"), kl=0.2, mean=-1.1)
    assert failed(polite) == set()


def test_emoji_are_not_a_foreign_script() -> None:
    emoji = sampled(lambda rng, topic: sentence(rng, topic) + " 🎉👍🏽👨‍👩‍👧 ❤️", kl=0.2)
    assert failed(emoji) == set()


def test_scrambled_weights_fail() -> None:
    names = failed(sampled(scrambled, mean=-8.0, kl=6.0, endless=True))
    assert {"endless", "foreign_script", "kl", "unlikely"} <= names


def test_one_text_for_all_prompts_fails() -> None:
    names = failed(sampled(lambda rng, topic: "Of course! I am glad to help you with this, my dear friend."))
    assert names >= {"same_text", "distinct"}


def test_one_text_with_the_topic_filled_in_fails_as_not_distinct() -> None:
    assert "distinct" in failed(sampled(lambda rng, topic: f"Of course! I am glad to tell you about {topic} today."))


def test_loops_fail() -> None:
    looped = sampled(lambda rng, topic: f"{sentence(rng, topic)[:20]} " + f"and the {topic} " * 12, endless=True)
    assert failed(looped) >= {"repetition", "endless"}


def test_half_of_the_completions_looping_fails() -> None:
    looped = sampled(lambda rng, topic: sentence(rng, topic) if rng.random() < 0.5 else f"{topic} " * 20)
    assert "repetition" in failed(looped)


def test_empty_completions_fail() -> None:
    assert {"empty", "same_text", "length"} <= failed(sampled(lambda rng, topic: " \n"))


def test_a_few_empty_completions_fail() -> None:
    assert "empty" in failed(sampled(lambda rng, topic: "" if rng.random() < 0.08 else sentence(rng, topic)))


def test_a_script_that_the_prompts_use_is_not_foreign() -> None:
    russian = sampled(lambda rng, topic: "Конечно, " + sentence(rng, topic))
    results = run_guards(russian, INITIAL, prompts=["Что это?", *PROMPTS[1:]], chosen_lengths=CHOSEN)
    assert all(result.passed for result in results)
    assert "foreign_script" in failed(russian)


def test_drifting_into_another_script_is_named_in_the_reason() -> None:
    drifted = guards_of(sampled(lambda rng, topic: sentence(rng, topic) + ("好的" if rng.random() < 0.2 else "")))
    assert not drifted["foreign_script"].passed
    assert "cjk" in drifted["foreign_script"].reason


def test_nan_log_probabilities_fail_as_not_finite_and_nowhere_pass_for_likely() -> None:
    rows = [[replace(s, logprob=math.nan, initial_logprob=math.nan) for s in row] for row in SAMPLES]
    assert failed(GuardInputs(rows)) >= {"finite", "kl", "unlikely"}


def test_broken_numbers_met_elsewhere_fail() -> None:
    assert failed(replace(INITIAL, broken_numbers=1)) == {"finite"}


def test_a_policy_far_from_the_initial_model_fails() -> None:
    assert failed(sampled(sentence, kl=1.2)) == {"kl"}


def test_a_tenth_of_completions_that_the_initial_model_would_never_write_fails() -> None:
    rng = random.Random(0)
    rows = [[replace(s, initial_logprob=-9.0 * s.tokens) if rng.random() < 0.1 else s for s in row] for row in SAMPLES]
    assert "unlikely" in failed(GuardInputs(rows))


def test_learning_brevity_is_not_unlikely() -> None:
    def texts(words: int) -> GuardInputs:  # the scatter of a mean over tokens falls with the root of their number
        rng = random.Random(words)
        rows = [[rng.choice((words, 20)) for _ in range(4)] for _ in TOPICS]
        sums = [[(count, sum(rng.gauss(-1, 1.5) for _ in range(count))) for count in row] for row in rows]
        return GuardInputs([[Sample("word " * count, count, False, lp, lp) for count, lp in row] for row in sums])

    mixed, brief = texts(30), texts(2)
    assert guards_of(brief, mixed)["unlikely"].passed


def test_completions_far_shorter_than_the_chosen_ones_fail() -> None:
    assert "length" in failed(sampled(lambda rng, topic: f"{topic} {rng.randrange(1000)} maybe"))


def test_completions_far_longer_than_the_chosen_ones_fail() -> None:
    assert "length" in failed(sampled(lambda rng, topic: " ".join(sentence(rng, topic) for _ in range(8))))


def test_the_initial_length_is_never_broken_even_where_all_chosen_texts_are_longer() -> None:
    results = run_guards(INITIAL, INITIAL, prompts=PROMPTS, chosen_lengths=[900] * 40)
    assert all(result.passed for result in results)


def test_lengths_between_the_initial_and_the_chosen_ones_hold() -> None:
    longer = sampled(lambda rng, topic: sentence(rng, topic) + " " + sentence(rng, topic), seed=3)
    by_name = {r.name: r for r in run_guards(longer, INITIAL, prompts=PROMPTS, chosen_lengths=[900] * 40)}
    assert by_name["length"].passed


def test_a_run_without_pairs_is_held_to_the_initial_lengths() -> None:
    short = sampled(lambda rng, topic: f"{topic} {rng.randrange(1000)}")
    by_name = {r.name: r for r in run_guards(short, INITIAL, prompts=PROMPTS, chosen_lengths=[])}
    assert not by_name["length"].passed
    assert "initial model's texts" in by_name["length"].reason


def test_a_reason_names_value_and_limit() -> None:
    same = guards_of(sampled(lambda rng, topic: "Yes." if rng.random() < 0.4 else sentence(rng, topic)))["same_text"]
    assert f"{same.value:.0%} of the completions are the same text" in same.reason
    assert f"limit {same.limit:.0%}" in same.reason


def test_what_the_initial_model_already_does_is_not_held_against_the_candidate() -> None:
    def brief(rng: random.Random, topic: str) -> str:
        return "No." if rng.random() < 0.3 else sentence(rng, topic)

    assert failed(sampled(brief, seed=1), initial=sampled(brief, seed=2)) == set()


def test_models_sampled_on_different_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="29 of the candidate"):
        run_guards(GuardInputs(SAMPLES[:29]), INITIAL, prompts=PROMPTS, chosen_lengths=CHOSEN)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        run_guards(GuardInputs([[]]), INITIAL, prompts=PROMPTS[:1], chosen_lengths=CHOSEN)


@pytest.mark.parametrize(
    "text",
    [
        "the cat the cat the cat the cat the cat the cat",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "I am glad. I am glad. I am glad. I am glad. I am glad.",
        "好好好好好好好好好好好好好好好好好好好好",
    ],
)
def test_loops_are_repetitive(text: str) -> None:
    assert is_repetitive(text)


@pytest.mark.parametrize(
    "text",
    [
        "No.",
        "Ha ha ha ha! That is a good one, I will tell it to my sister tonight.",
        "1. Paris\n2. London\n3. Rome\n4. Lima\n5. Oslo\n6. Bern",
        "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |",
        "The sea is wide, the sea is deep, and nobody has seen all of it yet.",
        "for i in range(10):\n        print(i)\n        print(i + 1)",
    ],
)
def test_ordinary_texts_are_not_repetitive(text: str) -> None:
    assert not is_repetitive(text)


@pytest.mark.parametrize(
    ("text", "says"), [("  \n", "empty"), ("no no no no no no no no no no", "repeats"), ("Hi\x00 there", "U+0000")]
)
def test_a_completion_not_worth_showing_says_why(text: str, says: str) -> None:
    assert says in (trips_guard(text) or "")


@pytest.mark.parametrize("text", ["Yes.", "Of course! 🎉", "Line one\n\tline two", "Конечно, 好的, naïve"])
def test_an_ordinary_completion_trips_nothing(text: str) -> None:
    assert trips_guard(text) is None


def test_symbols_that_look_like_letters_have_no_script() -> None:
    assert {script(character) for character in "µªºℝ🎉1.—️‍"} == {None}


def test_letters_have_the_script_of_their_name() -> None:
    assert [script(character) for character in "aéЖ漢あα"] == ["LATIN", "LATIN", "CYRILLIC", "CJK", "HIRAGANA", "GREEK"]


def test_a_long_varied_text_is_not_repetitive() -> None:
    rng = random.Random(0)
    text = " ".join("".join(rng.choices("abcdefghij", k=rng.randrange(2, 9))) for _ in range(4000))
    assert not is_repetitive(text)
