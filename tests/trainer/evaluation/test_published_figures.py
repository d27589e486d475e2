"""AlpacaEval's published figures recomputed, and the tables of statistics made from its rows.

Optional: these data may not be copied (CC BY-NC) and are read from beside the repository where they lie there. What may
be copied is in tests/golden; here it is checked that the copies are the published files.
"""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from trainer.evaluation.diagnostics import position_effect
from trainer.evaluation.length_control import ANCHOR_WEIGHT, Anchors, length_controlled, tanh_length
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.paired import paired_difference
from trainer.evaluation.report import report
from trainer.evaluation.sample_size import prompts_needed
from trainer.evaluation.sequential import Decision, log_e_value, sprt
from trainer.evaluation.statistics import standard_error, wilson, win_rate

DATA = Path(__file__).parents[3].parent / "shared" / "eval"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no published data beside the repository")

MODELS = sorted(path.stem for path in (DATA / "alpacaeval2" / "models").glob("*.json"))
FITTED = [name for name in MODELS if name != "gpt4_1106_preview"]
FIRST = sorted(path.stem for path in (DATA / "alpacaeval1").glob("*.json"))
SIGN = {"a": 1, "b": -1, "t": 0, "i": 0, "x": 0}


def load(*parts: str) -> Any:
    return json.loads(DATA.joinpath(*parts).read_text())


class AlpacaEval2:
    """One model's rows, with what the file of instructions knows about their prompts."""

    def __init__(self, name: str, *, by_position: bool = False) -> None:
        model, prompts = load("alpacaeval2", "models", f"{name}.json"), load("alpacaeval2", "instructions.json")
        rows = model["row"] or list(range(prompts["n"]))
        self.published = model["published"]
        self.control = model.get("length_control")
        self.scores = np.array(model["preference"]) - 1
        self.own = np.array(model["output_chars"], dtype=np.float64)
        self.baseline = np.array(prompts["baseline_output_chars"], dtype=np.float64)[rows]
        difficulty = np.array(prompts["instruction_difficulty"])
        self.difficulty = difficulty[: len(rows)] if by_position else difficulty[rows]
        self.first = [bool(prompts["model_shown_first"][row]) for row in rows]
        self.prompts = [prompts["id"][row] for row in rows]


def anchors() -> Anchors:
    kept, prompts = load("alpacaeval2", "lc_anchor.json"), load("alpacaeval2", "instructions.json")
    baseline = np.array(prompts["baseline_output_chars"], dtype=np.float64)
    runs = ("concise", "verbose")
    lengths = [np.array(kept["anchor_output_chars"][run], dtype=np.float64) for run in runs]
    return Anchors(
        np.concatenate([kept[f"standin_preference_{run}"] for run in runs]),
        np.concatenate([tanh_length(length, baseline) for length in lengths]),
        np.tile(prompts["instruction_difficulty"], 2),
        tuple(prompts["id"]) * 2,
    )


@pytest.mark.parametrize("name", MODELS)
def test_win_rates_of_alpacaeval_2(name: str) -> None:
    rows = AlpacaEval2(name)
    found, published = win_rate(rows.scores.tolist()), rows.published
    assert 100 * found.rate == pytest.approx(published["win_rate"], abs=1e-6)
    assert 100 * standard_error(rows.scores.tolist()) == pytest.approx(published["standard_error"], abs=1e-6)
    wins, ties = int(np.sum(rows.scores > 0.5)), int(np.sum(rows.scores == 0.5))
    assert (wins, ties, found.n) == (published["n_wins"], published["n_draws"], published["n_total"])
    assert 100 * (wins + ties / 2) / found.n == pytest.approx(published["discrete_win_rate"], abs=1e-6)


@pytest.mark.parametrize("name", FIRST)
def test_win_rates_of_alpacaeval_1_through_the_report(name: str) -> None:
    model = load("alpacaeval1", f"{name}.json")
    published = model["published"]
    score = {None: None, 0: 0.5, 1: 0.0, 1.5: 0.5, 2: 1.0}
    rows = [Outcome(str(i), name, "base", score[preference]) for i, preference in enumerate(model["preference"])]
    [pair] = report(rows)["pairs"]
    assert 100 * pair["win_rate"] == pytest.approx(published["win_rate"], abs=1e-6)
    assert 100 * pair["standard_error"] == pytest.approx(published["standard_error"], abs=1e-6)
    counts = [published[key] for key in ("n_total", "n_wins", "n_wins_base", "n_draws")]
    assert [pair[key] for key in ("n", "wins", "losses", "ties")] == counts
    assert pair["invalid"] == len(rows) - published["n_total"]


@pytest.mark.parametrize("name", FITTED)
def test_length_control_is_within_012_points_of_the_published_figures(name: str) -> None:
    rows = AlpacaEval2(name, by_position=True)  # as the peer looks difficulty up; equal but for one missing row
    found = length_controlled(rows.scores, rows.own, rows.baseline, difficulty=rows.difficulty, anchors=anchors())
    assert 100 * found.rate == pytest.approx(rows.published["length_controlled_winrate"], abs=0.12)
    assert 100 * found.rate == pytest.approx(rows.control["refit_lc_unpenalised_with_anchor"], abs=1e-3)


def test_difficulty_looked_up_by_prompt_is_not_shifted_by_a_missing_row() -> None:
    rows = AlpacaEval2("minotaur-13b")
    found = length_controlled(rows.scores, rows.own, rows.baseline, difficulty=rows.difficulty, anchors=anchors())
    assert 100 * found.rate == pytest.approx(9.02, abs=0.01)


@pytest.mark.parametrize("name", FITTED)
def test_the_peers_own_fit_is_hit_to_002_with_its_penalty_and_agrees_with_ours_without(name: str) -> None:
    """Oracle: liblinear with L1 at the C that the peer chose, on the design that length_control.py builds."""
    rows, held = AlpacaEval2(name, by_position=True), anchors()
    n = len(rows.scores)
    tanh = np.concatenate([tanh_length(rows.own, rows.baseline), held.tanh_length])
    hard = np.concatenate([rows.difficulty, held.difficulty])
    design = np.stack([tanh, hard, np.arange(len(tanh)) < n], axis=1)
    targets = np.concatenate([rows.scores, held.scores])
    weights = np.where(np.arange(len(tanh)) < n, 1.0, ANCHOR_WEIGHT)

    def peer(strength: float) -> float:
        fit = LogisticRegression(
            l1_ratio=1, solver="liblinear", C=strength, fit_intercept=False, tol=1e-8, max_iter=10_000, random_state=0
        )
        # a soft target is one row of each class, weighted
        fit.fit(
            np.concatenate([design, design]),
            np.repeat([1, 0], len(targets)),
            sample_weight=np.concatenate([weights * targets, weights * (1 - targets)]),
        )
        _, g, c = fit.coef_[0]
        return float(100 * expit(g * rows.difficulty + c).mean())

    assert peer(rows.control["C_identified"]) == pytest.approx(rows.published["length_controlled_winrate"], abs=0.02)
    ours = length_controlled(rows.scores, rows.own, rows.baseline, difficulty=rows.difficulty, anchors=held)
    assert 100 * ours.rate == pytest.approx(peer(1e6), abs=0.02)


def test_the_published_length_controlled_error_is_only_the_spread_of_fitted_values() -> None:
    rows = AlpacaEval2("FuseChat-Gemma-2-9B-Instruct")
    coefficients = rows.control["published_coef"]
    fitted = expit(coefficients["instruction_difficulty"] * rows.difficulty + coefficients["model"])
    spread = 100 * float(fitted.std(ddof=1)) / math.sqrt(len(fitted))
    assert spread == pytest.approx(rows.published["lc_standard_error"], abs=1e-6)


def test_the_one_token_judge_of_alpacaeval_2_leans_to_the_second_text() -> None:
    found = []
    for name in FITTED:
        rows = AlpacaEval2(name)
        effect = position_effect(rows.scores.tolist(), rows.first, rows.prompts, [name] * len(rows.prompts))
        assert effect.effect is not None
        found.append(effect.effect)
    assert all(effect < -0.015 for effect in found)


@pytest.mark.parametrize("number", range(3))
def test_paired_tests_of_two_checkpoints(number: int) -> None:
    case = load("alpacaeval2", "paired_checkpoints.json")["cases"][number]
    a, b = AlpacaEval2(case["a"]), AlpacaEval2(case["b"])
    common = [prompt for prompt in a.prompts if prompt in b.prompts]
    x, y = (dict(zip(rows.prompts, rows.scores.tolist(), strict=True)) for rows in (a, b))
    found = paired_difference([x[prompt] for prompt in common], [y[prompt] for prompt in common])
    assert found.n == case["n"]
    assert 100 * found.difference == pytest.approx(case["mean_diff_points"], abs=1e-9)
    assert 100 * found.standard_error == pytest.approx(case["paired_se_points"], abs=1e-9)
    assert 100 * found.unpaired_error == pytest.approx(case["unpaired_se_points"], abs=1e-9)
    assert (found.t, found.p) == (pytest.approx(case["t"], abs=1e-9), pytest.approx(case["t_p"], abs=1e-9))
    assert (found.only_a, found.only_b) == (case["wins_only_a"], case["wins_only_b"])
    assert found.mcnemar_p == pytest.approx(case["mcnemar_exact_p"], abs=1e-9)


@pytest.mark.parametrize("number", range(3))
def test_sequential_trajectories(number: int) -> None:
    case = load("stats", "stats.json")["sequences"][number]
    wins = losses = 0
    crossed = decided = None
    trajectory = {row[0]: row for row in case["trajectory"]}
    for n, letter in enumerate(case["sequence"], start=1):
        wins, losses = wins + (letter == "w"), losses + (letter == "l")
        log_e = log_e_value(wins, losses)
        test = sprt(wins, losses, p1=0.6, alpha=0.05, beta=0.1)
        if crossed is None and log_e >= math.log(20):
            crossed = n
        if decided is None and test.decision is not Decision.undecided:
            decided = ["accept_better" if test.decision is Decision.better else "accept_not_better", n]
        if n in trajectory:
            assert [n, wins, losses] == trajectory[n][:3]
            assert [log_e, test.llr] == pytest.approx(trajectory[n][3:], abs=1e-9)
    assert crossed == case["first_n_log_e_ge_log20"]
    assert decided == case["sprt"]["decision"]


def test_sample_sizes() -> None:
    for case in load("stats", "stats.json")["sample_size"]:
        alpha = case["alpha_two_sided"]
        assert prompts_needed(case["score"], tie_rate=case["tie_rate"], power=case["power"], alpha=alpha) == case["n"]


@pytest.mark.parametrize("name", FITTED)
def test_intervals_of_alpacaeval_2(name: str) -> None:
    model = load("alpacaeval2", "models", f"{name}.json")
    scores = [preference - 1 for preference in model["preference"]]
    found = win_rate(scores)
    assert [100 * found.interval.low, 100 * found.interval.high] == pytest.approx(
        model["intervals95"]["wilson_neff"], abs=1e-6
    )
    plain = wilson(sum(scores), len(scores))
    assert [100 * plain.low, 100 * plain.high] == pytest.approx(model["intervals95"]["wilson_on_score"], abs=1e-6)


def test_the_command_alone_hits_the_published_figures_from_rows_with_difficulty_and_anchors() -> None:
    kept, prompts = load("alpacaeval2", "lc_anchor.json"), load("alpacaeval2", "instructions.json")
    ids, hard, base = prompts["id"], prompts["instruction_difficulty"], prompts["baseline_output_chars"]
    rows = [
        Outcome(ids[i], run, "base", score, length_a=length, length_b=base[i], tags=("anchor",), difficulty=hard[i])
        for run in ("concise", "verbose")
        for i, (score, length) in enumerate(
            zip(kept[f"standin_preference_{run}"], kept["anchor_output_chars"][run], strict=True)
        )
    ]
    names = ["alpaca-7b", "claude-2.1", "FuseChat-Llama-3.1-8B-Instruct"]
    for name in names:
        model = AlpacaEval2(name)
        rows += [
            Outcome(prompt, name, "base", score, length_a=own, length_b=theirs, difficulty=difficulty)
            for prompt, score, own, theirs, difficulty in zip(
                model.prompts, model.scores, model.own, model.baseline, model.difficulty, strict=True
            )
        ]
    found = {pair["model_a"]: pair["length_controlled_win_rate"] for pair in report(rows)["pairs"]}
    for name in names:
        assert 100 * found[name] == pytest.approx(AlpacaEval2(name).published["length_controlled_winrate"], abs=0.12)


OURS = "intervals.json.gz"  # made for the project, not published by anyone
COPIES = sorted(path for path in (Path(__file__).parents[2] / "golden").glob("*.json.gz") if path.name != OURS)


@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.name)
def test_the_copies_in_golden_are_the_published_files(path: Path) -> None:
    name = {"small_ratings": "small"}.get(path.name.removesuffix(".json.gz"), path.name.removesuffix(".json.gz"))
    [original] = DATA.glob(f"*/{name}.json")
    assert gzip.decompress(path.read_bytes()) == original.read_bytes()
