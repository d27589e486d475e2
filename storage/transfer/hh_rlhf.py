"""Anthropic's hh-rlhf: `chosen` and `rejected` are whole transcripts marked `\\n\\nHuman:` and `\\n\\nAssistant:`.

Turns are stored without the white space around them. Their common history is the prompt; where the two diverge before
the last turn, the rest of each is its completion. The format has no system role: an export puts a system message at
the head of the first human turn. It has no escapes either: a marker within a text gets a space,
`\\n\\n Human:`, so that nobody's words are read as another's turn.
"""

import re
from typing import Any

from storage.prompts import Messages
from storage.transfer.rows import ASSISTANT, BadRow, PairRow, check_pair, divide, text_field

ROLES = {"Human": "user", "Assistant": ASSISTANT}
NAMES = {role: name for name, role in ROLES.items()}
_MARKER = re.compile(r"\n\n(Human|Assistant):")
_APART = r"\n\n \1:"


def parse(row: dict[str, Any]) -> PairRow:
    """The pair of one row. Raises BadRow with the reason."""
    chosen, rejected = (_turns(text_field(row, name), name) for name in ("chosen", "rejected"))
    for name, turns in (("chosen", chosen), ("rejected", rejected)):
        if turns[-1]["role"] != ASSISTANT:
            raise BadRow(f"the {name} transcript does not end with an Assistant turn")
    return check_pair(PairRow(*divide(chosen, rejected)))


def render(pair: PairRow) -> dict[str, Any]:
    return {"chosen": _transcript(pair.prompt + pair.chosen), "rejected": _transcript(pair.prompt + pair.rejected)}


def _turns(transcript: str, name: str) -> Messages:
    before, *pieces = _MARKER.split(transcript)
    if before or not pieces or pieces[0] != "Human":
        raise BadRow(f"the {name} transcript does not begin with '\\n\\nHuman:'")
    return [
        {"role": ROLES[marker], "content": text.strip()} for marker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _transcript(messages: Messages) -> str:
    if messages and messages[0]["role"] == "system":
        messages = _folded(messages[0]["content"], messages[1:])
    return "".join(f"\n\n{NAMES[m['role']]}: {_MARKER.sub(_APART, m['content'])}" for m in messages)


def _folded(system: str, messages: Messages) -> Messages:
    if not messages or messages[0]["role"] != "user":
        return [{"role": "user", "content": system}, *messages]
    return [{"role": "user", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
