"""Labelling by key and click: one press is one choice, stored as made, and nothing is told before it."""

import threading
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from rows import HOSTILE, LONG
from sqlmodel import select

from storage.database import Database
from storage.prompts import record_prompt
from storage.tables import Choice, Preference, Split, Strength

pytestmark = pytest.mark.browser


def choices(database: Database, *, standing: bool = True) -> list[Preference]:
    with database.read() as session:
        rows = list(session.exec(select(Preference).order_by(Preference.id)))  # type: ignore[arg-type]
    return [r for r in rows if r.withdrawn_at is None] if standing else rows


def pair(page: Page) -> str:
    """The id of the comparison shown, once it may be chosen."""
    page.wait_for_selector(".compare[data-comparison]:not(.is-sending)")
    page.wait_for_timeout(350)
    return str(page.get_attribute(".compare", "data-comparison"))


def press(page: Page, key: str) -> str:
    """Press a key and wait for the next comparison; its id."""
    before = pair(page)
    page.keyboard.press(key)
    page.wait_for_function("id => document.querySelector('.compare')?.dataset.comparison !== id", arg=before)
    return pair(page)


def test_each_key_records_its_choice(world: Any, visit: Any) -> None:
    page = visit(world).page
    for key in ("1", "2", "3", "4", "s", "ArrowLeft", "Shift+Digit2"):
        press(page, key)
    made = choices(world.database)
    assert [p.choice for p in made] == [
        Choice.left,
        Choice.right,
        Choice.tie,
        Choice.both_bad,
        Choice.skip,
        Choice.left,
        Choice.right,
    ]
    assert [p.strength for p in made] == [None] * 6 + [Strength.clearly]


def test_a_choice_is_acknowledged_before_the_server_answers(world: Any, visit: Any) -> None:
    page = visit(world).page
    pair(page)
    page.route("**/queue/join*", lambda route: None)  # the server never answers
    page.keyboard.press("1")
    expect(page.locator(".compare.is-sending[data-picked='left']")).to_be_visible(timeout=1000)


def test_a_double_press_and_a_double_click_record_one_choice_each(world: Any, visit: Any) -> None:
    page = visit(world).page
    before = pair(page)
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.wait_for_function("id => document.querySelector('.compare')?.dataset.comparison !== id", arg=before)
    assert len(choices(world.database)) == 1
    before = pair(page)
    page.get_by_role("button", name="B is better").dblclick()
    page.wait_for_function("id => document.querySelector('.compare')?.dataset.comparison !== id", arg=before)
    pair(page)
    assert [p.choice for p in choices(world.database)] == [Choice.left, Choice.right]


def test_keys_are_letters_while_a_person_types(world: Any, visit: Any) -> None:
    page = visit(world).page
    shown = pair(page)
    page.get_by_text("Compare on a prompt of your own").click()
    page.get_by_label("Your prompt").press_sequentially("1 2 s u r ?")
    page.keyboard.press("r")
    assert page.get_by_label("Your prompt").input_value() == "1 2 s u r ?r"
    assert pair(page) == shown and choices(world.database) == []


def test_a_choice_made_while_the_tab_is_read_anew_is_kept(world: Any, visit: Any) -> None:
    watched = visit(world)
    page, first = watched.page, pair(watched.page)
    labelling, answer = world.application.labelling, threading.Event()
    asked, listed = threading.Event(), labelling.next_comparison

    def slowly(**wanted: Any) -> Any:
        asked.set()
        answer.wait(20)
        return listed(**wanted)

    labelling.next_comparison = slowly
    page.evaluate("location.hash = '#train'")
    page.evaluate("location.hash = '#label'")
    while not asked.is_set():
        page.wait_for_timeout(20)
    page.keyboard.press("2")
    page.keyboard.press("1")  # the first press counts
    answer.set()
    page.wait_for_function("id => document.querySelector('.compare')?.dataset.comparison !== id", arg=first)
    pair(page)
    assert [p.choice for p in choices(world.database)] == [Choice.right]


def test_keys_with_modifiers_and_held_keys_choose_nothing(world: Any, visit: Any) -> None:
    page = visit(world).page
    shown = pair(page)
    for modifier in ("Control", "Alt", "Meta"):
        page.keyboard.press(f"{modifier}+s" if modifier == "Meta" else f"{modifier}+4")
    page.evaluate(
        "() => document.body.dispatchEvent("
        "new KeyboardEvent('keydown', {code: 'Digit1', key: '1', repeat: true, bubbles: true}))"
    )
    page.wait_for_timeout(500)
    assert pair(page) == shown and choices(world.database) == []


def test_undo_brings_the_comparison_back_and_withdraws_the_choice(world: Any, visit: Any) -> None:
    page = visit(world).page
    first = pair(page)
    second = press(page, "1")
    assert press(page, "u") == first
    assert choices(world.database) == []
    assert press(page, "2") == second
    assert [p.choice for p in choices(world.database)] == [Choice.right]
    assert len(choices(world.database, standing=False)) == 2


def test_a_reason_goes_with_the_choice(world: Any, visit: Any) -> None:
    page = visit(world).page
    pair(page)
    page.keyboard.press("r")
    page.keyboard.type("kinder, 1 of 2")
    page.keyboard.press("Enter")
    press(page, "1")
    assert [(p.choice, p.reason) for p in choices(world.database)] == [(Choice.left, "kinder, 1 of 2")]


def test_a_reload_shows_the_same_comparison(world: Any, visit: Any) -> None:
    page = visit(world).page
    shown = pair(page)
    page.reload()
    assert pair(page) == shown


def test_names_are_told_only_after_the_choice(world: Any, visit: Any) -> None:
    page = visit(world).page
    pair(page)
    assert "starter" not in page.inner_text("#label-view")
    press(page, "1")
    expect(page.locator(".reveal")).to_contain_text("Last choice: A was better. A: starter")
    assert "starter" not in page.inner_text(".compare")


def test_a_prompt_of_ones_own_gets_two_completions(world: Any, visit: Any) -> None:
    page = visit(world).page
    pair(page)
    page.get_by_text("Compare on a prompt of your own").click()
    page.get_by_label("Your prompt").fill("What is <b>bold</b>?")
    page.get_by_role("button", name="Write two completions").click()
    expect(page.locator(".compare .prompt")).to_contain_text("What is <b>bold</b>?")
    expect(page.locator(".compare .side .text")).to_have_count(2)


def test_an_empty_queue_is_told_and_filled_without_a_reload(serve: Any, visit: Any) -> None:
    world = serve(prompts=0)
    page = visit(world).page
    expect(page.get_by_role("heading", name="No prompts are left")).to_be_visible()


def test_a_cold_queue_goes_on_by_itself(serve: Any, visit: Any) -> None:
    world = serve()
    world.engine.pause_s = 0.4
    page = visit(world).page
    expect(page.locator(".compare, .state h2").first).to_be_visible()
    expect(page.locator(".compare[data-comparison]")).to_be_visible(timeout=20_000)


def test_hostile_completions_are_shown_as_text(serve: Any, visit: Any) -> None:
    world = serve()
    world.engine.texts = [HOSTILE, HOSTILE + " two"] * 20
    watched = visit(world)
    pair(watched.page)
    expect(watched.page.locator(".side.a .text")).to_contain_text('onerror="window.hacked=1"')
    assert watched.page.locator(".compare img, .compare script, .compare svg, .compare form").count() == 0
    assert watched.page.evaluate("window.hacked") is None and watched.strays == []


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["wide", "phone"])
def test_the_buttons_are_where_they_were_whatever_the_length_of_the_texts(
    serve: Any, visit: Any, size: tuple[int, int]
) -> None:
    world = serve()
    world.engine.texts = ["Short.", "Shorter", LONG, "Brief.", "Tiny.", LONG + " two"] * 8
    page = visit(world, width=size[0], height=size[1]).page
    tops, heights = set(), set()
    for _ in range(4):
        pair(page)
        box = page.get_by_role("button", name="A is better").bounding_box()
        assert box is not None and box["y"] + box["height"] <= size[1]
        tops.add(box["y"])
        heights |= {card["height"] for card in (s.bounding_box() for s in page.locator(".side").all()) if card}
        press(page, "1")
    assert len(tops) == 1 and len(heights) == 1


def test_a_long_conversation_shows_its_last_turn(serve: Any, visit: Any) -> None:
    world = serve(prompts=0)
    turns = [{"role": ("user", "assistant")[n % 2], "content": f"Turn {n} of a long talk.\n" * 6} for n in range(9)]
    with world.database.write() as session:
        record_prompt(session, messages=turns, source="test", split=Split.train)
    page = visit(world).page
    pair(page)
    expect(page.locator(".compare .prompt")).to_contain_text("Turn 8")
    assert page.locator(".compare .prompt").evaluate("p => p.scrollTop + p.clientHeight >= p.scrollHeight - 1")


def test_asking_for_two_completions_is_acknowledged_while_they_are_written(world: Any, visit: Any) -> None:
    page = visit(world).page
    pair(page)
    page.wait_for_timeout(1500)
    world.engine.pause_s = 0.2
    page.get_by_text("Compare on a prompt of your own").click()
    page.get_by_label("Your prompt").fill("What is bold?")
    page.get_by_role("button", name="Write two completions").click()
    expect(page.get_by_text("The model is writing; the pair appears above.")).to_be_visible(timeout=1000)
    expect(page.locator(".compare.is-sending")).to_be_visible(timeout=1000)
    expect(page.locator(".compare .prompt")).to_contain_text("What is bold?")
    expect(page.get_by_text("The model is writing; the pair appears above.")).to_be_hidden()
    expect(page.locator(".compare.is-sending")).to_have_count(0)
