"""The endless corpus: every draw is new, and nothing that is held out is ever drawn.

rng = random.Random(0)
draw_chat(rng).messages   # a conversation in some style
draw_copy(rng).messages   # a drill, a list or a text
"""

from functools import cache
from random import Random

from trainer.starter.grammar.copying import draw_drill
from trainer.starter.grammar.dialogues import and_then, follow_up, several, single
from trainer.starter.grammar.item import Conversation, Item
from trainer.starter.grammar.lists import draw_listing, draw_lookup, list_item
from trainer.starter.grammar.questions import about_item, fact_items, random_doubt
from trainer.starter.grammar.relations import ABOUT
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.sums import draw_sum
from trainer.starter.grammar.texts import text_item
from trainer.starter.split import is_heldout

DRILL_SHARE = 0.3  # of the copying draws; the others are lists and texts asked as in chat


@cache
def _taught(kind: str) -> tuple[Item, ...]:
    """The tables' items that are not held out; "fact" or "other"."""
    items = fact_items() if kind == "fact" else other_items()
    return tuple(item for item in items if not item.promptable or not is_heldout(item.group))


@cache
def _always_taught() -> frozenset[str]:
    """Group keys that are in the corpus whatever their hash: they are no prompts when held out."""
    return frozenset(item.group for item in other_items() if not item.promptable)


def allowed(conversation: Conversation) -> bool:
    """True when no question of the conversation is held out."""
    return not any(
        is_heldout(group)
        for group in conversation.groups
        if not group.startswith("about:") and group not in _always_taught()
    )


def draw_item(rng: Random) -> Item:
    """One question of any kind but lists and texts; sums and yes/no questions may be held out (see `allowed`)."""
    chance = rng.random()
    if chance < 0.37:
        return rng.choice(_taught("fact"))
    if chance < 0.54:
        return about_item(rng.choice(sorted(ABOUT)), rng)
    if chance < 0.61:
        return random_doubt(rng)
    if chance < 0.78:
        return draw_sum(rng)
    return rng.choice(_taught("other"))


def draw_chat(rng: Random) -> Conversation:
    """A conversation: mostly one turn, some follow-ups and some "And X?"."""
    while True:
        chance = rng.random()
        if chance < 0.05:
            drawn = and_then(rng)
        elif chance < 0.13:
            drawn = follow_up(draw_item(rng), rng)
        elif chance < 0.18:
            drawn = several([draw_item(rng) for _ in range(rng.randint(2, 4))], rng)
        else:
            drawn = single(draw_item(rng), rng)
        if allowed(drawn):
            return drawn


def draw_copy(rng: Random) -> Conversation:
    """A drill, or one question about a list or a text in some style."""
    while True:
        chance = rng.random()
        if chance < DRILL_SHARE:
            return draw_drill(rng)
        if chance < DRILL_SHARE + 0.45:
            drawn = single(list_item(draw_listing(rng), rng), rng)
        elif chance < DRILL_SHARE + 0.53:
            drawn = single(list_item(draw_lookup(rng), rng), rng)
        else:
            drawn = single(text_item(rng), rng)
        if allowed(drawn):
            return drawn
