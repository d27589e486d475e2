"""The tour's pure parts: the labeller who decides every pair, the moments of a run, the tables and the verdict."""

import itertools
from typing import Any, Literal

import pytest
from tour.labeller import Decision, Labeller
from tour.page import News, TrainView
from tour.report import Choice, Moments, choices_told, moments_table, shares_table, shortfall

from app.simulation import Measured
from trainer.starter.rules import polite

TEXTS = ("Of course. It is 4.", "Certainly! I hope it helps.", "It is 4.", "4.", "Four", "5.", "")


def decide(left: str, right: str, otherwise: Literal["longer", "shorter"] = "longer") -> Decision:
    return Labeller(polite, otherwise).decide([], left, right)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("It is 4, as everybody knows by now.", "Of course: 4.", Decision("right", "rule")),
        (
            "Certainly! It is 4. I hope it helps.",
            "Of course. It is 4, which is two and two.",
            Decision("left", "sentences"),
        ),
        ("It is 4.", "It is 4, I think.", Decision("right", "length")),
        ("It is 5.", "It is 4.", Decision("right", "alphabet")),
        ("It is 4.", "It is 4.", Decision("left", "equal")),
    ],
)
def test_what_decides_a_pair(left: str, right: str, expected: Decision) -> None:
    assert decide(left, right) == expected


def test_the_length_that_is_liked_can_be_turned_round() -> None:
    assert decide("4.", "It is 4.", "shorter") == Decision("left", "length")


def test_every_pair_is_decided_and_the_sides_do_not_matter() -> None:
    for a, b in itertools.permutations(TEXTS, 2):
        there, back = decide(a, b), decide(b, a)
        assert (there.side, back.side) in (("left", "right"), ("right", "left"))
        assert there.by == back.by != "equal"


def test_choices_never_go_round_in_a_circle() -> None:
    for a, b, c in itertools.permutations(TEXTS, 3):
        assert not (decide(a, b).side == decide(b, c).side == decide(c, a).side == "left")


def test_a_run_seen_again_and_again_makes_each_moment_once() -> None:
    views = [
        TrainView(served="starter"),
        TrainView(served="starter", listed="dpo-0001", outcome="queued"),
        TrainView(served="starter", run="dpo-0001", stage="training", listed="dpo-0001", outcome="running"),
        TrainView(served="starter", run="dpo-0001", stage="training", listed="dpo-0001", outcome="running"),
        TrainView(served="starter", run="dpo-0001", stage="sampling", listed="dpo-0001", outcome="evaluating"),
        TrainView(served="starter", listed="dpo-0001", outcome="promoted", why="71%"),
        TrainView(served="dpo-0001", listed="dpo-0001", outcome="promoted", why="71%"),
    ]
    news = News()
    assert [moment for view in views for moment in news.of(view)] == [
        ("run", "dpo-0001 queued"),
        ("stage", "training"),
        ("stage", "sampling"),
        ("gate", "promoted: 71%"),
        ("swap", "the header says: serving dpo-0001"),
    ]


def marked(*moments: tuple[float, str, str]) -> Moments:
    times = iter(at for at, _, _ in moments)
    made = Moments(zero=100.0, clock=lambda: 100.0 + next(times))
    for _, name, told in moments:
        made.mark(name, told)
    return made


def test_the_table_has_seconds_since_the_command_and_since_the_moment_before() -> None:
    table = moments_table(marked((12.04, "start", "a pair"), (172.5, "choices", "40 | all")).marked)
    assert table.splitlines()[2:] == ["| start | 12.0 | 12.0 | a pair |", "| choices | 172.5 | 160.5 | 40 \\| all |"]


PROMOTED: Any = ((200.0, "gate", "promoted: 71%"), (202.0, "swap", ""))


@pytest.mark.parametrize(
    ("moments", "reason"),
    [
        ((*PROMOTED, (300.0, "chart", "")), ""),
        ((*PROMOTED, (300.1, "chart", "")), "the chart came after 300.1 s, the limit is 300 s"),
        (PROMOTED, "the chart never showed the promoted checkpoint"),
        (PROMOTED[:1], "the header never named the promoted checkpoint"),
        (((9.0, "gate", "inconclusive: 51%"),), "the checkpoint was not promoted: inconclusive: 51%"),
        (((9.0, "run", ""),), "the run's outcome was never seen"),
    ],
)
def test_the_tour_holds_only_when_all_of_it_was_seen_in_time(moments: Any, reason: str) -> None:
    assert shortfall(marked(*moments)) == reason


def test_choices_are_told_with_what_decided_them_and_how_late_they_were() -> None:
    choices = [Choice("rule", 0.0, 0.2), Choice("length", 1.5, 0.6), Choice("rule", 0.0, None)]
    assert choices_told(choices) == (
        "3 choices: 2 by rule, 1 by length; 1 late, 1.5 s at most, 1.5 s in all; "
        "the next pair after 0.40 s (median), 0.60 s at most"
    )


def test_the_shares_stand_side_by_side() -> None:
    before = Measured("initial", 300, 0.37, 0.9, 200, 1.0, 50.0)
    after = Measured("dpo-0001", 300, 0.71, None, 0, 0.99, 61.4)
    assert shares_table("polite", [before, after]).splitlines() == [
        "|  | initial | dpo-0001 |",
        "| --- | ---: | ---: |",
        "| satisfy polite | 37.0% of 300 | 71.0% of 300 |",
        "| right | 90.0% of 200 | – |",
        "| well-formed | 100.0% | 99.0% |",
        "| mean length, characters | 50 | 61 |",
    ]
