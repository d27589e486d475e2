"""The Win rates tab: from a point of the chart to the texts behind it."""

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_click_on_a_point_shows_the_texts_behind_it(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates").page
    point = page.locator("#page-win-rates .scatterlayer .point").last
    expect(point).to_be_visible()
    page.wait_for_timeout(800)  # the chart takes the width of its card
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    expect(page.locator("#page-win-rates .hoverlayer .hovertext")).to_contain_text("click for the texts")
    page.mouse.click(x, y)
    expect(page.locator("#verdicts h2")).to_contain_text("dpo-0003 against starter")
    expect(point).to_be_hidden()
    page.get_by_role("link", name="All win rates").click()
    expect(point).to_be_visible()


def test_an_evaluation_that_does_not_exist_is_told_in_its_place(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates/999").page
    expect(page.locator("#verdicts")).to_contain_text("There is no evaluation 999")


def test_a_verdict_can_be_disagreed_with_and_is_then_among_the_disputed(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates/1").page
    first = page.locator("#verdicts .verdict").first
    first.get_by_role("button", name="Disagree").click()
    expect(first.get_by_role("button", name="Disagree")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Show").select_option("where judge and people disagree")
    expect(page.locator("#verdicts .verdict")).to_have_count(1)
    page.goto(f"{lived.url}/#win-rates/agreement")
    expect(page.locator("#verdicts")).to_contain_text("people who read its verdicts")


def test_a_refresh_keeps_what_the_selectors_say(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates").page
    page.locator("#against").select_option("the one served before it")
    expect(page.locator("#win-rates-head")).to_contain_text("that needs two promotions")
    # coming back refreshes the tab
    page.evaluate("location.hash = 'data'; setTimeout(() => { location.hash = 'win-rates' }, 300)")
    page.wait_for_timeout(2500)
    expect(page.locator("#against")).to_have_value("previous")
    expect(page.locator("#win-rates-head")).to_contain_text("that needs two promotions")


def test_the_leaderboard_ranks_and_the_matrix_tells_a_pair_on_hover(lived: Any, visit: Any) -> None:
    page = visit(lived, "win-rates").page
    expect(page.locator("#leaderboard tbody tr").first).to_contain_text("dpo-0003")
    cell = page.locator("#leaderboard .matrix td[title='dpo-0003 against starter: 75% of 40 prompts']")
    expect(cell).to_contain_text("75")
