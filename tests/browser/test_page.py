"""The page as a whole: every tab with hostile rows, light and dark, wide and narrow, and what axe finds."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

READY = {
    "overview": "#page-overview .js-plotly-plot .point",
    "label": ".compare[data-comparison]",
    "chat": "#chat-view .state, #chat-view .log",
    "train": "#runs li",
    "train/dpo-0002": "#run-detail-text table",
    "win-rates": "#win-rates-table table",
    "win-rates/1": "#verdicts .verdict",
    "data": "#preferences table",
    "settings": "#started table",
}
KNOWN = ("favicon", "manifest.json")


def go(page: Page, tab: str) -> None:
    page.evaluate("tab => { location.hash = tab }", tab)
    page.wait_for_selector(READY[tab])
    page.wait_for_timeout(700)


def test_hostile_text_is_inert_in_every_tab(lived: Any, visit: Any) -> None:
    watched = visit(lived, "overview")
    for tab in READY:
        go(watched.page, tab)
        assert watched.page.evaluate("window.hacked") is None, tab
        assert watched.page.locator("main img[src^='http'], main iframe, main form[action^='http']").count() == 0, tab
    assert watched.strays == [] and watched.dialogs == []
    console = [line for line in watched.console if not any(known in line for known in KNOWN)]
    assert console == []


def test_nothing_scrolls_sideways_on_a_phone(lived: Any, visit: Any) -> None:
    page = visit(lived, "overview", width=390, height=844).page
    wide = {}
    for tab in READY:
        go(page, tab)
        wide[tab] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert set(wide.values()) == {0}, wide


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(lived: Any, visit: Any, dark: bool) -> None:
    page = visit(lived, "overview", dark=dark).page
    found = []
    options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}, "resultTypes": ["violations"]}
    for tab in ("overview", "label", "train", "train/dpo-0002", "chat", "win-rates", "data", "settings"):
        go(page, tab)
        for violation in Axe().run(page, options=options).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = [node["html"][:160] for node in violation["nodes"][:3]]
                found.append((tab, violation["id"], where))
    assert found == []


def test_every_tab_is_reached_by_keyboard_and_by_address(lived: Any, visit: Any) -> None:
    page = visit(lived, "settings").page
    expect(page.locator("#page-settings")).to_be_visible()
    expect(page.locator("#page-label")).to_be_hidden()
    page.get_by_role("link", name="Label", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-label .compare")).to_be_visible()
    expect(page.get_by_role("link", name="Label", exact=True)).to_have_attribute("aria-current", "page")


def test_the_running_run_is_shown_with_its_charts_and_can_be_stopped(lived: Any, visit: Any) -> None:
    watched = visit(lived, "train")
    page = watched.page
    expect(page.locator("#running")).to_contain_text("step 72 of 100")
    expect(page.locator("#page-train .js-plotly-plot").first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#running")).to_contain_text("saving and stopping")
    assert lived.application.runs.get("dpo-0005").run.cancel_requested


def test_a_typed_setting_survives_the_refreshes_and_reaches_the_run(lived: Any, visit: Any) -> None:
    page = visit(lived, "train").page
    page.get_by_label("β (beta)").fill("0.25")
    page.wait_for_timeout(3000)
    page.get_by_role("button", name="Train now").click()
    expect(page.locator("#runs")).to_contain_text("dpo-0006")
    assert lived.application.runs.get("dpo-0006").run.config["beta"] == 0.25


def test_a_setting_out_of_bounds_is_told_with_its_value(lived: Any, visit: Any) -> None:
    page = visit(lived, "train").page
    page.get_by_label("Epochs").fill("-3<img src=x>")
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_text("-3<img src=x>").first).to_be_visible()
    assert page.locator(".toast-wrap img, .toast-body img").count() == 0


def test_a_refused_checkpoint_is_promoted_only_after_a_question(lived: Any, visit: Any) -> None:
    watched = visit(lived, "train/dpo-0002")
    watched.page.get_by_role("button", name="Promote anyway").click()
    expect(watched.page.locator("#ledger li").first).to_contain_text("override")
    assert "recorded as your override" in watched.dialogs[0]


def test_the_chart_has_a_circle_per_judged_checkpoint_with_its_interval(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates").page
    expect(page.locator("#page-win-rates .errorbar")).to_have_count(3)
    expect(page.locator("#win-rates-table")).to_contain_text("dpo-0003")
