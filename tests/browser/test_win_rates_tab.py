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
