"""Rubrics in the browser: read, mended by what is told, saved, chosen for a judge; and another model's outputs held
against a checkpoint. Texts of prompts are hostile."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from storage.prompts import list_prompts
from storage.tables import Evaluation, RunStatus, Split
from trainer.evaluation.judges.rubric_shelf import PACKAGED, RubricShelf

pytestmark = pytest.mark.browser

GOOD = (PACKAGED / "helpful.toml").read_text()


@pytest.fixture
def judged(serve: Any) -> Any:
    """A project with a past and a judge that goes by a rubric; nothing answers at its address."""
    return serve(history=True, judges="big=http://127.0.0.1:9/v1#m")


def test_a_rubric_is_mended_by_the_lines_that_are_told_and_saved(judged: Any, visit: Any) -> None:
    watched = visit(judged, "settings")
    page, checked = watched.page, watched.page.locator("#rubric-check")
    page.locator("#rubrics").get_by_role("link", name="helpful").click()
    text = page.locator("#rubric-source")
    expect(text).to_have_value(GOOD)
    expect(checked).to_contain_text("You compare two texts")
    text.fill(GOOD.replace("ties = true", "ties = 1").replace("{{second}}", ""))
    expect(checked).to_contain_text("Line 5: ties is 1. Give true or false.")
    checked.get_by_role("button", name="Line 5").click()
    picked = text.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert picked.startswith("ties = 1") and "\n" not in picked
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast-wrap")).to_contain_text("It is not saved")
    text.fill(GOOD.replace("This counts most.", "This <b>counts</b>."))
    expect(checked).to_contain_text("This <b>counts</b>.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rubric-head")).to_contain_text("yours")
    expect(page.locator("#rubric-head")).to_contain_text("Versions (2)")
    saved = RubricShelf(judged.application.settings.data_dir).find("helpful")
    assert saved.origin == "project" and "This <b>counts</b>." in saved.text
    page.locator("#rubric-head summary").click()
    page.locator("#rubric-head details a").last.click()
    expect(page.locator("#rubric-head")).to_contain_text("earlier version")
    expect(text).to_have_value(GOOD)
    assert page.evaluate("window.hacked") is None and watched.console == []


def test_the_preview_shows_hostile_texts_as_they_are_and_fits_a_phone(judged: Any, visit: Any) -> None:
    with judged.database.write() as session:
        for prompt in list_prompts(session, split=Split.heldout):
            if "<script>" not in prompt.messages[0]["content"]:
                prompt.split = Split.train  # the sample is the first held-out one
                session.add(prompt)
    watched = visit(judged, "settings/correct", width=390, height=844)
    page = watched.page
    page.locator("#rubric-source").fill(GOOD)
    expect(page.locator("#rubric-check")).to_contain_text("<script>window.hacked=1</script>")
    assert page.evaluate("window.hacked") is None and watched.strays == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_people_who_edit_the_same_rubric_do_not_overwrite_each_other(judged: Any, visit: Any) -> None:
    page = visit(judged, "settings/quality").page
    expect(page.locator("#rubric-check")).to_contain_text("What a judge would get")
    other = judged.application.rubrics.save(
        (PACKAGED / "quality.toml").read_text().replace("This counts most.", "This counts.")
    )[0]
    page.locator("#rubric-source").fill((PACKAGED / "quality.toml").read_text().replace("counts most", "is all"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast-wrap")).to_contain_text("another than the one you edited")
    assert judged.application.rubrics.get("quality").digest == other.digest


def test_a_rubric_is_chosen_for_a_judge_and_its_verdicts_lead_to_it(judged: Any, visit: Any) -> None:
    mine = judged.application.rubrics.save(GOOD.replace('"helpful"', '"mine"'))[0]
    config = {"asked": {"judge": "big"}, "rubric": {"name": "mine", "digest": mine.digest}}
    with judged.database.write() as session:
        first = session.get_one(Evaluation, 1)
        done = Evaluation(
            candidate_id="dpo-0001",
            baseline="initial",
            judge_id=first.judge_id,
            status=RunStatus.succeeded,
            config=config,
        )
        session.add(done)
        session.flush()
        number = done.id
    page = visit(judged, "win-rates").page
    page.locator("#evaluate-form").get_by_label("Judge").select_option("big")
    page.locator("#evaluate-form").get_by_label("Rubric").select_option("mine")
    expect(page.locator("#evaluate-plan")).to_contain_text(f"goes by the rubric mine {mine.digest[:8]}")
    expect(page.locator("#evaluations")).to_contain_text(f"rubric mine {mine.digest[:8]}")
    page.goto(f"{judged.url}/#win-rates/{number}")
    page.locator("#verdicts").get_by_role("link", name=f"mine {mine.digest[:8]}").click()
    expect(page.locator("#rubric-source")).to_have_value(GOOD.replace('"helpful"', '"mine"'))


def test_outputs_dropped_in_the_data_tab_are_a_baseline(judged: Any, visit: Any, tmp_path: Path) -> None:
    with judged.database.read() as session:
        asked = [prompt.messages[0]["content"] for prompt in list_prompts(session, split=Split.heldout)]
    rows = [
        {"instruction": text, "output": "Yes.", "generator": "<b>gpt</b>"} for text in [*asked, "Nobody asked this."]
    ]
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(rows, indent=1))
    page = visit(judged, "data").page
    page.wait_for_selector("#preferences table")
    page.locator("#import-format input").click()
    page.get_by_role("option", name="alpaca-eval").click()
    page.locator("#import-file input[type=file]").set_input_files(file)
    report = page.locator("#import-report")
    expect(report).to_contain_text(f"{len(asked)} added, 0 known already, 1 skipped of {len(rows)}")
    expect(report).to_contain_text(f"line {2 + 5 * len(asked)}: no held-out prompt has the instruction")
    expect(report).to_contain_text(f"<b>gpt</b> has texts for {len(asked)} held-out prompts")
    report.get_by_role("link", name="Win rates").click()
    page.locator("#evaluate-form").get_by_label("Against").select_option("outside:<b>gpt</b>")
    expect(page.locator("#evaluate-plan").get_by_role("button")).to_contain_text(f"Judge {len(asked)} prompts")
