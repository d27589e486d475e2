"""Chat: a reply that fails loses nothing, one reply at a time, and no one's database keeps the others waiting."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.chat import Chat
from app.serving.ticket import Ticket
from storage.checkpoints import record_project
from storage.database import Database
from storage.errors import Conflict, Unavailable
from storage.prompts import record_prompt
from storage.tables import Split
from trainer.decoding import RowUpdate
from trainer.sampling import Generated, Sampling

ME = "ana"


@dataclass
class OneWordEngine:
    """Replies with one word at once, or not before `finish` where it is slow; `busy` turns everybody away."""

    busy: bool = False
    slow: bool = False
    asked: list[Any] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)

    def submit(self, conversations: list[Any], **_: Any) -> Ticket:
        if self.busy:
            raise Unavailable("256 requests are waiting already.")
        self.asked += conversations
        self.tickets.append(Ticket("initial", prompt_tokens=[1]))
        if not self.slow:
            self.finish()
        return self.tickets[-1]

    def finish(self) -> None:
        word = f"Reply{len(self.tickets)}"
        self.tickets[-1].deliver([RowUpdate(0, word, Generated(word, (5,), "stop", -1.0, 1))])
        self.tickets[-1].end()


@pytest.fixture
def engine() -> OneWordEngine:
    return OneWordEngine()


@pytest.fixture
def chat(database: Database, engine: OneWordEngine) -> Chat:
    with database.write() as session:
        record_project(session, initial_model="m", name="starter", digest="d")
    return Chat(database, engine, sampling=Sampling(max_new_tokens=8))  # type: ignore[arg-type]


async def say(chat: Chat, conversation: str, text: str | None) -> str:
    pieces = [p async for p in chat.reply(conversation, labeller_id=ME, text=text, regenerate=text is None)]
    return pieces[-1].text


def told(chat: Chat, conversation: str) -> list[str]:
    return [turn.text for turn in chat.turns(conversation, labeller_id=ME)]


def test_openers_are_short_questions_of_the_project_each_of_another_kind(chat: Chat, database: Database) -> None:
    def ask(text: str, tag: str, source: str = "starter", split: Split = Split.train) -> None:
        messages = [{"role": "user", "content": text}]
        with database.write() as session:
            record_prompt(session, messages=messages, source=source, tags=[tag], split=split, offered=True)

    ask("How are you?", "small talk")
    ask("And you?", "small talk")
    ask("Why? " * 30, "long")
    ask("What I told it", "secret", source="typed")
    ask("Kept for the gate", "gate", split=Split.heldout)
    ask("Two plus two?", "sum")
    assert chat.openers() == ["How are you?", "Two plus two?"]
    assert chat.openers(1) == ["How are you?"]


async def test_a_reply_follows_what_was_said_and_another_one_replaces_it(chat: Chat) -> None:
    conversation = chat.start(labeller_id=ME)
    assert await say(chat, conversation, "Hello?") == "Reply1"
    assert await say(chat, conversation, None) == "Reply2"
    assert told(chat, conversation) == ["Hello?", "Reply2"]


async def test_another_reply_that_cannot_be_had_keeps_the_last_one(chat: Chat, engine: OneWordEngine) -> None:
    conversation = chat.start(labeller_id=ME)
    await say(chat, conversation, "Hello?")
    engine.busy = True
    with pytest.raises(Unavailable):
        await say(chat, conversation, None)
    assert told(chat, conversation) == ["Hello?", "Reply1"]


async def test_what_was_said_in_vain_is_kept_and_not_given_to_the_model_twice(
    chat: Chat, engine: OneWordEngine
) -> None:
    conversation = chat.start(labeller_id=ME)
    engine.busy = True
    with pytest.raises(Unavailable):
        await say(chat, conversation, "Hello?")
    engine.busy = False
    await say(chat, conversation, "Hello again?")
    assert told(chat, conversation) == ["Hello?", "Hello again?", "Reply1"]
    assert engine.asked == [[{"role": "user", "content": "Hello again?"}]]


async def test_one_conversation_has_one_reply_at_a_time(chat: Chat, engine: OneWordEngine) -> None:
    conversation, other = chat.start(labeller_id=ME), chat.start(labeller_id=ME)
    engine.slow = True
    first = asyncio.create_task(say(chat, conversation, "Hello?"))
    while not engine.tickets:
        await asyncio.sleep(0.01)
    with pytest.raises(Conflict, match="being written"):
        await say(chat, conversation, "And me?")
    engine.finish()
    assert await first == "Reply1"
    engine.slow = False
    assert await say(chat, other, "Hello?") == "Reply2"
    assert await say(chat, conversation, "Now?") == "Reply3"
    assert told(chat, conversation) == ["Hello?", "Reply1", "Now?", "Reply3"]


async def test_a_reply_that_is_stopped_is_kept_as_far_as_it_came(chat: Chat, engine: OneWordEngine) -> None:
    conversation = chat.start(labeller_id=ME)
    engine.slow = True
    pieces = chat.reply(conversation, labeller_id=ME, text="Hello?")
    coming = asyncio.ensure_future(anext(pieces))
    while not engine.tickets:
        await asyncio.sleep(0.01)
    engine.tickets[0].deliver([RowUpdate(0, "As far", None)])
    await coming
    await pieces.aclose()  # type: ignore[attr-defined]
    assert engine.tickets[0].cancelled
    assert told(chat, conversation) == ["Hello?", "As far"]


async def test_a_database_that_is_busy_holds_up_this_reply_only(chat: Chat, database: Database) -> None:
    conversation = chat.start(labeller_id=ME)
    locked, enough = threading.Event(), threading.Event()

    def import_a_large_file() -> None:
        with database.write():
            locked.set()
            enough.wait(10)

    importing = threading.Thread(target=import_a_large_file)
    importing.start()
    assert locked.wait(10)
    reply = asyncio.create_task(say(chat, conversation, "Hello?"))
    started = time.monotonic()
    await asyncio.sleep(0.05)
    held_up = time.monotonic() - started
    enough.set()
    importing.join()
    assert await reply == "Reply1"
    assert held_up < 5
