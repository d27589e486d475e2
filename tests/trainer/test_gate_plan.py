"""The plan: everything that is settled before the first sample, kept as it was first written."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trainer.evaluation.sample_size import detectable_score, prompts_needed
from trainer.evaluation.samples import HeldoutPrompt
from trainer.gate_options import GateOptions, Rule
from trainer.gate_plan import GatePlan, PlannedJudge, plan_gate
from trainer.plan_file import FILE, keep_plan, read_plan

NOBODY = PlannedJudge("", "", "", "", "", 0, False, "No judge looked at quality: none is named (PREFLOOP_GATE_JUDGE).")


def planned(prompts: int = 150, **changed: Any) -> GatePlan:
    given: dict[str, Any] = {
        "candidate": "dpo-0002",
        "baseline": "dpo-0001",
        "prompts": [HeldoutPrompt(n, [{"role": "user", "content": f"Question {n}?"}]) for n in range(prompts)],
        "samples": 4,
        "pairs": 42,
        "rule": Rule.fixed,
        "judge": NOBODY,
    }
    return plan_gate(**{**given, **changed})


def test_a_plan_says_what_its_prompts_can_find() -> None:
    plan = planned(194)
    assert (plan.prompts, plan.prompts_needed, plan.detectable) == (194, 194, 0.6)
    assert planned(3).detectable is None


def test_the_sequential_rule_plans_more_prompts() -> None:
    assert planned(rule=Rule.sequential).prompts_needed > 1.8 * planned().prompts_needed


def test_what_is_detectable_is_the_inverse_of_what_is_needed() -> None:
    for n in (20, 100, 300):
        score = detectable_score(n)
        assert score is not None
        assert prompts_needed(score) <= n < prompts_needed(score - 0.001)


def test_another_set_of_prompts_is_another_digest() -> None:
    assert planned(10).prompts_digest == planned(10).prompts_digest != planned(11).prompts_digest


def test_the_questions_name_who_answers_them() -> None:
    assert "the preference model prefer dpo-0002 to dpo-0001" in planned().questions[2]
    judge = PlannedJudge("local:judge", "local", "abc", "quality", "def", 1, False, "")
    assert "no worse than dpo-0001" in planned(judge=judge).questions[0]
    speaks = planned(judge=replace(judge, answers_b=True)).questions
    assert "the judge, which agrees with these people," in speaks[2] and "no worse" not in speaks[0]


def test_a_resumed_gate_finds_the_plan_that_it_began_with(tmp_path: Path) -> None:
    first = keep_plan(asdict(planned()), tmp_path)
    before = (tmp_path / FILE).read_bytes()
    assert keep_plan(asdict(planned()), tmp_path) == first == read_plan(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before and first["written_at"]


def test_a_plan_that_had_to_change_says_what_it_replaces(tmp_path: Path) -> None:
    first = keep_plan(asdict(planned()), tmp_path)
    second = keep_plan(asdict(planned(baseline="dpo-0003")), tmp_path)
    assert second["replaces"] == {"written_at": first["written_at"], "differing": ["baseline", "questions"]}
    assert read_plan(tmp_path) == second


def test_there_is_no_plan_before_it_is_written(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None


def test_the_options_reach_the_trainer_without_the_key() -> None:
    options = GateOptions(Rule.sequential, "http://127.0.0.1:1/v1#m", budget=2.5, prices=(1.0, 2.0), key="secret")
    assert "secret" not in options.argument() and "secret" not in repr(options)
    assert GateOptions.parse(options.argument(), key="secret") == options
    assert json.loads(options.argument())["rule"] == "sequential"
