"""Guards of a run under way: text like the initial model's holds them, each sabotage trips its own, and they resume."""

import json
import random
from collections.abc import Callable

import pytest

from trainer.guard_results import Sample
from trainer.live_guard_config import LiveGuardSettings
from trainer.live_guards import LEAST, WINDOW, GuardTripped, LiveGuards, Rollout

WORDS = [f"{a}{b}" for a in ("ba", "ko", "mi", "su", "re", "ta", "vo", "li") for b in ("n", "ra", "sti", "mel", "do")]
PASSAGE = "the lighthouse keeper wrote three letters to his sister every winter about the sea"
Change = Callable[[random.Random, Sample], Sample]


def rollouts(seed: int, count: int = WINDOW, change: Change | None = None) -> list[Rollout]:
    """Completions of random words, four to a prompt at most."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        text = " ".join(chance.choices(WORDS, k=chance.randrange(8, 20)))
        tokens = len(text) // 4
        logprob = sum(chance.gauss(-1, 0.5) for _ in range(tokens))
        sample = Sample(text, tokens, False, logprob, logprob)
        made.append((f"What is number {number % 40}?", change(chance, sample) if change else sample))
    return made


INITIAL = rollouts(0)


def says(text: str) -> Change:
    return lambda chance, one: Sample(text, one.tokens, one.hit_limit, one.logprob, one.initial_logprob)


def sometimes(share: float, text: Callable[[str], str]) -> Change:
    def change(chance: random.Random, one: Sample) -> Sample:
        said = text(one.text) if chance.random() < share else one.text
        return Sample(said, one.tokens, one.hit_limit, one.logprob, one.initial_logprob)

    return change


def likely(by: float) -> Change:
    """So many nats per token more likely under the initial model, and under the policy."""
    return lambda chance, one: Sample(
        one.text, one.tokens, False, one.logprob + by * one.tokens, one.initial_logprob + by * one.tokens
    )


SABOTAGE: dict[str, Change] = {
    "empty": sometimes(0.2, lambda text: ""),
    "endless": lambda chance, one: Sample(one.text, one.tokens, True, one.logprob, one.initial_logprob),
    "repetition": sometimes(0.5, lambda text: "and so on " * 12),
    "distinct": says("yes yes no yes"),
    "self_bleu": says("the very same words for each of them"),
    "same_text": sometimes(0.3, lambda text: "Nobody knows."),
    "memorised": sometimes(0.4, lambda text: f"{text} {PASSAGE}"),
    "refusals": sometimes(0.4, lambda text: f"I cannot say. {text}"),
    "foreign_script": sometimes(0.2, lambda text: f"{text} 好的"),
    "length": sometimes(1.0, lambda text: text * 8),
    "kl": lambda chance, one: Sample(one.text, one.tokens, False, one.logprob + 2 * one.tokens, one.initial_logprob),
    "perplexity": likely(-3.0),
}


def watching(**settings: object) -> LiveGuards:
    return LiveGuards(LiveGuardSettings.model_validate(settings), INITIAL)


def beyond(metrics: dict[str, float]) -> set[str]:
    return {name.split("/")[1] for name, value in metrics.items() if name.endswith("/used") and value > 1}


def test_text_of_the_initial_model_holds_every_guard_at_every_look() -> None:
    guards = watching(guard_patience=1)
    for seed in range(1, 6):
        assert beyond(guards.look(seed, rollouts(seed, 64), reward=0.0)) == set()


@pytest.mark.parametrize("name", SABOTAGE)
def test_each_sabotage_trips_its_guard(name: str) -> None:
    found = watching(guards="watch").look(1, rollouts(1, change=SABOTAGE[name]), reward=0.0)
    assert name in beyond(found)


def test_text_that_is_far_too_likely_trips_the_guard_of_perplexity_too() -> None:
    assert "perplexity" in beyond(watching(guards="watch").look(1, rollouts(1, change=likely(0.99)), reward=0.0))


def test_a_run_is_stopped_once_a_guard_fails_so_often_in_a_row_and_says_why() -> None:
    guards = watching(guard_patience=2)
    guards.look(1, rollouts(1), reward=0.2)
    broken = rollouts(2, change=SABOTAGE["same_text"])
    guards.look(2, broken, reward=0.5)
    with pytest.raises(GuardTripped, match=r"step 3, after 2 looks in a row: .*the same text") as tripped:
        guards.look(3, broken, reward=0.9, metrics={"objective/kl": 4.0})
    assert "The reward rose from 0.2 to 0.9 meanwhile" in str(tripped.value)
    assert tripped.value.metrics["objective/kl"] == 4.0 and tripped.value.metrics["guards/same_text/used"] > 1


def test_a_good_look_between_two_bad_ones_begins_the_count_anew() -> None:
    guards = watching(guard_patience=2)
    for step in range(1, 7):
        guards.look(step, rollouts(step, change=SABOTAGE["refusals"] if step % 2 else None), reward=0.0)


def test_watching_alone_stops_nothing() -> None:
    guards = watching(guards="watch", guard_patience=1)
    assert "same_text" in beyond(guards.look(1, rollouts(1, change=SABOTAGE["same_text"]), reward=0.0))


def test_a_run_that_broke_without_its_reward_rising_is_not_called_hacked() -> None:
    guards = watching(guard_patience=1)
    with pytest.raises(GuardTripped) as tripped:
        guards.look(1, rollouts(1, change=SABOTAGE["kl"]), reward=0.0)
    assert "hacked" not in str(tripped.value) and "nats per token" in str(tripped.value)


def test_too_few_completions_are_not_judged_and_small_batches_add_up() -> None:
    guards = watching(guards="watch")
    broken = rollouts(1, change=SABOTAGE["same_text"])
    looks = [guards.look(step, broken[16 * step : 16 * step + 16], reward=0.0) for step in range(4)]
    assert looks[:3] == [{}, {}, {}] and "same_text" in beyond(looks[3]) and LEAST == 64


def test_what_is_no_number_is_beyond_every_limit_and_stored_nowhere() -> None:
    nan = [(prompt, Sample(one.text, one.tokens, False, float("nan"), float("nan"))) for prompt, one in rollouts(1)]
    told = watching(guards="watch").look(1, nan, reward=0.0)
    assert {"finite", "kl", "perplexity"} <= beyond(told)
    assert all(value == value for value in told.values())


def test_guards_that_are_restored_go_on_where_they_were() -> None:
    whole, part = watching(guard_patience=3), watching(guard_patience=3)
    broken = [rollouts(step, 48, SABOTAGE["refusals"]) for step in range(4)]
    for step in (0, 1, 2):
        whole.look(step, broken[step], reward=0.1 * step)
        part.look(step, broken[step], reward=0.1 * step)
    resumed = watching(guard_patience=3)
    resumed.restore(json.loads(json.dumps(part.state())))
    for guards in (whole, resumed):
        with pytest.raises(GuardTripped, match=r"rose from 0 to 0\.3"):
            guards.look(3, broken[3], reward=0.3)


def test_too_few_completions_of_the_initial_model_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 64 completions of the initial model, got 3"):
        LiveGuards(LiveGuardSettings(), INITIAL[:3])
