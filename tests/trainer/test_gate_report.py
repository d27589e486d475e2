"""What the gate saw besides: sentences of raw and length-controlled win rates, slices, the judge and people."""

from typing import Any

import numpy as np

from trainer.evaluation.outcomes import Outcome
from trainer.gate_report import preference_figures, report


def outcomes(count: int = 60, *, longer: bool = False, seed: int = 0, hard: str = "") -> list[Outcome]:
    """A candidate that wins six in ten; all its texts are longer where asked; it loses every prompt tagged `hard`."""
    chance = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        tag = ("sums", "lists", "talk", "titles")[n % 4]
        won = 0.0 if tag == hard else float(chance.random() < 0.6)
        length = 200.0 if longer else float(chance.integers(80, 120))
        rows.append(Outcome(str(n), "new", "old", won, length_a=length, length_b=100.0, rater="r", tags=(tag,)))
    return rows


def told(rows: list[Outcome], **more: Any) -> list[str]:
    return report(preference_figures(rows), None, notes=[], **more)


def test_the_raw_win_rate_stands_beside_the_one_at_equal_length() -> None:
    figures = preference_figures(outcomes())
    line = told(outcomes())[0]
    assert f"the win rate is {figures['win_rate']:.0%}" in line
    assert f"at equal length {figures['length_controlled_win_rate']:.0%}" in line and line.count("95% interval") == 2


def test_lengths_that_never_overlap_are_not_identifiable() -> None:
    rows = [Outcome(str(n), "new", "old", float(n % 3 > 0), length_a=400.0 + n, length_b=100.0) for n in range(60)]
    assert "at equal length it is not known: not identifiable" in told(rows)[0]


def test_the_lowest_tag_is_named_and_is_no_news_when_chance_explains_it() -> None:
    line = told(outcomes())[1]
    assert "its lowest tag is" in line and "nothing that chance would not do among 4" in line


def test_a_tag_on_which_every_prompt_is_lost_is_told_as_worse_than_chance() -> None:
    line = told(outcomes(hard="sums"))[1]
    assert "its lowest tag is sums: 0% on 15 prompts, below 50% even as the lowest of 4" in line


def test_equal_models_have_a_significant_slice_in_at_most_one_report_in_twenty() -> None:
    chance = np.random.default_rng(1)
    tags = [f"t{n}" for n in range(10)]
    alarms = 0
    for _ in range(60):
        rows = [
            Outcome(str(n), "new", "old", float(chance.random() < 0.5), rater="r", tags=(tags[n % 10],))
            for n in range(200)
        ]
        alarms += any("even as the lowest" in line for line in told(rows))
    assert alarms <= 6  # binomial(60, .05) is above 6 once in 80; without Holm a third of the reports would alarm


def test_intervals_of_one_look_are_left_out_where_the_scores_decided_how_many() -> None:
    assert not any("interval" in line for line in told(outcomes(), one_look=False))


def test_the_judge_is_named_with_its_counts_and_its_standing_with_people_comes_last() -> None:
    judge = {
        "judge": {"name": "local:j:word:quality", "kind": "local", "revision": "0123456789abcdef"},
        "rubric": {"name": "quality", "digest": "fedcba9876543210"},
        "prompts": 100,
        "verdicts": {"win": 40, "loss": 30, "tie": 20, "flip": 9, "invalid": 1},
        "alarms": ["The judge goes by position: 9 of 99 prompts flip."],
        **preference_figures(outcomes()),
    }
    lines = report(None, judge, notes=["It agrees with this project's people on 60 of 120 choices (kappa 0.20)."])
    assert lines[0] == (
        "Judge local:j:word:quality, revision 0123456789ab, rubric quality fedcba98: 40 won, 30 lost, 20 tied, "
        "9 flipped with the order, 1 invalid (1.0%) of 100 pairs of texts on 60 prompts."
    )
    assert lines[-2:] == [
        "The judge goes by position: 9 of 99 prompts flip.",
        "It agrees with this project's people on 60 of 120 choices (kappa 0.20).",
    ]
