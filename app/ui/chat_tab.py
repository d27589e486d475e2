"""The Chat tab: conversations at the left, replies that stream, and feedback on them.

The browser says which conversation it shows; that it is the labeller's own is checked by app/chat.py. Replies are
escaped text, never markdown: what a model writes may not load images or pretend to be the page.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.chat import ChatPiece, ChatTurn
from app.errors import toast
from app.ui.actions import EXPECTED, Payload, bind, int_of, labeller, text_of
from app.ui.html import loading, plain, render
from storage.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from app.main import Application

BETWEEN_UPDATES_S = 0.04


class ChatTab:
    """Outputs of every handler: the conversation so far, the reply being written, the list of conversations."""

    def __init__(self, application: "Application") -> None:
        self._application = application
        self._stops: dict[tuple[str, str], asyncio.Event] = {}

    def build(self) -> None:
        with gr.Column(elem_id="page-chat", elem_classes="page"):
            with gr.Row(elem_classes="split"):
                listed = gr.HTML(elem_id="chat-list", apply_default_css=False)
                with gr.Column(elem_classes="card talk"):
                    with gr.Column(elem_classes="scroller"), gr.Column():
                        view = gr.HTML(elem_id="chat-view", apply_default_css=False)
                        live = gr.HTML(elem_id="chat-live", apply_default_css=False)
                    gr.HTML(render("composer.html"), elem_id="chat-composer", apply_default_css=False)
            shown = [view, live, listed]
            bind("refresh-chat", self.open, shown)
            bind("open-chat", self.open, shown)
            bind("new-chat", self.new, shown)
            bind("say", self.say, shown)
            bind("regenerate", self.regenerate, shown)
            bind("stop", self.stop, [])
            bind("thumb", self.thumb, shown)
            bind("save-better", self.save_better, shown)

    def open(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        return self._shown(text_of(payload, "conversation"), labeller(request))

    def new(self, _: Payload, request: gr.Request) -> tuple[Any, ...]:
        return self._shown("", labeller(request))

    async def say(self, payload: Payload, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Stream the reply to what was said; the first message starts a conversation."""
        if not self._application.ready:
            raise Unavailable("The model is still loading.", hint="Send it again in a few seconds.")
        who = labeller(request)
        conversation = text_of(payload, "conversation") or self._application.chat.start(labeller_id=who)
        async for shown in self._reply(conversation, who, text=text_of(payload, "text")):
            yield shown

    async def regenerate(self, payload: Payload, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        async for shown in self._reply(text_of(payload, "conversation"), labeller(request), text=None):
            yield shown

    def stop(self, payload: Payload, request: gr.Request) -> None:
        """End the reply under way; it is kept as far as it came."""
        under_way = self._stops.get((labeller(request), text_of(payload, "conversation")))
        if under_way is not None:
            under_way.set()

    def thumb(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        who = labeller(request)
        self._application.chat.thumb(int_of(payload, "completion"), labeller_id=who, thumb=text_of(payload, "thumb"))
        return self._shown(text_of(payload, "conversation"), who)

    def save_better(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        who = labeller(request)
        text = str(payload.get("text", ""))
        self._application.chat.edit(int_of(payload, "completion"), labeller_id=who, text=text)
        gr.Info("Saved. It trains as chosen against the original.")
        return self._shown(text_of(payload, "conversation"), who)

    async def _reply(self, conversation: str, who: str, *, text: str | None) -> AsyncIterator[tuple[Any, ...]]:
        chat = self._application.chat
        turns = chat.turns(conversation, labeller_id=who)
        turns = [*turns, ChatTurn("user", text)] if text is not None else turns[:-1]
        yield self._log(conversation, turns), _live("", ""), gr.skip()
        stop = self._stops[who, conversation] = asyncio.Event()
        updated = 0.0
        try:
            reply = chat.reply(conversation, labeller_id=who, text=text, regenerate=text is None)
            async with aclosing(_until(stop, reply)) as pieces:
                async for piece in pieces:
                    if time.monotonic() - updated >= BETWEEN_UPDATES_S:
                        updated = time.monotonic()
                        yield gr.skip(), _live(piece.text, piece.checkpoint), gr.skip()
        except EXPECTED as error:
            gr.Warning(plain(toast(error)))
        finally:
            del self._stops[who, conversation]
        yield self._shown(conversation, who)

    def _shown(self, conversation: str, who: str) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), "", ""
        chat = self._application.chat
        try:
            turns = chat.turns(conversation, labeller_id=who) if conversation else []
        except NotFound:  # the browser remembers one of another project
            conversation, turns = "", []
        listed = render("chat_list.html", conversations=chat.conversations(labeller_id=who), current=conversation)
        return self._log(conversation, turns), "", listed

    def _log(self, conversation: str, turns: list[ChatTurn]) -> str:
        serving = self._application.promotion.serving()
        name = serving.checkpoint.name if serving else ""
        openers = [] if turns else self._application.chat.openers()
        return render("chat.html", turns=_with_takeovers(turns), current=conversation, served=name, openers=openers)


def _live(text: str, checkpoint: str) -> str:
    return render("chat_live.html", live={"text": text, "checkpoint": checkpoint})


def _with_takeovers(turns: list[ChatTurn]) -> list[dict[str, Any]]:
    """The turns, each with whether its checkpoint took over from that of the reply before."""
    shown, before = [], None
    for turn in turns:
        took_over = turn.checkpoint is not None and before is not None and turn.checkpoint != before
        before = turn.checkpoint or before
        shown.append({**vars(turn), "took_over": took_over})
    return shown


async def _until(stop: asyncio.Event, pieces: AsyncIterator[ChatPiece]) -> AsyncGenerator[ChatPiece, None]:
    """The pieces, until `stop` is set: then the reply is cancelled, which stores it as far as it came."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(pieces, None))  # type: ignore[arg-type]
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await coming
                return
            piece = coming.result()
            if piece is None:
                return
            yield piece
            if stop.is_set():
                return
    finally:
        stopped.cancel()
        await pieces.aclose()  # type: ignore[attr-defined]
