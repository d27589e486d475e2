"""The Train tab: a run's page stands alone, and a value that cannot be used is told where it was typed."""

from dataclasses import asdict
from typing import Any

import pytest
from playwright.sync_api import expect

from trainer.evaluation.samples import HeldoutPrompt
from trainer.gate_options import Rule
from trainer.gate_plan import PlannedJudge, plan_gate
from trainer.plan_file import keep_plan
from trainer.score_file import PREFERENCE, keep_scores

pytestmark = pytest.mark.browser


def test_a_run_has_a_page_of_its_own_and_a_way_back(lived: Any, visit: Any) -> None:
    page = visit(lived, "train").page
    page.locator("#runs a", has_text="dpo-0002").click()
    expect(page.locator("#run-detail-text")).to_contain_text("Gate: refused")
    expect(page.locator("#runs")).to_be_hidden()
    expect(page.locator("#next-run")).to_be_hidden()
    page.get_by_role("link", name="All runs").click()
    expect(page.locator("#runs")).to_be_visible()
    expect(page.locator("#run-detail")).to_be_hidden()


def test_the_page_of_the_running_run_tells_its_progress_and_stops_it(lived: Any, visit: Any) -> None:
    page = visit(lived, "train/dpo-0005").page
    expect(page.locator("#run-detail-text")).to_contain_text("step 72 of 100")
    page.locator("#run-detail").get_by_role("button", name="Stop").click()
    expect(page.locator("#run-detail-text")).to_contain_text("saving and stopping")
    assert lived.application.runs.get("dpo-0005").run.cancel_requested


def test_the_evidence_of_a_gate_at_work_is_drawn_and_grows_with_every_look(lived: Any, visit: Any) -> None:
    folder = lived.application.settings.data_dir / "runs" / "dpo-0005"
    prompts = [HeldoutPrompt(n, [{"role": "user", "content": f"{n}?"}]) for n in range(300)]
    nobody = PlannedJudge("", "", "", "", "", 0, False, "No judge looked at quality.")
    given: dict[str, Any] = {"prompts": prompts, "samples": 4, "pairs": 40, "rule": Rule.sequential, "judge": nobody}
    keep_plan(asdict(plan_gate(candidate="dpo-0005", baseline="dpo-0003", **given)), folder)
    page = visit(lived, "train/dpo-0005", width=390, height=844).page
    expect(page.locator("#run-detail-text")).to_contain_text("The plan")
    expect(page.locator("#gate-chart .js-line")).to_have_count(0)
    keep_scores({PREFERENCE: [1.0, 0.0] * 25}, folder)
    expect(page.locator("#gate-told")).to_contain_text("Evidence after 50 of at most 300 prompts")
    expect(page.locator("#gate-chart .scatterlayer .js-line")).to_have_count(2)
    keep_scores({PREFERENCE: [1.0, 0.0] * 50}, folder)
    expect(page.locator("#gate-told")).to_contain_text("Evidence after 100 of at most 300 prompts")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_that_does_not_exist_is_told_in_its_place_and_only_there(lived: Any, visit: Any) -> None:
    page = visit(lived, "train/dpo-9999").page
    expect(page.locator("#run-detail-text")).to_contain_text("There is no run dpo-9999")
    page.wait_for_timeout(3000)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_each_bad_value_is_told_at_its_field_and_stays_to_be_mended(lived: Any, visit: Any) -> None:
    page = visit(lived, "train").page
    page.get_by_label("Epochs").fill("0")
    page.get_by_label("β (beta)").fill("much")
    page.get_by_label("Learning rate").fill("0.0005")
    page.get_by_role("button", name="Train now").click()
    expect(page.locator(".field", has=page.get_by_label("Epochs")).locator(".wrong")).to_contain_text("'0' was given")
    expect(page.locator(".field", has=page.get_by_label("β (beta)")).locator(".wrong")).to_contain_text("'much'")
    expect(page.get_by_label("Learning rate")).to_have_value("0.0005")
    expect(page.get_by_label("β (beta)")).to_be_focused()
    page.get_by_label("Epochs").fill("2")
    page.get_by_label("β (beta)").fill("0.2")
    page.get_by_role("button", name="Train now").click()
    expect(page.locator("#runs")).to_contain_text("dpo-0006")
    expect(page.locator("#next-run .wrong")).to_have_count(0)
    assert lived.application.runs.get("dpo-0006").run.config["learning_rate"] == 0.0005
