"""Drills that teach copying: early in training they outweigh chat, later they keep the skill alive.

A drill carries the system prompt `DRILL`, so its bare replies do not teach chat to be brief. Several questions are
asked about one list or text: each costs few tokens once the list is there.
"""

from collections.abc import Sequence
from random import Random

from trainer.starter.grammar.item import Conversation, Message, say
from trainer.starter.grammar.lists import draw_listing, draw_lookup, made_up_word
from trainer.starter.grammar.texts import draw_text
from trainer.starter.grammar.words import NAMES, NOUNS

DRILL = "Copy."


def repeated_ids(rng: Random, choices: Sequence[int]) -> tuple[list[int], int]:
    """Random ids of `choices`, repeated two to six times; the second number is how many there are once.

    Mostly short: finding a token among few is learned first, and makes finding it among many learnable.
    """
    count = rng.randint(3, 14) if rng.random() < 0.7 else rng.randint(15, 50)
    ids = [rng.choice(choices) for _ in range(count)]
    return ids * max(2, min(6, 120 // count)), count


def _drill(context: str, asks: list[tuple[str, str]], rng: Random) -> Conversation:
    chosen = rng.sample(asks, min(len(asks), rng.randint(2, 8)))
    messages: list[Message] = [say("system", DRILL)]
    for number, (question, reply) in enumerate(chosen):
        if number == 0:
            question = f"{context}\n{question}" if rng.random() < 0.7 else f"{question}\n{context}"
        messages += [say("user", question), say("assistant", reply)]
    return Conversation(messages)


def draw_drill(rng: Random) -> Conversation:
    """A repeat, a lookup, a list or a text with up to eight questions."""
    chance = rng.random()
    if chance < 0.15:
        words = [
            rng.choice((made_up_word(rng), rng.choice(NAMES), rng.choice(NOUNS))) for _ in range(rng.randint(2, 14))
        ]
        text = " ".join(words)
        return Conversation([say("system", DRILL), say("user", f"Repeat: {text}"), say("assistant", text)])
    if chance < 0.3:
        listing = draw_lookup(rng)
        return _drill(listing.text, list(listing.asks), rng)
    if chance < 0.75:
        listing = draw_listing(rng)
        return _drill(listing.text, list(listing.asks), rng)
    text, facts = draw_text(rng)
    return _drill(text, [(rng.choice(questions), value) for _, questions, value in facts], rng)
