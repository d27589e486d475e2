"""The gate on a run's page: its plan, what decided, what was seen besides, and a roll back by itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.ui.html import render
from app.ui.plan_facts import plan_facts
from storage.tables import Deployment, DeploymentReason, GateDecisionRow, Outcome
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


def page(**shown: Any) -> str:
    run = {"id": "dpo-0001", "outcome": "promoted", "active": False, "waits": False, "because": "by ana", "at": None}
    run |= {"elapsed_s": None, "error": None, "checkpoint_id": "dpo-0001"}
    given: dict[str, Any] = {"decision": None, "plan": [], "rolled_back": None, "passed": True, "can_promote": False}
    return render("detail.html", run=run, facts=[], config=[], lines=[], **{**given, **shown})


def decided(deciding: int) -> GateDecisionRow:
    return GateDecisionRow(
        run_id="dpo-0001",
        checkpoint_id="dpo-0001",
        baseline_id="initial",
        outcome=Outcome.promote,
        reasons=["All 11 guards hold.", "By the judge its lowest tag is <b>sums</b>."],
        guards=[],
        figures={"deciding": deciding},
    )


def test_the_page_tells_what_decided_from_what_was_seen_besides(tmp_path: Path) -> None:
    html = page(decision=decided(1), plan=list(facts(tmp_path).items()))
    first, second = html.split("Seen besides")
    assert "All 11 guards hold." in first and "lowest tag" not in first
    assert "&lt;b&gt;sums&lt;/b&gt;" in second and "(b) Does the preference model prefer" in second


def test_a_decision_of_before_has_deciding_reasons_only() -> None:
    assert "Seen besides" not in page(decision=decided(2)) and "The plan" not in page(decision=decided(2))


def test_the_page_says_that_people_rolled_it_back() -> None:
    note = "People prefer initial: dpo-0001 scores 0% on 15 evaluation prompts."
    html = page(rolled_back=Deployment(checkpoint_id="initial", reason=DeploymentReason.canary, note=note))
    assert "Rolled back by itself" in html and note in html
