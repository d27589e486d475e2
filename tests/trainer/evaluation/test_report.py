import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.paired import paired_difference
from trainer.evaluation.report import report
from trainer.evaluation.statistics import win_rate


def row(prompt: object, a: str, b: str, score: float | None, **given: Any) -> Outcome:
    return Outcome(str(prompt), a, b, score, **given)


def judged(n: int = 120, models: tuple[str, ...] = ("good", "fair", "poor"), seed: int = 0) -> list[Outcome]:
    """Every model against `base` on n prompts, with lengths, both orders, and tags."""
    generator = np.random.default_rng(seed)
    rows = []
    for k, model in enumerate(models):
        for i in range(n):
            lengths = {"length_a": float(generator.integers(200, 900)), "length_b": float(generator.integers(200, 900))}
            for order in ("ab", "ba"):
                score = float(generator.random() < 0.65 - 0.15 * k)
                rows.append(
                    row(i, model, "base", score, order=order, tags=("even" if i % 2 == 0 else "odd",), **lengths)
                )
    return rows


def crowd(seed: int = 1, judge: str = "judge") -> list[Outcome]:
    """200 prompts judged by a judge that is right 80% of the time; three people label the first 80."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(200):
        truth = float(generator.random() < 0.6)
        seen = {"length_a": float(generator.integers(100, 900)), "length_b": 500.0}
        rows.append(row(i, "new", "old", truth if generator.random() < 0.8 else 1 - truth, rater=judge, **seen))
        for rater in ("ann", "ben", "eve") if i < 80 else ():
            rows.append(row(i, "new", "old", truth if generator.random() < 0.85 else 1 - truth, rater=rater, **seen))
    return rows


def turn(r: Outcome) -> Outcome:
    lengths = {"length_a": r.length_b, "length_b": r.length_a}
    difficulty = None if r.difficulty is None else -r.difficulty
    score = None if r.score_a is None else 1 - r.score_a
    return replace(r, model_a=r.model_b, model_b=r.model_a, score_a=score, difficulty=difficulty, order=None, **lengths)


def test_the_figures_of_a_pair_by_hand() -> None:
    found = report([row(1, "a", "b", 1.0), row(2, "a", "b", 0.0), row(3, "b", "a", 0.5), row(4, "b", "a", 0.0)])
    [pair] = found["pairs"]
    assert [pair[key] for key in ("model_a", "model_b", "n", "wins", "losses", "ties")] == ["a", "b", 4, 2, 1, 1]
    # scores 1 0 .5 1: mean .625, deviations^2 sum .6875, /3 = .229167, sqrt(/4) = .239357
    assert (pair["win_rate"], pair["standard_error"]) == (0.625, pytest.approx(0.23935678))
    exact = win_rate([1, 0, 0.5, 1]).interval
    assert pair["interval"] == [exact.low, exact.high]
    assert pair["length_controlled_win_rate"] is None
    assert set(found["models"]) == {"a", "b"} and found["models"]["a"]["comparisons"] == 4
    # 2.5 of 4 points: half of 400 log10(2.5/1.5) on each side of 1000
    assert found["models"]["a"]["rating"] == pytest.approx(1000 + 200 * np.log10(2.5 / 1.5))


def test_it_is_json_without_nan() -> None:
    for rows in ([], [row(1, "a", "b", None)], [row(1, "a", "a", 0.5)], judged(15), crowd()):
        json.dumps(report(rows), allow_nan=False)


def test_pairs_and_models_are_in_first_seen_order() -> None:
    found = report([row(1, "z", "y", 1.0), row(1, "b", "z", 0.0), row(2, "y", "z", 1.0), row(1, "a", "y", 0.0)])
    assert [(pair["model_a"], pair["model_b"]) for pair in found["pairs"]] == [("z", "y"), ("b", "z"), ("a", "y")]
    assert list(found["models"]) == ["z", "y", "b", "a"]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_turning_rows_about_changes_no_figure(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = [row(i, "a", "b", float(generator.integers(0, 3)) / 2) for i in range(15)]
    turned = [turn(r) if i % 2 else r for i, r in enumerate(rows)]
    there, back = report(rows), report(turned)
    for key in ("n", "wins", "losses", "ties", "win_rate", "standard_error", "interval"):
        assert there["pairs"][0][key] == pytest.approx(back["pairs"][0][key])
    assert there["models"]["a"]["rating"] == pytest.approx(back["models"]["a"]["rating"])


def test_invalid_verdicts_leave_the_denominator_and_widen_the_bounds() -> None:
    [pair] = report([row(i, "a", "b", score) for i, score in enumerate((1.0, 0.0, None, None))])["pairs"]
    assert (pair["n"], pair["invalid"], pair["win_rate"], pair["bounds"]) == (2, 2, 0.5, [0.25, 0.75])


def test_length_control_is_given_where_there_are_lengths() -> None:
    for pair in report(judged())["pairs"]:
        low, high = pair["length_controlled_interval"]
        assert low < pair["length_controlled_win_rate"] < high
        assert pair["length_controlled_win_rate"] == pytest.approx(pair["win_rate"], abs=0.05)


def test_length_control_says_why_there_is_none() -> None:
    rows = [row(i, "a", "b", float(i % 2), length_a=1000.0 + i % 7, length_b=10.0) for i in range(40)]
    found = report(rows)
    assert found["pairs"][0]["length_controlled_win_rate"] is None
    assert any("not identifiable" in note for note in found["notes"])


def test_the_length_controlled_win_rate_is_of_model_a_whoever_is_the_baseline() -> None:
    rows = judged(60)
    turned = [turn(r) for r in rows]
    there, back = report(rows)["pairs"], report(turned)["pairs"]
    for x, y in zip(there, back, strict=True):
        assert x["length_controlled_win_rate"] + y["length_controlled_win_rate"] == pytest.approx(1)


def test_a_known_difficulty_turns_with_its_row() -> None:
    generator = np.random.default_rng(7)
    hard = generator.normal(size=120)
    rows = [
        replace(r, difficulty=hard[i], score_a=float(generator.random() < 1 / (1 + np.exp(-2 * hard[i]))))
        for r in judged(models=("good", "fair"))
        for i in (int(r.prompt),)
    ]
    anchors = [  # which must be read from the same side as the others
        replace(r, model_a="concise", score_a=float(hard[int(r.prompt)] > 0), tags=("anchor",)) for r in rows[:240]
    ]
    there = report(rows + anchors)["pairs"]
    mixed = report([turn(r) if i % 3 == 2 else r for i, r in enumerate(rows)] + anchors)["pairs"]
    back = report([turn(r) for r in rows] + anchors)["pairs"]
    for x, y, z in zip(there[:2], mixed[:2], back[:2], strict=True):
        assert x["length_control"]["fit"]["difficulty"] > 1
        assert y["length_controlled_win_rate"] == pytest.approx(x["length_controlled_win_rate"])
        assert z["length_controlled_win_rate"] == pytest.approx(1 - x["length_controlled_win_rate"])


def test_anchor_pairs_hold_the_length_effect_of_the_others() -> None:
    generator = np.random.default_rng(0)
    rows = [
        row(i, "a", "b", float(generator.random() < 0.8), length_a=900.0 + i % 50, length_b=500.0) for i in range(80)
    ]
    assert report(rows)["pairs"][0]["length_controlled_win_rate"] is None
    anchors = []
    for i in range(80):
        lengths = {"length_a": float(generator.integers(200, 900)), "length_b": 500.0}
        won = float(lengths["length_a"] > 500)
        anchors.append(row(i, "concise", "b", won, tags=("anchor",), **lengths))
    held = report(rows + anchors)["pairs"][0]
    assert held["length_controlled_win_rate"] < held["win_rate"] - 0.1
    assert held["length_control"]["anchors"] == 80


def test_checkpoints_of_one_baseline_are_compared_on_their_common_prompts() -> None:
    rows = judged(60)
    found = [r for r in report(rows)["paired"] if r["baseline"] == "base"]
    assert [(r["model_a"], r["model_b"]) for r in found] == [("good", "fair"), ("good", "poor"), ("fair", "poor")]

    def scores(model: str) -> list[float]:
        return [
            float(np.mean([r.score_a for r in rows if r.model_a == model and r.prompt == str(i)])) for i in range(60)
        ]

    exact = paired_difference(scores("good"), scores("poor"))
    assert (found[1]["difference"], found[1]["p"]) == (pytest.approx(exact.difference), pytest.approx(exact.p))
    assert all(r["p_holm"] >= r["p"] for r in found)


def test_slices_by_tag_are_tested_together() -> None:
    found = report(judged())["slices"]
    assert [(r["model_a"], r["tag"], r["n"]) for r in found][:2] == [("good", "even", 60), ("good", "odd", 60)]
    assert all(r["p_holm"] >= r["p"] for r in found)


def test_judges_and_people_are_not_pooled() -> None:
    rows = crowd()
    found = report(rows)
    assert found["pairs"][0]["n"] == 80 and found["judges"]["judge"]["pairs"][0]["n"] == 200
    assert report([r for r in rows if r.rater != "judge"])["pairs"][0]["win_rate"] == found["pairs"][0]["win_rate"]


def test_agreement_is_shown_beside_the_ceiling_and_the_longest() -> None:
    found = report(crowd())["agreement"]["judge"]
    assert found["items"] == 80
    assert found["longest"]["with_ties"]["rate"] < found["people"]["with_ties"]["rate"] < 0.95
    assert found["ceiling"]["with_ties"]["total"] == 3 * 80


def test_one_estimate_of_both_is_narrower_than_people_alone() -> None:
    [pooled] = report(crowd())["pooled"]["judge"]
    assert (pooled["people"], pooled["judged"]) == (80, 200)
    assert pooled["standard_error"] < pooled["people_only_error"]


def test_a_judges_order_of_the_models_is_set_beside_peoples() -> None:
    rows = judged(models=("a", "b", "c", "d", "e"))
    both = [replace(r, rater=rater) for r in rows for rater in ("judge", "ann")]
    assert report(both)["rank_agreement"]["judge"]["correlation"] == pytest.approx(1)
    assert report(crowd())["rank_agreement"]["judge"] is None


def test_a_judge_can_be_named() -> None:
    found = report(crowd(judge="gpt"), judges=["gpt", "nobody"])
    assert list(found["agreement"]) == ["gpt"]
    assert any("'nobody'" in note for note in found["notes"])
    assert report(crowd(judge="gpt"))["agreement"] == {}


def test_a_judges_only_file_is_the_judges_figures() -> None:
    rows = [r for r in crowd() if r.rater == "judge"]
    found = report(rows)
    assert found["pairs"][0]["n"] == 200 and found["judges"] == {}


def test_a_judge_that_is_a_candidate_is_checked_for_loving_itself() -> None:
    rows = [replace(r, rater="judge:new", score_a=1.0) if r.rater == "judge" else r for r in crowd()]
    found = report(rows)["self_preference"]["judge:new"]
    assert found["judge"] == 1.0 and found["interval"][0] > 0.2


def test_labellers_are_told_apart() -> None:
    found = report(crowd())["raters"]
    assert set(found["by_rater"]) == {"ann", "ben", "eve"}
    low, high = found["alpha"]["interval"]
    assert 0 < low < found["alpha"]["value"] < high < 1


def test_position_is_measured_from_orders_and_unknown_words_are_told() -> None:
    found = report(judged())
    assert found["position"]["both"] == 360 and found["position"]["interval"] is not None
    strange = report([row(i, "a", "b", 1.0, order="north") for i in range(5)])
    assert strange["position"] is None and any("'north'" in note for note in strange["notes"])


def test_one_text_for_every_prompt_is_suspicious() -> None:
    rows = [row(i, "null", "b", 1.0 if i else 0.0, length_a=77.0, length_b=float(100 + i)) for i in range(40)]
    assert any("null is 77 long" in note for note in report(rows)["notes"])


def test_copied_verdicts_are_suspicious() -> None:
    rows = [row(i, name, "b", float(i % 3 == 0)) for name in ("falcon-7b", "falcon-40b") for i in range(40)]
    assert any("falcon-7b and falcon-40b" in note for note in report(rows)["notes"])


def test_style_is_fitted_where_every_row_has_lengths() -> None:
    rows = [
        replace(r, model_b=("base", "fair", "poor")[i % 3] if r.model_a == "good" else r.model_b)
        for i, r in enumerate(judged())
    ]
    found = report(rows)["style"]
    assert set(found["coefficients"]) == {"length"} and set(found["models"]) == {"good", "fair", "poor", "base"}
    assert report([replace(r, length_a=None) for r in rows])["style"] is None


def test_a_model_met_only_by_itself_has_no_rating() -> None:
    found = report([row(1, "a", "a", 0.5), row(1, "b", "c", 1.0), row(2, "b", "c", 0.0)])
    assert found["models"]["a"]["rating"] is None and found["models"]["a"]["comparisons"] == 0
    assert found["models"]["b"]["rating"] == pytest.approx(1000)


def test_models_that_met_directly_are_not_compared_over_a_third() -> None:
    rows = judged(20)
    met = [row(i, "good", "fair", float(i % 2)) for i in range(20)]
    compared = [{r["model_a"], r["model_b"]} for r in report(rows + met)["paired"] if r["baseline"] == "base"]
    assert {"good", "fair"} not in compared and {"good", "poor"} in compared


def test_hundreds_of_pairs_go_without_the_intervals_that_are_drawn() -> None:
    generator = np.random.default_rng(0)
    rows = []
    for i in range(26):
        for j in range(i):
            for k in range(10):
                lengths = {
                    "length_a": float(generator.integers(100, 300)),
                    "length_b": float(generator.integers(100, 300)),
                }
                rows.append(row(k, f"m{i}", f"m{j}", float(generator.integers(0, 2)), **lengths))
    found = report(rows)
    assert all(pair["bootstrap_interval"] is pair["length_controlled_interval"] is None for pair in found["pairs"])
    assert all(0 < pair["length_controlled_win_rate"] < 1 for pair in found["pairs"])
    assert any("bootstrap are left out" in note for note in found["notes"])
