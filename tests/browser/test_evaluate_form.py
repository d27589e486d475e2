"""A judge asked by clicks: the estimate before, the progress, the stop, and the point on the chart at the end."""

from pathlib import Path
from typing import Any

import pytest
from judged_project import CANDIDATE, record_judged_project, save_judge
from playwright.sync_api import expect

from storage.tables import RunStatus

pytestmark = pytest.mark.browser
PROCESS_MS = 120_000  # a process of its own loads torch


@pytest.fixture
def judged(serve: Any, tiny_model_dir: Path, tmp_path: Path) -> Any:
    """An app with two checkpoints that write and a small judge; evaluations run in real processes."""
    save_judge(tiny_model_dir, tmp_path / "judge")
    return serve(
        rows=lambda database, data_dir: record_judged_project(database, data_dir, tiny_model_dir),
        model=str(tiny_model_dir),
        judges=f"small judge={tmp_path / 'judge'}",
    )


def test_an_evaluation_is_started_by_a_click_and_followed_to_its_point_on_the_chart(judged: Any, visit: Any) -> None:
    watched = visit(judged, "win-rates")
    page, plan = watched.page, watched.page.locator("#evaluate-plan")
    expect(plan).to_contain_text("8 prompts, at most 8 calls")
    expect(plan).to_contain_text("costs nothing")
    prompts = page.locator("#evaluate-form").get_by_label("Prompts")
    prompts.fill("4")
    expect(plan).to_contain_text("4 prompts were asked for")
    expect(plan.get_by_role("button")).to_have_count(0)
    prompts.fill("8")
    plan.get_by_role("button", name="Judge 8 prompts").click()
    state = page.locator("#evaluations li").first
    expect(state).to_contain_text(f"{CANDIDATE} against tiny")
    expect(page.locator("#evaluation-progress").get_by_role("progressbar")).to_be_visible(timeout=PROCESS_MS)
    expect(state).to_contain_text("succeeded", timeout=PROCESS_MS)
    expect(state).to_contain_text("Win rate")
    expect(state).to_contain_text("0 invalid")
    state.get_by_role("button", name="On the chart").click()
    expect(page.locator("#page-win-rates .scatterlayer .trace:nth-child(1) .point")).to_have_count(1)
    expect(page.locator("#win-rates-table")).to_contain_text("small judge")
    state.get_by_role("link", name="Read the texts").click()
    expect(page.locator("#verdicts h2")).to_contain_text(f"{CANDIDATE} against tiny")
    assert watched.console == []


def test_an_evaluation_is_stopped_from_the_keyboard(judged: Any, visit: Any) -> None:
    page = visit(judged, "win-rates").page
    page.locator("#evaluate-plan").get_by_role("button", name="Judge 8 prompts").press("Enter")
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.locator("#evaluations li").first).to_contain_text("cancelled", timeout=PROCESS_MS)
    assert judged.application.evaluations.get(1).evaluation.status is RunStatus.cancelled


def test_two_equal_sides_are_refused_before_anything_is_started(judged: Any, visit: Any) -> None:
    page = visit(judged, "win-rates", width=390, height=844).page
    page.locator("#evaluate-form").get_by_label("Candidate").select_option("initial")
    expect(page.locator("#evaluate-plan")).to_contain_text("compared with itself")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_a_judge_people_can_be_asked_and_the_form_says_where_to_get_one(
    lived: Any, visit: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.judges.JUDGE_WEIGHTS", Path("/no/such/folder"))
    page = visit(lived, "win-rates").page
    expect(page.locator("#evaluate-form")).to_contain_text("PREFLOOP_JUDGES")
    expect(page.locator("#evaluate-form").get_by_label("Judge").locator("option")).to_have_text(["people"])
    expect(page.locator("#evaluate-plan").get_by_role("button")).to_contain_text("Ask people about")


def test_people_are_asked_by_a_click_choose_on_the_label_page_and_become_a_point(judged: Any, visit: Any) -> None:
    watched = visit(judged, "win-rates")
    page, plan = watched.page, watched.page.locator("#evaluate-plan")
    page.locator("#evaluate-form").get_by_label("Judge").select_option("people")
    expect(plan).to_contain_text("8 choices are asked for")
    plan.get_by_role("button", name="Ask people about 8 prompts").click()
    state = page.locator("#evaluations li").first
    expect(state).to_contain_text("0 of 8 chosen", timeout=PROCESS_MS)
    page.goto(f"{judged.url}/#label")
    for _ in range(12):  # six were waiting; then one in five is of the evaluation
        page.wait_for_selector(".compare[data-comparison]:not(.is-sending)")
        page.wait_for_timeout(350)
        before = page.get_attribute(".compare", "data-comparison")
        page.keyboard.press("1")
        changed = "id => document.querySelector('.compare')?.dataset.comparison !== id"
        page.wait_for_function(changed, arg=before, timeout=PROCESS_MS)
    page.goto(f"{judged.url}/#win-rates")
    expect(state).to_contain_text("with people")
    expect(state.locator("b").nth(1)).to_have_text("2")
    state.get_by_role("button", name="On the chart").click()
    expect(page.locator("#win-rates-table")).to_contain_text("people")
    expect(page.locator("#page-win-rates .scatterlayer .trace:nth-child(2) .point")).to_have_count(1)
    state.get_by_role("button", name="Stop").click()
    expect(state).to_contain_text("The others were withdrawn")
    assert watched.console == []


def test_a_project_with_nothing_to_compare_is_told_so_without_an_error(world: Any, visit: Any) -> None:
    page = visit(world, "win-rates").page
    expect(page.locator("#evaluate-plan")).to_contain_text("only the initial model so far")
    expect(page.locator("#evaluate-plan .wrong")).to_have_count(0)
