"""Prompts: recorded once per text, split once at creation by the hash of their group key."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, func, select

from storage.errors import Invalid, NotFound
from storage.tables import Prompt, Split
from storage.texts import text_fault

ROLES = ("system", "user", "assistant")
Messages = list[dict[str, str]]


def digest_messages(messages: Messages) -> str:
    """SHA-256 hex of the canonical JSON of the messages."""
    canonical = json.dumps(messages, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _digest(canonical)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def split_of(group_key: str) -> Split:
    """train 60, validation 10, held-out 30 per cent, by the hash of the group key alone."""
    share = int.from_bytes(hashlib.sha256(group_key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    if share < 0.6:
        return Split.train
    return Split.validation if share < 0.7 else Split.heldout


def check_messages(messages: object) -> Messages:
    """The messages as plain role/content dictionaries. Raises Invalid naming what is wrong with them."""
    if not isinstance(messages, list) or not messages:
        raise Invalid("A prompt needs at least one message.", hint='Give [{"role": "user", "content": "..."}].')
    checked = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Invalid(f"Message {number} has the role {_role(message)!r}.", hint=f"Use one of {', '.join(ROLES)}.")
        content = message.get("content")
        if not isinstance(content, str):
            raise Invalid(f"Message {number} has no text content.", hint="Only text is understood.")
        if message["role"] != "assistant" and (found := text_fault(content)):  # a model's own reply is kept as it is
            raise Invalid(f"Message {number} holds {found}.", hint="Leave it out.")
        checked.append({"role": str(message["role"]), "content": content})
    if not any(m["role"] == "user" and m["content"].strip() for m in checked):
        raise Invalid("A prompt needs a user message with text in it.")
    return checked


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else message


def first_user_turn(messages: Messages) -> str:
    return next((m["content"].strip() for m in messages if m["role"] == "user"), "")


def record_prompt(
    session: Session,
    *,
    messages: Messages,
    source: str,
    group_key: str | None = None,
    split: Split | None = None,
    tags: Sequence[str] = (),
    reference: str | None = None,
    offered: bool = True,
) -> Prompt:
    """The row of these messages, made if it is new; an existing row is given back as it is.

    Without a group key the first user turn is the key. Without a split the group's own decides where it has a prompt
    already, else the key's hash, but what people type or chat is train unless it matches a held-out or validation
    prompt.
    """
    messages = check_messages(messages)
    digest = digest_messages(messages)
    known = session.exec(select(Prompt).where(Prompt.digest == digest)).first()
    if known is not None:
        return known
    key = group_key or first_user_turn(messages).lower()
    opening = _digest(first_user_turn(messages).lower())
    if split is None:
        split = _split_of_group(session, key)
    if split is None:
        split = _split_of_typed(session, opening) if source in ("typed", "chat") else split_of(key)
    prompt = Prompt(
        digest=digest,
        messages=messages,
        group_key=key,
        opening=opening,
        split=split,
        tags=list(tags),
        reference=reference,
        source=source,
        offered=offered,
    )
    session.add(prompt)
    session.flush()
    return prompt


def _split_of_group(session: Session, key: str) -> Split | None:
    """A typed prompt is train whatever its hash says; what shares its key later must not be held out."""
    found = session.exec(select(Prompt.split).where(Prompt.group_key == key).limit(1)).first()
    return None if found is None else Split(found)


def _split_of_typed(session: Session, opening: str) -> Split:
    """What people type is train, but for a first turn that a held-out or validation prompt begins with too."""
    query = select(Prompt.split).where(Prompt.opening == opening, Prompt.split != Split.train)
    found = session.exec(query.limit(1)).first()
    return Split.train if found is None else Split(found)


def get_prompt(session: Session, prompt_id: int) -> Prompt:
    prompt = session.get(Prompt, prompt_id)
    if prompt is None:
        raise NotFound(f"There is no prompt {prompt_id}.", hint="GET /api/v1/prompts lists them.")
    return prompt


def list_prompts(
    session: Session,
    *,
    split: Split | None = None,
    after: int = 0,
    limit: int = 50,
    search: str = "",
    source: str | None = None,
) -> list[Prompt]:
    """Up to `limit` prompts with an id above `after`, by id."""
    query = select(Prompt).where(col(Prompt.id) > after).order_by(col(Prompt.id)).limit(limit)
    if split is not None:
        query = query.where(Prompt.split == split)
    if source is not None:
        query = query.where(Prompt.source == source)
    found = session.exec(query if not search else query.limit(None)).all()
    if search:
        wanted = search.lower()
        found = [p for p in found if any(wanted in m["content"].lower() for m in p.messages)][:limit]
    return list(found)


def offered_prompts(session: Session, *, splits: Iterable[Split]) -> list[Prompt]:
    """Every prompt of these splits that may be put before people, by id."""
    query = select(Prompt).where(col(Prompt.split).in_(list(splits)), col(Prompt.offered)).order_by(col(Prompt.id))
    return list(session.exec(query))


def count_prompts(session: Session) -> dict[Split, int]:
    rows = session.exec(select(Prompt.split, func.count()).group_by(col(Prompt.split))).all()
    counts = {split: 0 for split in Split}
    return counts | {Split(split): n for split, n in rows}
