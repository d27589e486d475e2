"""Drills that teach copying and adding: early in training they outweigh chat, later they keep the skill alive.

A drill carries the system prompt `DRILL`, so its bare replies do not teach chat to be brief. Several questions are
asked about one list or text: each costs few tokens once the list is there.
"""

from collections.abc import Sequence
from random import Random

from trainer.starter.grammar.item import Conversation, Message, say
from trainer.starter.grammar.list_asks import draw_ask, list_group
from trainer.starter.grammar.lists import Listing, draw_listing, draw_lookup
from trainer.starter.grammar.sums import draw_practice
from trainer.starter.grammar.texts import draw_text, text_group
from trainer.starter.grammar.words import NAMES, NOUNS, made_up_word
from trainer.starter.split import is_heldout

DRILL = "Copy."
PRACTICE = "Add."


def repeated_ids(rng: Random, choices: Sequence[int]) -> tuple[list[int], int]:
    """Random ids of `choices`, repeated two to six times; the second number is how many there are once.

    Mostly short: finding a token among few is learned first, and makes finding it among many learnable.
    """
    count = rng.randint(3, 14) if rng.random() < 0.7 else rng.randint(15, 50)
    ids = [rng.choice(choices) for _ in range(count)]
    return ids * max(2, min(6, 120 // count)), count


Question = tuple[str, str, str]
"""(group key, question, bare reply)."""


def _drill(system: str, context: str, questions: list[Question], rng: Random) -> Conversation:
    """The questions one after the other, without those that are held out."""
    messages: list[Message] = [say("system", system)]
    groups: list[str] = []
    for group, question, reply in questions:
        if is_heldout(group):
            continue
        if context and not groups:
            question = f"{context}\n{question}" if rng.random() < 0.7 else f"{question}\n{context}"
        groups.append(group)
        messages += [say("user", question), say("assistant", reply)]
    return Conversation(messages, frozenset(groups))


def _list_questions(listing: Listing, count: int, rng: Random) -> list[Question]:
    asks = {(ask := draw_ask(listing, rng)).question: ask for _ in range(count)}
    return [
        (list_group(listing, ask), ask.question, "\n".join(ask.entries) if ask.every else rng.choice(ask.entries))
        for ask in asks.values()
    ]


def _repeat(rng: Random) -> Conversation:
    words = [
        rng.choice((made_up_word(rng), rng.choice(NAMES), rng.choice(NOUNS).lower())) for _ in range(rng.randint(2, 14))
    ]
    text = " ".join(words)
    return Conversation([say("system", DRILL), say("user", f"Repeat: {text}"), say("assistant", text)])


def draw_drill(rng: Random) -> Conversation:
    """A repeat, sums, a lookup, a list or a text, with up to eight questions."""
    while True:
        chance = rng.random()
        if chance < 0.06:
            return _repeat(rng)
        if chance < 0.32:
            drill = _drill(PRACTICE, "", [draw_practice(rng) for _ in range(rng.randint(2, 8))], rng)
        elif chance < 0.77:
            listing = draw_lookup(rng, 12) if chance < 0.42 else draw_listing(rng, 12)
            drill = _drill(DRILL, listing.text, _list_questions(listing, rng.randint(2, 8), rng), rng)
        else:
            text, facts = draw_text(rng)
            asked = [(rng.choice(questions), value) for _, questions, value in facts]
            drill = _drill(
                DRILL, text, [(text_group(text, question), question, value) for question, value in asked], rng
            )
        if drill.groups:
            return drill
