"""Figures of Arena, LLMFAO, MT-bench, PandaLM and LLMBar recomputed from tests/golden (sources and licences there)."""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.evaluation.agreement import agreement, ceiling, judge_agreement
from trainer.evaluation.alpha import krippendorff_alpha
from trainer.evaluation.bradley_terry import fit_bradley_terry
from trainer.evaluation.diagnostics import position_effect
from trainer.evaluation.ratings import POINTS, rate
from trainer.evaluation.style import style_control, style_difference

GOLDEN = Path(__file__).parents[2] / "golden"
SIGN = {"a": 1, "b": -1, "t": 0, "i": 0, "x": 0}


def load(name: str) -> Any:
    return json.loads(gzip.decompress((GOLDEN / f"{name}.json.gz").read_bytes()))


class Arena:
    def __init__(self, name: str) -> None:
        self.raw = load(f"{name}_battles")
        self.ratings = load(f"{name}_ratings")
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
    small = load("small_ratings")["wikipedia"]
    names = ["A", "B", "C", "D"]
    a, b, scores = zip(
        *[(names.index(w), names.index(x), 1.0) for w, x, n in small["games"] for _ in range(n)], strict=True
    )
    fit = fit_bradley_terry(np.array(a), np.array(b), np.array(scores), 4)
    expected = [small["expected_strength_geomean1"][name] for name in names]
    assert np.exp(fit.strengths) == pytest.approx(expected, rel=2e-3)


def test_evalicas_golden_strengths_of_food() -> None:
    food = load("small_ratings")["evalica_food"]
    names = sorted(food["golden"]["bradley_terry"])
    score = {"left": 1.0, "right": 0.0, "tie": 0.5}
    a, b = (np.array([names.index(row[side]) for row in food["rows"]]) for side in (0, 1))
    fit = fit_bradley_terry(a, b, np.array([score[row[2]] for row in food["rows"]]), len(names))
    strengths = np.exp(fit.strengths) / np.exp(fit.strengths).sum()
    assert strengths == pytest.approx([food["golden"]["bradley_terry"][name] for name in names], abs=1e-5)


def mtbench() -> tuple[dict[Any, int], dict[Any, list[tuple[str, int]]]]:
    """(GPT-4's verdict, people's (who, verdict)) by item; an item's models in a fixed order."""
    data = load("mtbench_turn1")

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
    reference = load("mtbench_turn1")["reference"]["fastchat_compute_agreement"]
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
    own = load("mtbench_turn1")["reference"]["own"]
    found = judge_agreement(judge, {item: [v for _, v in said] for item, said in people.items()})
    assert found.items == own["n_joined"]
    assert found.majority.rate == pytest.approx(own["majority_agreement"], abs=1e-9)
    assert found.kappa == pytest.approx(own["majority_kappa"], abs=1e-9)
    once = {item: list(dict(said).values()) for item, said in people.items()}  # author_0 said it twice
    alpha = krippendorff_alpha(once)
    assert alpha.value == pytest.approx(own["krippendorff_alpha_nominal_all_humans"], abs=1e-9)
    assert alpha.interval is not None and alpha.interval.low < 0.4767 < alpha.interval.high


def test_pandalm_kappas_and_alpha() -> None:
    data = load("pandalm")
    said = [[{1: 1, 2: -1, 0: 0}[v] for v in row] for row in data["annotators"]]
    reference = data["reference"]
    alpha = krippendorff_alpha({(str(i), "1", "2"): row for i, row in enumerate(said)})
    assert alpha.value == pytest.approx(reference["krippendorff_alpha_nominal"], abs=1e-9)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        judge = {(str(k), "1", "2"): row[i] for k, row in enumerate(said)}
        found = judge_agreement(judge, {(str(k), "1", "2"): [row[j]] for k, row in enumerate(said)})
        assert found.kappa == pytest.approx(reference["cohen_kappa"][f"{i + 1}-{j + 1}"], abs=1e-9)


def llmbar() -> Iterator[dict[str, Any]]:
    yield from load("llmbar_natural")["cases"]


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


def test_llmfao_crowd_agrees_little_in_both_levels_of_alpha() -> None:
    raw = load("llmfao_crowd_battles")
    said: dict[Any, dict[int, int]] = {}
    for pair, worker, a, b, letter in zip(*(raw[k] for k in ("pair_id", "worker", "a", "b", "winner")), strict=True):
        said.setdefault((str(pair), str(a), str(b)), {})[worker] = SIGN[letter]
    labels = {item: list(by_worker.values()) for item, by_worker in said.items()}
    assert krippendorff_alpha(labels).value == pytest.approx(0.291, abs=1e-3)
    assert krippendorff_alpha(labels, level="ordinal").value == pytest.approx(0.288, abs=1e-3)
    among = ceiling(labels)
    assert among.with_ties.rate == pytest.approx(0.532, abs=1e-3)
    assert among.without_ties.rate == pytest.approx(0.701, abs=1e-3)
