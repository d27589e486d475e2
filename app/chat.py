"""Chat with the served model: conversations kept per labeller, replies streamed and stored, feedback on them.

Every reply is a Completion of the conversation so far, stamped with the checkpoint that wrote it. A swap in mid-talk
changes the next reply, never the running one.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise

from sqlmodel import Session, col, select

from app.serving.engine import Engine, RowFinished, TextPiece
from storage.comparisons import record_completion
from storage.database import Database
from storage.errors import Conflict, Invalid, NotFound
from storage.preferences import record_labeller
from storage.prompts import Messages, record_prompt
from storage.tables import Checkpoint, Completion, Conversation, ConversationTurn, Feedback, Prompt, Split
from trainer.sampling import Generated, Sampling

TITLE_LENGTH = 60
OPENER_LENGTH = 50


@dataclass(frozen=True)
class ChatTurn:
    """One message of a conversation; replies carry their checkpoint's name and completion id."""

    role: str
    text: str
    checkpoint: str | None = None
    completion_id: int | None = None
    thumb: str | None = None


@dataclass(frozen=True)
class ChatPiece:
    """The reply so far. `completion_id` is set on the last piece, when it has been stored."""

    text: str
    checkpoint_id: str
    checkpoint: str
    completion_id: int | None = None


class Chat:
    """Conversations of one project."""

    def __init__(self, database: Database, engine: Engine, *, sampling: Sampling) -> None:
        self._database = database
        self._engine = engine
        self._sampling = sampling
        self._replying: set[str] = set()  # conversations; read and changed on the event loop only

    def start(self, *, labeller_id: str) -> str:
        with self._database.write() as session:
            record_labeller(session, labeller_id=labeller_id)
            conversation = Conversation(id=secrets.token_hex(8), labeller_id=labeller_id)
            session.add(conversation)
            return conversation.id

    def conversations(self, *, labeller_id: str, limit: int = 30) -> list[Conversation]:
        """Newest first, those with something in them."""
        query = select(Conversation).where(Conversation.labeller_id == labeller_id, Conversation.title != "")
        with self._database.read() as session:
            return list(session.exec(query.order_by(col(Conversation.created_at).desc()).limit(limit)))

    def openers(self, count: int = 4) -> list[str]:
        """Short questions of the project's own prompts, each of another kind, the same every time; none that a person
        typed."""
        query = select(Prompt).where(
            Prompt.split == Split.train, col(Prompt.offered), col(Prompt.source).not_in(["typed", "chat"])
        )
        query = query.order_by(col(Prompt.id)).limit(300)
        with self._database.read() as session:
            found = list(session.exec(query))
        by_kind: dict[str, str] = {}
        for prompt in found:
            if len(prompt.messages) == 1 and len(text := prompt.messages[0]["content"]) <= OPENER_LENGTH:
                by_kind.setdefault(prompt.tags[0] if prompt.tags else text, text)
        return list(by_kind.values())[:count]

    def turns(self, conversation_id: str, *, labeller_id: str) -> list[ChatTurn]:
        with self._database.read() as session:
            _own(session, conversation_id, labeller_id)
            return [_turn(session, row) for row in _rows(session, conversation_id)]

    async def reply(
        self, conversation_id: str, *, labeller_id: str, text: str | None, regenerate: bool = False
    ) -> AsyncIterator[ChatPiece]:
        """Stream the reply to `text`, or a new one to the last message with `regenerate`.

        What was said is stored at once, the reply when it ends; one that is stopped is stored as far as it came.
        Raises Conflict while another reply is written in this conversation.
        """
        if conversation_id in self._replying:
            raise Conflict("A reply is being written in this conversation.", hint="Wait for its end, or stop it.")
        self._replying.add(conversation_id)
        try:
            # the database and the tokenizer may take their time: in threads, so that other streams go on
            messages = await asyncio.to_thread(self._ask, conversation_id, labeller_id, text, regenerate)
            seed = secrets.randbelow(2**31)
            submit = partial(self._engine.submit, [messages], sampling=self._sampling, seeds=[seed])
            ticket = await asyncio.to_thread(submit)
            written, finished = "", None
            try:
                if regenerate:  # not before the new one has begun
                    await asyncio.to_thread(self._forget_last_reply, conversation_id, labeller_id)
                name = await asyncio.to_thread(self._name, ticket.checkpoint_id)
                async for event in ticket:
                    if isinstance(event, TextPiece):
                        written += event.text
                        yield ChatPiece(written, ticket.checkpoint_id, name)
                    elif isinstance(event, RowFinished):
                        finished = event.generated
            finally:
                ticket.cancel()
                stored = await asyncio.to_thread(
                    self._store, conversation_id, messages, ticket.checkpoint_id, seed, written, finished
                )
            yield ChatPiece(written, ticket.checkpoint_id, name, stored)
        finally:
            self._replying.discard(conversation_id)

    def _ask(self, conversation_id: str, labeller_id: str, text: str | None, regenerate: bool) -> Messages:
        """Store what was said; the messages to reply to. What was said in vain and then again is left out: most
        templates refuse two user turns in a row."""
        if not regenerate:
            self._say(conversation_id, labeller_id, text or "")
        with self._database.read() as session:
            _own(session, conversation_id, labeller_id)
            rows = _rows(session, conversation_id)
        if regenerate and rows and rows[-1].role == "assistant":
            rows.pop()
        if not rows or rows[-1].role != "user":
            raise Conflict("There is nothing to reply to.", hint="Say something first.")
        kept = [row for row, after in pairwise([*rows, None]) if row and not (row.role == "user" == _role(after))]
        return [{"role": row.role, "content": row.text} for row in kept]

    def thumb(self, completion_id: int, *, labeller_id: str, thumb: str) -> None:
        """Record a thumb, up or down, on a reply."""
        if thumb not in ("up", "down"):
            raise Invalid(f"A thumb is up or down, not {thumb!r}.")
        self._feedback(completion_id, labeller_id, Feedback(completion_id=completion_id, labeller_id="", thumb=thumb))

    def edit(self, completion_id: int, *, labeller_id: str, text: str) -> None:
        """Record a better text for a reply; it trains as chosen against the original."""
        if not text.strip():
            raise Invalid("The better reply is empty.", hint="Write the text the model should have given.")
        row = Feedback(completion_id=completion_id, labeller_id="", edited_text=text)
        self._feedback(completion_id, labeller_id, row)

    def _feedback(self, completion_id: int, labeller_id: str, row: Feedback) -> None:
        with self._database.write() as session:
            if session.get(Completion, completion_id) is None:
                raise NotFound(f"There is no completion {completion_id}.")
            record_labeller(session, labeller_id=labeller_id)
            row.labeller_id = labeller_id
            session.add(row)

    def _say(self, conversation_id: str, labeller_id: str, text: str) -> None:
        if not text.strip():
            raise Invalid("The message is empty.")
        with self._database.write() as session:
            conversation = _own(session, conversation_id, labeller_id)
            conversation.title = conversation.title or text.strip()[:TITLE_LENGTH]
            session.add(conversation)
            session.add(ConversationTurn(conversation_id=conversation_id, role="user", text=text))

    def _forget_last_reply(self, conversation_id: str, labeller_id: str) -> None:
        """Take the last reply out of the conversation; its Completion stays."""
        with self._database.write() as session:
            _own(session, conversation_id, labeller_id)
            rows = _rows(session, conversation_id)
            if rows and rows[-1].role == "assistant":
                session.delete(rows[-1])

    def _store(
        self,
        conversation_id: str,
        messages: Messages,
        checkpoint_id: str,
        seed: int,
        text: str,
        finished: Generated | None,
    ) -> int | None:
        with self._database.write() as session:
            prompt = record_prompt(session, messages=messages, source="chat", offered=False)
            assert prompt.id is not None
            completion = record_completion(
                session,
                Completion(
                    prompt_id=prompt.id,
                    checkpoint_id=checkpoint_id,
                    text=text,
                    seed=seed,
                    sampling=asdict(self._sampling),
                    finish_reason=finished.finish_reason if finished else "cancelled",
                    tokens=finished.tokens if finished else None,
                ),
            )
            session.add(
                ConversationTurn(
                    conversation_id=conversation_id, role="assistant", text=text, completion_id=completion.id
                )
            )
            return completion.id

    def _name(self, checkpoint_id: str) -> str:
        with self._database.read() as session:
            checkpoint = session.get(Checkpoint, checkpoint_id)
            return checkpoint.name if checkpoint else checkpoint_id


def _own(session: Session, conversation_id: str, labeller_id: str) -> Conversation:
    conversation = session.get(Conversation, conversation_id)
    if conversation is None or conversation.labeller_id != labeller_id:
        raise NotFound(f"You have no conversation {conversation_id!r}.", hint="Start a new one.")
    return conversation


def _role(row: ConversationTurn | None) -> str | None:
    return row.role if row else None


def _rows(session: Session, conversation_id: str) -> list[ConversationTurn]:
    query = select(ConversationTurn).where(ConversationTurn.conversation_id == conversation_id)
    return list(session.exec(query.order_by(col(ConversationTurn.id))))


def _turn(session: Session, row: ConversationTurn) -> ChatTurn:
    if row.completion_id is None:
        return ChatTurn(row.role, row.text)
    completion = session.get(Completion, row.completion_id)
    checkpoint = session.get(Checkpoint, completion.checkpoint_id) if completion and completion.checkpoint_id else None
    thumbs = select(Feedback.thumb).where(Feedback.completion_id == row.completion_id, col(Feedback.thumb).is_not(None))
    thumb = session.exec(thumbs.order_by(col(Feedback.id).desc()).limit(1)).first()
    return ChatTurn(row.role, row.text, checkpoint.name if checkpoint else None, row.completion_id, thumb)
