"""The gate's plan on a run's page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.ui.plan_facts import plan_facts
from trainer.evaluation.samples import HeldoutPrompt
from trainer.gate_options import Rule
from trainer.gate_plan import PlannedJudge, plan_gate
from trainer.plan_file import keep_plan

JUDGE = PlannedJudge(
    "local:j:word:quality", "local", "0123456789abcdef", "quality", "fedcba98" * 8, 1, False, "Kappa 0.2."
)
NOBODY = PlannedJudge("", "", "", "", "", 0, False, "No judge looked at quality: none is named (PREFLOOP_GATE_JUDGE).")


def facts(
    folder: Path, rule: Rule = Rule.fixed, judge: PlannedJudge = NOBODY, baseline: str = "initial"
) -> dict[str, str]:
    prompts = [HeldoutPrompt(n, [{"role": "user", "content": f"Q{n}?"}]) for n in range(150)]
    given: dict[str, Any] = {"prompts": prompts, "samples": 4, "pairs": 42, "rule": rule, "judge": judge}
    return dict(plan_facts(keep_plan(asdict(plan_gate(candidate="dpo-0001", baseline=baseline, **given)), folder)))


def test_it_says_who_is_asked_what_and_by_which_rule(tmp_path: Path) -> None:
    told = facts(tmp_path)
    assert told["Question 3"] == "(b) Does the preference model prefer dpo-0001 to initial on held-out prompts?"
    assert told["Rule"] == "fixed: one look, at 95% intervals"
    assert told["Prompts"].startswith("150 held-out ones, 4 samples a side; 42 decided pairs.")
    assert "takes 194; these find one of 61" in told["Prompts"]
    assert "none is named" in told["Judge"] and told["Written"].endswith("before the first sample")


def test_the_judge_is_named_with_its_rubric_and_how_it_stands_with_people(tmp_path: Path) -> None:
    told = facts(tmp_path, Rule.sequential, JUDGE)
    assert told["Judge"].startswith("local:j:word:quality, revision 0123456789ab, rubric quality fedcba98; ")
    assert told["Judge"].endswith("sees the first sample a side. Kappa 0.2.")
    assert "20 to 1" in told["Rule"] and told["Prompts"].startswith("at most 150")


def test_a_plan_that_replaces_another_says_so(tmp_path: Path) -> None:
    facts(tmp_path)
    assert "differed in baseline, questions" in facts(tmp_path, baseline="dpo-0000")["Replaces"]
