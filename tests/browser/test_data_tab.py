"""The Data tab: what an import could not use is listed, texts are read whole, and a phone shows every column."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ROWS = """{"prompt": "What is red?", "chosen": "A colour.", "rejected": "No."}
not json
{"prompt": "What is blue?", "chosen": "A colour."}
{"prompt": "<img src=x onerror=window.hacked=1>", "chosen": "<b>bold</b>", "rejected": "No."}
"""


def test_an_import_lists_the_rows_it_skipped_with_their_reasons(lived: Any, visit: Any, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(ROWS)
    page = visit(lived, "data").page
    page.wait_for_selector("#preferences table")
    page.locator("#import-file input[type=file]").set_input_files(file)
    expect(page.locator("#import-report")).to_contain_text("2 added, 0 known already, 2 skipped of 4")
    expect(page.locator("#import-report li")).to_have_count(2)
    expect(page.locator("#import-report li").first).to_contain_text("line 2")
    expect(page.locator("#preferences tbody tr").first).to_contain_text("<b>bold</b>")
    assert page.evaluate("window.hacked") is None


def test_a_file_that_cannot_be_read_is_told_where_it_was_dropped(lived: Any, visit: Any, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(b"\x1f\x8b\x08 cut off")
    page = visit(lived, "data").page
    page.wait_for_selector("#preferences table")
    page.locator("#import-file input[type=file]").set_input_files(file)
    expect(page.locator("#import-report")).to_contain_text("rows.jsonl.gz was not imported")


def test_a_long_text_is_cut_until_it_is_asked_for(lived: Any, visit: Any) -> None:
    page = visit(lived, "data").page
    row = page.locator("#preferences tbody tr", has_text="A sentence that goes on").first
    text = row.locator(".text", has_text="A sentence that goes on")
    expect(text).to_be_visible()
    assert text.evaluate("e => e.scrollHeight > e.clientHeight")
    row.get_by_role("button", name="Whole texts").click()
    assert text.evaluate("e => e.scrollHeight <= e.clientHeight")
    row.get_by_role("button", name="Shorter").click()
    assert text.evaluate("e => e.scrollHeight > e.clientHeight")


def test_every_column_of_a_preference_is_in_sight_on_a_phone(lived: Any, visit: Any) -> None:
    page = visit(lived, "data", width=390, height=844).page
    row = page.locator("#preferences tbody tr").first
    expect(row).to_be_visible()
    right = row.locator("td").evaluate_all("cells => Math.max(...cells.map(c => c.getBoundingClientRect().right))")
    assert right <= 390
    assert row.locator("td").evaluate_all("cells => cells.map(c => getComputedStyle(c, '::before').content)") == [
        f'"{name}"' for name in ("Prompt", "A", "B", "Choice", "Who, when")
    ]
