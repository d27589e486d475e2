"""What all formats share: a parsed row, and the checks on its texts.

A format is two functions beside each other in its own file: `parse` makes a PairRow or PromptRow of a JSON object or
raises BadRow with the reason, `render` is its inverse. Leaves out the database (importing.py, exporting.py).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from storage.errors import Invalid
from storage.prompts import Messages, check_messages
from storage.tables import Choice, Completion, Split
from storage.texts import text_fault

ASSISTANT = "assistant"


class BadRow(ValueError):
    """A row that cannot be imported; the message is the reason people read."""


@dataclass(frozen=True)
class PairRow:
    """One decided comparison as a file states it. `chosen` and `rejected` are all messages after the prompt.

    `shape` is what `render` needs besides these to write the row in the form it came in. `choice` is the side the
    chosen one was shown on, where the file says so, or tie, both_bad or skip (then left is `chosen`).
    """

    prompt: Messages
    chosen: Messages
    rejected: Messages
    shape: dict[str, Any] = field(default_factory=dict)
    choice: Choice | None = None

    @property
    def digest(self) -> str:
        """SHA-256 hex of what the row means: the same pair in another format or spelling is the same row."""
        undecided = self.choice is not None and self.choice not in (Choice.left, Choice.right)
        parts = [self.prompt, self.chosen, self.rejected, *([str(self.choice)] if undecided else [])]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class PromptRow:
    messages: Messages
    split: Split | None = None
    tags: tuple[str, ...] = ()
    reference: str | None = None
    group: str | None = None


def text_field(row: dict[str, Any], name: str) -> str:
    """The string under `name`. Raises BadRow when it is missing or of another type."""
    if name not in row:
        raise BadRow(f"the field {name!r} is missing")
    if not isinstance(row[name], str):
        raise BadRow(f"the field {name!r} is {_kind(row[name])}, not text")
    return str(row[name])


def messages_field(value: object, name: str) -> Messages:
    """A list of role/content messages with the roles in an order that can be a conversation. Raises BadRow."""
    if not isinstance(value, list):
        raise BadRow(f"the field {name!r} is {_kind(value)}, not a list of messages")
    if not value:
        raise BadRow(f"the field {name!r} is an empty list")
    try:
        # check_messages asks for a user message, which a completion need not have
        messages = check_messages([*value, {"role": "user", "content": "x"}])[:-1]
    except Invalid as error:
        raise BadRow(f"the field {name!r}: {error}") from error
    late = next((n for n, m in enumerate(messages, 1) if n > 1 and m["role"] == "system"), None)
    if late is not None:
        raise BadRow(f"the field {name!r}: message {late} is a system message; only the first may be one")
    return messages


def check_prompt(messages: Messages) -> None:
    try:
        check_messages(messages)
    except Invalid as error:
        raise BadRow(error.message) from error
    check_texts(m["content"] for m in messages)


def check_pair(pair: PairRow) -> PairRow:
    """Raises BadRow unless both sides end in an assistant message with text and they differ."""
    if not pair.prompt:
        raise BadRow("chosen and rejected have no message in common, so there is no prompt")
    check_prompt(pair.prompt)
    for name, turns in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        if not turns or turns[-1]["role"] != ASSISTANT:
            raise BadRow(f"{name} does not end with an assistant message")
        if turns[0]["role"] == "system":
            raise BadRow(f"{name} begins with a system message after the prompt")
        if not turns[-1]["content"].strip():
            raise BadRow(f"the {name} text is empty")
        check_texts(m["content"] for m in turns)
    if pair.chosen == pair.rejected:
        raise BadRow("chosen and rejected are identical")
    return pair


def check_texts(texts: Iterable[str]) -> None:
    """Raises BadRow for what no database stores as text: lone surrogates and NUL characters."""
    for value in texts:
        if found := text_fault(value):
            raise BadRow(f"a text holds {found}")


def divide(chosen: Messages, rejected: Messages) -> tuple[Messages, Messages, Messages]:
    """Two whole transcripts as their common history and the rest of each; each keeps its last message at least."""
    most = min(len(chosen), len(rejected)) - 1
    common = next((i for i in range(most) if chosen[i] != rejected[i]), max(most, 0))
    return chosen[:common], chosen[common:], rejected[common:]


def turns_of(completion: Completion) -> Messages:
    """All messages of a completion."""
    return completion.turns or [{"role": ASSISTANT, "content": completion.text}]


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names: Sequence[tuple[type, str]] = ((bool, "a truth value"), (str, "text"), (dict, "an object"), (list, "a list"))
    return next((name for kind, name in names if isinstance(value, kind)), "a number")
