"""The whole loop in a real browser on real parts: the embedded starter, real processes, nothing scripted.

A person labels by one rule with clicks and keys; the run these labels trigger trains in its own process, its
checkpoint passes the gate and takes over while the page is open; the chat names it and the chart shows it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from served import ServedApp

from app.simulation import Simulation
from trainer.starter.rules import polite

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

LABELS = 100
RUN_MS = 480_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ServedApp]:
    app = ServedApp.start(tmp_path / "data", gate_prompts=150)
    yield app
    app.stop()


def shown(page: Page) -> tuple[str, str, str]:
    """The comparison's id and its two texts, once it may be chosen."""
    page.wait_for_selector(".compare[data-comparison]:not(.is-sending)")
    left, right = page.locator(".compare .side .text").all_inner_texts()
    return str(page.get_attribute(".compare", "data-comparison")), left, right


def label(page: Page, number: int) -> None:
    """Choose by the rule: every fourth time with the mouse, else with a key."""
    before, left, right = shown(page)
    likes = [polite([], text) for text in (left, right)]
    name, key = {
        (True, False): ("A is better", "1"),
        (False, True): ("B is better", "2"),
    }.get((likes[0], likes[1]), ("Tie", "3"))
    page.wait_for_timeout(350)  # a new pair takes no key in its first moment
    if number % 4 == 0:
        page.get_by_role("button", name=name).click()
    else:
        page.keyboard.press(key)
    page.wait_for_function("id => document.querySelector('.compare')?.dataset.comparison !== id", arg=before)


def test_labels_in_the_browser_become_a_better_served_model(app: ServedApp, visit: Any) -> None:
    measuring = Simulation(app.url)
    before = measuring.measure("served", polite, completions=300)
    app.call("PUT", "/api/v1/schedule", new_preferences=LABELS)
    page = visit(app).page
    for number in range(LABELS):
        label(page, number)

    page.goto(f"{app.url}/#train")
    expect(page.locator("#running")).to_contain_text("dpo-0001", timeout=60_000)
    expect(page.locator("#pill")).to_contain_text("serving dpo-0001", timeout=RUN_MS)
    expect(page.locator("#runs")).to_contain_text("promoted")

    after = measuring.measure("dpo-0001", polite, completions=300)
    assert after.share >= before.share + 0.20, (before, after)

    page.goto(f"{app.url}/#chat")
    page.get_by_label("Message").fill("How can I sleep better?")
    page.keyboard.press("Enter")
    expect(page.locator(".turn.assistant .by")).to_have_text("dpo-0001")

    page.goto(f"{app.url}/#win-rates")
    expect(page.locator("#win-rates-table")).to_contain_text("dpo-0001")
    expect(page.locator("#page-win-rates .errorbar")).not_to_have_count(0)
