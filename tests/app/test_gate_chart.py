"""The gate's figure on a run's page: the same evidence and intervals as the decision's, against the plan's bounds."""

import math
from dataclasses import asdict
from typing import Any

import pytest

from app.ui.gate_chart import bound_figure, evidence_figure, gate_chart
from trainer.evaluation.samples import HeldoutPrompt
from trainer.gate import QUALITY_LEAST
from trainer.gate_options import Rule
from trainer.gate_plan import PlannedJudge, plan_gate
from trainer.gate_rules import find
from trainer.score_file import PREFERENCE, QUALITY

NOBODY = PlannedJudge("", "", "", "", "", 0, False, "No judge.")
MIXED = [1.0, 0.5, 1.0, 0.0, 1.0, 0.75] * 20


def plan(rule: Rule) -> dict[str, Any]:
    prompts = [HeldoutPrompt(n, [{"role": "user", "content": f"Q{n}?"}]) for n in range(300)]
    given: dict[str, Any] = {"prompts": prompts, "samples": 4, "pairs": 42, "rule": rule, "judge": NOBODY}
    return asdict(plan_gate(candidate="dpo-0001", baseline="initial", **given))


@pytest.mark.parametrize("rule", list(Rule))
def test_there_is_none_before_the_first_look(rule: Rule) -> None:
    for given in (None, plan(rule)):
        told, update = gate_chart(given, {})
        assert told == "" and update["visible"] is False


def test_the_evidence_crosses_the_line_where_the_decision_says_so() -> None:
    _, figure = evidence_figure(plan(Rule.sequential), {PREFERENCE: MIXED})
    found = find(MIXED, Rule.sequential)
    above = figure.data[0]
    (line,) = figure.layout.shapes
    assert line.y0 == line.y1 == 20
    assert next(x for x, y in zip(above.x, above.y, strict=True) if y >= line.y0) == found.settled_at
    assert max(above.y) == pytest.approx(found.evidence) and above.y[0] == 1


def test_the_line_and_its_words_stand_at_the_same_height_of_an_axis_of_tens() -> None:
    _, figure = evidence_figure(plan(Rule.sequential), {PREFERENCE: MIXED})
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.annotations[0].y == pytest.approx(math.log10(figure.layout.shapes[0].y0))


def test_evidence_against_the_candidate_and_for_its_quality_are_lines_of_their_own() -> None:
    lost = [1 - score for score in MIXED]
    told, figure = evidence_figure(plan(Rule.sequential), {PREFERENCE: lost, QUALITY: [0.5] * 90})
    assert [trace.name for trace in figure.data] == ["for the candidate", "against it", "quality above 45%"]
    assert max(figure.data[1].y) == pytest.approx(find(MIXED, Rule.sequential).evidence)
    assert max(figure.data[2].y) == pytest.approx(find([0.5] * 90, Rule.sequential, least=QUALITY_LEAST).evidence)
    assert told.startswith("Evidence after 120 of at most 300 prompts") and "20 to 1 decides" in told


def test_overwhelming_evidence_is_still_a_number() -> None:
    _, figure = evidence_figure(plan(Rule.sequential), {PREFERENCE: [1.0] * 3000})
    assert all(math.isfinite(y) for y in figure.data[0].y)


def test_the_fixed_rule_shows_the_interval_of_its_one_look_against_each_bound() -> None:
    told, figure = bound_figure(plan(Rule.fixed), {PREFERENCE: MIXED, QUALITY: MIXED[:60]})
    found = find(MIXED, Rule.fixed).rate
    point = figure.data[0]
    assert point.y[0] - point.error_y.arrayminus[0] == pytest.approx(100 * found.interval.low)
    assert point.y[0] + point.error_y.array[0] == pytest.approx(100 * found.interval.high)
    assert [shape.y0 for shape in figure.layout.shapes] == [50, 45]
    assert "on 120 prompts" in told and "above 50%" in told and "above 45%" in told
