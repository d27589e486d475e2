"""The Train tab: a run's page stands alone, and a value that cannot be used is told where it was typed."""

from typing import Any

import pytest
from playwright.sync_api import expect

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
