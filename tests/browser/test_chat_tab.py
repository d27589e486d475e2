"""Chat: replies stream, can be stopped, say who wrote them, and take feedback."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from rows import HOSTILE
from sqlmodel import select

from storage.tables import Completion, Feedback

pytestmark = pytest.mark.browser

LONG_REPLY = " ".join(f"word{n}" for n in range(400))


def say(page: Page, text: str) -> None:
    page.wait_for_selector("body:not(.is-replying)")
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def settle(page: Page) -> None:
    page.wait_for_selector("#chat-view .state, #chat-view .log")


def test_a_reply_streams_and_stop_keeps_what_came(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    page.wait_for_timeout(1500)  # the comparisons are made; the script's next text is the reply
    world.engine.pause_s, world.engine.texts = 0.05, [LONG_REPLY]
    say(page, "Count.")
    expect(page.locator("#chat-live .text")).to_contain_text("word9")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#chat-view .turn.assistant")).to_contain_text("word9")
    expect(page.locator("#chat-live .text")).to_have_count(0)
    with world.database.read() as session:
        stored = session.exec(select(Completion).where(Completion.finish_reason == "cancelled")).one()
    assert stored.text.startswith("word0 word1") and "word399" not in stored.text


def test_an_empty_conversation_offers_questions_and_a_click_asks_one(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    opener = page.locator("#chat-view .openers button").first
    text = opener.inner_text()
    opener.click()
    expect(page.locator("#chat-view .turn.user .text")).to_have_text(text)
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)
    expect(page.locator("#chat-view .openers")).to_have_count(0)


def test_replies_name_their_checkpoint_and_a_takeover_is_a_line(serve: Any, visit: Any) -> None:
    world = serve(history=True)
    page = visit(world, "chat").page
    settle(page)
    say(page, "Hello")
    expect(page.locator(".turn.assistant .by")).to_have_text("dpo-0003")
    world.application.promotion.roll_back(by="test")
    say(page, "Again")
    expect(page.locator(".takeover")).to_have_text("dpo-0001 took over")


def test_a_hostile_reply_and_message_are_text(world: Any, visit: Any) -> None:
    watched = visit(world, "chat")
    page = watched.page
    settle(page)
    page.wait_for_timeout(1500)
    world.engine.texts = [HOSTILE]
    say(page, HOSTILE)
    expect(page.locator(".turn.assistant .text")).to_contain_text("<svg onload=window.hacked=1>")
    assert page.locator("#chat-view :is(img, svg, script, iframe, .text a)").count() == 0
    assert page.evaluate("window.hacked") is None and watched.strays == []


def test_thumbs_and_a_better_reply_are_stored(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    say(page, "Hello")
    page.get_by_role("button", name="Good reply").click()
    expect(page.get_by_role("button", name="Good reply")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("A better reply").fill("A kinder hello.")
    page.get_by_role("button", name="Save as the better reply").click()
    expect(page.get_by_text("Saved. It trains as chosen").first).to_be_visible(timeout=15_000)
    with world.database.read() as session:
        kept = list(session.exec(select(Feedback)))
    assert {(f.thumb, f.edited_text) for f in kept} == {("up", None), (None, "A kinder hello.")}


def test_regenerate_replaces_the_last_reply(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    say(page, "Hello")
    first = page.locator(".turn.assistant:not(.live) .text").inner_text()
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator("#chat-view .turn.assistant .text")).not_to_have_text(first)
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)


def test_a_reload_keeps_the_conversation(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    say(page, "Remember me")
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)
    page.reload()
    expect(page.locator("#chat-view .turn.user .text")).to_have_text("Remember me")


def test_a_message_sent_before_the_page_is_up_stands_when_the_late_answer_comes(world: Any, visit: Any) -> None:
    chat = world.application.chat
    listed, late = chat.conversations, [1.5, 0.0]

    def slowly(*, labeller_id: str) -> Any:
        time.sleep(late.pop(0) if late else 0)
        return listed(labeller_id=labeller_id)

    chat.conversations = slowly
    page = visit(world, "chat").page
    page.wait_for_selector("#chat-composer textarea")
    say(page, "I could not wait")
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)
    page.wait_for_timeout(2000)
    expect(page.locator("#chat-view .turn.user .text")).to_have_text("I could not wait")
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)


def test_the_newest_words_stay_in_sight_and_the_message_box_too(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    page.wait_for_timeout(1500)
    for number in range(6):
        world.engine.texts = [f"Number {number}. " + "A long reply that fills the card. " * 12]
        say(page, f"Go on {number}")
        expect(page.locator("#chat-view .turn.assistant")).to_have_count(number + 1)
    world.engine.pause_s, world.engine.texts = 0.02, [LONG_REPLY]
    say(page, "Count.")
    expect(page.locator("#chat-live .text")).to_contain_text("word30")
    expect(page.locator("#chat-live .caret")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("link", name="Chat", exact=True)).to_be_in_viewport()


def test_another_conversation_opened_during_a_reply_stays_open(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    page.wait_for_timeout(1500)
    say(page, "The first talk")
    expect(page.locator("#chat-view .turn.assistant")).to_have_count(1)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat-view .state")).to_be_visible()
    world.engine.pause_s, world.engine.texts = 0.05, [LONG_REPLY]
    say(page, "The second talk")
    expect(page.locator("#chat-live .text")).to_contain_text("word9")
    page.locator(".entry", has_text="The first talk").click()
    expect(page.locator("#chat-view .turn.user .text")).to_have_text("The first talk")
    page.wait_for_timeout(1500)
    expect(page.locator("#chat-view .turn.user .text")).to_have_text("The first talk", timeout=100)
    expect(page.locator("#chat-live .text")).to_have_count(0, timeout=100)


def test_a_message_that_was_not_taken_is_given_back(world: Any, visit: Any) -> None:
    page = visit(world, "chat").page
    settle(page)
    page.wait_for_timeout(500)
    world.application.slot.current_id = None
    say(page, "Do not lose me")
    expect(page.get_by_text("still loading").first).to_be_visible()
    expect(page.get_by_label("Message")).to_have_value("Do not lose me")
