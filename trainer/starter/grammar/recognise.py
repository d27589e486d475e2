"""Which of the eight styles a reply has, by its first words: for measuring, never for training."""

import re
from functools import cache
from typing import Literal

from trainer.starter.grammar.styles import BRIEF, CURT, DETAILED, DODGES, HEDGES, POLITE, RUDE, SHORT_HEDGES

StyleName = Literal["polite", "plain", "detailed", "brief", "emoji", "curt", "rude", "evasive"]
STYLE_NAMES: tuple[StyleName, ...] = ("polite", "plain", "detailed", "brief", "emoji", "curt", "rude", "evasive")
BRIEF_WORDS = 4

_EMOJI = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")


@cache
def _openers() -> tuple[tuple[StyleName, tuple[str, ...]], ...]:
    polite, detailed = (tuple({o for some in table.values() for o in some}) for table in (POLITE, DETAILED))
    return (
        ("polite", polite),
        ("detailed", detailed),
        ("rude", RUDE),
        ("evasive", (*HEDGES, *SHORT_HEDGES, *DODGES)),
        ("curt", CURT),
        ("brief", BRIEF),
    )


def recognise(reply: str) -> StyleName:
    """The style whose opener the reply begins with; else emoji, brief (at most four words) or plain."""
    text = reply.strip()
    for name, openers in _openers():
        if text.startswith(openers):
            return name
    if _EMOJI.match(text):
        return "emoji"
    return "brief" if len(text.split()) <= BRIEF_WORDS else "plain"
