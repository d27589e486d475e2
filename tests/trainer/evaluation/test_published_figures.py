"""The figures that AlpacaEval, Arena, LLMFAO, MT-bench and PandaLM published, or that their own code gives, recomputed.

Optional: the data lie beside the repository where there is one; part of them may not be copied (CC BY-NC).
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from trainer.evaluation.agreement import agreement, ceiling, judge_agreement
from trainer.evaluation.alpha import krippendorff_alpha
from trainer.evaluation.bradley_terry import fit_bradley_terry
from trainer.evaluation.diagnostics import position_effect
from trainer.evaluation.length_control import ANCHOR_WEIGHT, Anchors, length_controlled, tanh_length
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.paired import paired_difference
from trainer.evaluation.ratings import POINTS, rate
from trainer.evaluation.report import report
from trainer.evaluation.sample_size import prompts_needed
from trainer.evaluation.sequential import Decision, log_e_value, sprt
from trainer.evaluation.statistics import standard_error, wilson, win_rate
from trainer.evaluation.style import style_control, style_difference

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


class Arena:
    def __init__(self, name: str) -> None:
        self.raw = load("arena", f"{name}_battles.json")
        self.ratings = load("arena", f"{name}_ratings.json")
        self.names: list[str] = self.raw["models"]
        self.a, self.b = np.array(self.raw["a"]), np.array(self.raw["b"])
        self.scores = np.array([{1: 1.0, -1: 0.0, 0: 0.5}[SIGN[letter]] for letter in self.raw["winner"]])


@pytest.mark.parametrize("name", ["arena20k", "llmfao_crowd"])
def test_bradley_terry_is_the_exact_maximum_with_the_sandwich_error(name: str) -> None:
    arena = Arena(name)
    apart = arena.a != arena.b
    fit = fit_bradley_terry(arena.a[apart], arena.b[apart], arena.scores[apart], len(arena.names))
    for i, model in enumerate(arena.names):
        exact = arena.ratings["exact_mle"][model]
        assert 1000 + POINTS * fit.strengths[i] == pytest.approx(exact["rating"], abs=1e-4)
        assert POINTS * math.sqrt(fit.sandwich[i, i]) == pytest.approx(exact["se_sandwich"], abs=1e-4)
        assert POINTS * math.sqrt(fit.information[i, i]) == pytest.approx(exact["se_hessian"], abs=1e-4)


@pytest.mark.parametrize("name", ["arena20k", "llmfao_crowd"])
@pytest.mark.parametrize("peer", ["fastchat_bt", "arena_rank_bt", "evalica_bradley_terry_tol1e-12"])
def test_peers_ratings_agree_to_half_a_point_where_there_are_thirty_comparisons(name: str, peer: str) -> None:
    arena = Arena(name)
    rated = rate(arena.a, arena.b, arena.scores, len(arena.names)).models
    enough = [i for i, model in enumerate(rated) if model is not None and model.comparisons >= 30]
    theirs = arena.ratings[peer]
    values = [theirs[arena.names[i]] for i in enough]
    if peer == "arena_rank_bt":
        values = [value["rating"] for value in values]
    if peer.startswith("evalica"):
        values = [400 * math.log10(value) for value in values]
    ours = np.array([model.rating for i in enough if (model := rated[i]) is not None])
    assert ours - ours.mean() == pytest.approx(np.array(values) - np.mean(values), abs=0.5)


def test_a_model_with_one_comparison_is_not_ranked_and_its_interval_is_not_confident() -> None:
    arena = Arena("arena20k")
    rated = rate(arena.a, arena.b, arena.scores, len(arena.names)).models
    model = rated[arena.names.index("qwen3-coder-480b-a35b-instruct")]
    assert model is not None and (model.comparisons, model.ranks) == (1, None)
    assert model.standard_error == pytest.approx(342, abs=1)


def test_style_coefficients_of_llmfao() -> None:
    arena = Arena("llmfao_crowd")
    style = arena.raw["style"]
    row_of = {pair: counts for pair, counts in zip(style["pair_id"], style["counts"], strict=True)}
    counts = np.array([row_of[pair] for pair in arena.raw["pair_id"]], dtype=np.float64)
    names = ("length", "headers", "lists", "bold")
    styles = {name: style_difference(counts[:, i], counts[:, i + 4]) for i, name in enumerate(names)}
    found = style_control(arena.a, arena.b, arena.scores, len(arena.names), styles)
    assert [found.coefficients[name].value for name in names] == pytest.approx(
        [0.112, -0.239, -0.075, -0.011], abs=6e-4
    )
    exact = arena.ratings["style_control"]["exact_unreg"]["ratings"]
    assert found.ratings == pytest.approx([exact[name] for name in arena.names], abs=1e-3)
    peer = arena.ratings["style_control"]["fastchat_style_coefs"]
    penalty = {"ridge": 0.5 / math.log(10) ** 2, "covariate_ridge": 0.5}
    shrunk = style_control(arena.a, arena.b, arena.scores, len(arena.names), styles, **penalty)
    values = [shrunk.coefficients[name].value for name in names]
    assert values == pytest.approx(arena.ratings["style_control"]["exact_reg05"]["coefs"], abs=1e-6)
    assert values == pytest.approx(list(peer.values()), abs=1e-3)  # FastChat stops before it has converged


def test_small_golden_ratings() -> None:
    small = load("arena", "small.json")["wikipedia"]
    names = ["A", "B", "C", "D"]
    a, b, scores = zip(
        *[(names.index(w), names.index(x), 1.0) for w, x, n in small["games"] for _ in range(n)], strict=True
    )
    fit = fit_bradley_terry(np.array(a), np.array(b), np.array(scores), 4)
    expected = [small["expected_strength_geomean1"][name] for name in names]
    assert np.exp(fit.strengths) == pytest.approx(expected, rel=2e-3)


def mtbench() -> tuple[dict[Any, int], dict[Any, list[tuple[str, int]]]]:
    """(GPT-4's verdict, people's (who, verdict)) by item; an item's models in a fixed order."""
    data = load("agreement", "mtbench_turn1.json")

    def item(row: list[Any]) -> tuple[tuple[str, str, str], int]:
        question, a, b, winner = row[:4]
        turn = 1 if a < b else -1
        return (str(question), str(min(a, b)), str(max(a, b))), turn * SIGN[winner]

    judge = dict(item(row) for row in data["gpt4_pair"])
    people: dict[Any, list[tuple[str, int]]] = {}
    for row in data["human"]:
        key, said = item(row)
        people.setdefault(key, []).append((row[4], said))
    return judge, people


def test_mt_bench_agreement_counts_of_the_paper() -> None:
    judge, people = mtbench()
    reference = load("agreement", "mtbench_turn1.json")["reference"]["fastchat_compute_agreement"]
    experts = {item: [v for who, v in said if who.startswith("expert")] for item, said in people.items()}
    against = agreement(
        (judge[item], said, item[0]) for item, all_said in experts.items() if item in judge for said in all_said
    )
    among = ceiling(experts)
    for ways, name in ((against, "gpt4-pair|human"), (among, "human|human")):
        for found, setup in ((ways.with_ties, "with_tie"), (ways.without_ties, "no_tie")):
            expected = reference[f"{name}|{setup}"]
            assert (found.agree, found.total) == (expected["agree"], expected["total"]), (name, setup)


def test_mt_bench_majority_kappa_and_alpha() -> None:
    judge, people = mtbench()
    own = load("agreement", "mtbench_turn1.json")["reference"]["own"]
    found = judge_agreement(judge, {item: [v for _, v in said] for item, said in people.items()})
    assert found.items == own["n_joined"]
    assert found.majority.rate == pytest.approx(own["majority_agreement"], abs=1e-9)
    assert found.kappa == pytest.approx(own["majority_kappa"], abs=1e-9)
    once = {item: list(dict(said).values()) for item, said in people.items()}  # author_0 said it twice
    alpha = krippendorff_alpha(once)
    assert alpha.value == pytest.approx(own["krippendorff_alpha_nominal_all_humans"], abs=1e-9)
    assert alpha.interval is not None and alpha.interval.low < 0.4767 < alpha.interval.high


def test_pandalm_kappas_and_alpha() -> None:
    data = load("agreement", "pandalm.json")
    said = [[{1: 1, 2: -1, 0: 0}[v] for v in row] for row in data["annotators"]]
    reference = data["reference"]
    alpha = krippendorff_alpha({(str(i), "1", "2"): row for i, row in enumerate(said)})
    assert alpha.value == pytest.approx(reference["krippendorff_alpha_nominal"], abs=1e-9)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        judge = {(str(k), "1", "2"): row[i] for k, row in enumerate(said)}
        found = judge_agreement(judge, {(str(k), "1", "2"): [row[j]] for k, row in enumerate(said)})
        assert found.kappa == pytest.approx(reference["cohen_kappa"][f"{i + 1}-{j + 1}"], abs=1e-9)


def llmbar() -> Iterator[dict[str, Any]]:
    yield from load("agreement", "llmbar_natural.json")["cases"]


def test_llmbar_shares_of_the_first_text() -> None:
    for case in llmbar():
        # w0 has output_1 first, w1 output_2; both name the output that won
        shown = [(w == "1", True) for w in case["w0"] if w != "-"] + [(w == "1", False) for w in case["w1"] if w != "-"]
        took = sum(won == first for won, first in shown)
        assert len(shown) == case["computed"]["first_shown_n"]
        assert took / len(shown) == pytest.approx(case["computed"]["first_shown_share"], abs=1e-9)


def test_llmbar_flips_count_only_items_where_both_orders_parsed() -> None:
    for case in llmbar():
        rows = [
            (str(i), float(w == "1"), first)
            for verdicts, first in ((case["w0"], True), (case["w1"], False))
            for i, w in enumerate(verdicts)
            if w != "-"
        ]
        prompts, scores, first = zip(*rows, strict=True)
        found = position_effect(scores, first, prompts, ["1 2"] * len(rows))
        assert found.both - found.flips == case["computed"]["consistent_decided"]


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


def test_llmfao_crowd_agrees_little_in_both_levels_of_alpha() -> None:
    raw = load("arena", "llmfao_crowd_battles.json")
    said: dict[Any, dict[int, int]] = {}
    for pair, worker, a, b, letter in zip(*(raw[k] for k in ("pair_id", "worker", "a", "b", "winner")), strict=True):
        said.setdefault((str(pair), str(a), str(b)), {})[worker] = SIGN[letter]
    labels = {item: list(by_worker.values()) for item, by_worker in said.items()}
    assert krippendorff_alpha(labels).value == pytest.approx(0.291, abs=1e-3)
    assert krippendorff_alpha(labels, level="ordinal").value == pytest.approx(0.288, abs=1e-3)
    among = ceiling(labels)
    assert among.with_ties.rate == pytest.approx(0.532, abs=1e-3)
    assert among.without_ties.rate == pytest.approx(0.701, abs=1e-3)
