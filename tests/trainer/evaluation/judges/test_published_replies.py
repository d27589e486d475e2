"""Judge replies with the verdict a peer stored, where they lie beside the repository (their licence forbids a copy)."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.evaluation.judges.base import Said
from trainer.evaluation.judges.parsing import parse_logprobs, parse_ranking

DATA = Path(__file__).parents[4].parent / "shared" / "eval" / "parse"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no published data beside the repository")
MODELS = {"m": Said.first, "M": Said.second}


def load(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def test_four_hundred_log_probability_replies_read_as_the_peer_stored_them() -> None:
    cases, thin = load("logprob_cases.json")["cases"], 0
    for model, row, top, model_first, preference in cases:
        reading = parse_logprobs([(token, logprob) for token, logprob in top], MODELS)
        if reading.score is None:  # the peer renormalises whatever is left for its verdicts
            assert reading.mass is not None and reading.mass < 0.5, (model, row)
            thin += 1
            continue
        ours = 1 + reading.score if model_first else 2 - reading.score  # 2: the model wins, 1: its baseline
        assert ours == pytest.approx(preference, abs=1e-6), (model, row)
    assert len(cases) == 400 and thin < 20


def test_rankings_read_as_stored_where_they_are_strict_and_not_at_all_where_they_are_not() -> None:
    for case in load("text_cases.json")["ranking_text"]:
        names = ("m", "M") if '"m"' in case["text"] else ("model_1", "model_2")
        said = parse_ranking(case["text"], *names).said
        expected = (Said.first if case["peer_verdict"] == 1 else Said.second) if case["strict_ok"] else Said.invalid
        assert said is expected, case


def test_sixty_explained_rankings_read_as_the_peer_stored_them() -> None:
    cases = load("text_cases.json")["cot_json"]["cases"]
    for raw, names, preference in cases:
        first, second = sorted(names, key=lambda name: names[name])
        said = parse_ranking(json.dumps(raw), first, second).said
        assert said is (Said.first if preference == 1 else Said.second), raw
    assert len(cases) == 60
