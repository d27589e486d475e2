"""The endless corpus: every draw is new, and nothing that is held out is ever drawn.

rng = random.Random(0)
draw_chat(rng).messages       # a conversation in some style
draw_grounded(rng).messages   # questions about a list or a text, asked and answered as in chat
draw_drill(rng).messages      # bare copying and adding, see `grammar/copying.py`
"""

from collections.abc import Callable
from functools import cache
from random import Random

from trainer.starter.grammar.copying import draw_drill
from trainer.starter.grammar.dialogues import and_then, follow_up, list_items, several, single, text_items
from trainer.starter.grammar.item import Conversation, Item
from trainer.starter.grammar.questions import about_entities, about_item, fact_items, mention_items, random_doubt
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.sums import draw_sum
from trainer.starter.split import is_heldout

__all__ = ["allowed", "draw_chat", "draw_drill", "draw_grounded", "draw_item", "draw_short_list"]


@cache
def _pool(kind: str, heldout: bool) -> tuple[Item, ...]:
    """The tables' items that are taught, or those that are held out; "fact" or "other"."""
    items = fact_items() if kind == "fact" else other_items()
    return tuple(item for item in items if (item.promptable and is_heldout(item.group)) == heldout)


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


def draw_item(rng: Random, *, heldout: bool = False) -> Item:
    """One question of any kind but lists and texts, taught or held out."""
    while True:
        chance = rng.random()
        if chance < 0.33:
            return rng.choice(_pool("fact", heldout))
        if chance < 0.37 and not heldout:
            return about_item(rng.choice(about_entities()), rng)
        if chance < 0.42 and not heldout:
            return rng.choice(mention_items())
        if 0.42 <= chance < 0.72:
            draw = random_doubt if chance < 0.57 else draw_sum
            return _first(draw, rng, heldout)
        if chance >= 0.72:
            return rng.choice(_pool("other", heldout))


def _first(draw: Callable[[Random], Item], rng: Random, heldout: bool) -> Item:
    """The first item drawn that is taught, or the first that is held out."""
    while True:
        item = draw(rng)
        if is_heldout(item.group) == heldout:
            return item


def draw_chat(rng: Random) -> Conversation:
    """A conversation: mostly one turn, some follow-ups and some "And X?"."""
    while True:
        chance = rng.random()
        if chance < 0.06:
            drawn = and_then(rng)
        elif chance < 0.15:
            drawn = follow_up(draw_item(rng), rng)
        elif chance < 0.21:
            drawn = several([draw_item(rng) for _ in range(rng.randint(2, 4))], rng)
        else:
            drawn = single(draw_item(rng), rng)
        if allowed(drawn):
            return drawn


def draw_short_list(rng: Random) -> Conversation:
    """Questions about one list of at most six entries, more often for several at once: those come last."""
    return draw_grounded(rng, lists=1.0, longest=6, at_once=0.45)


def draw_grounded(rng: Random, lists: float = 0.72, longest: int = 30, at_once: float = 0.0) -> Conversation:
    """One to six questions about one list or text, in some style; `lists` is the share of lists."""
    while True:
        count = 1 if rng.random() < 0.4 else rng.randint(2, 6)
        items = list_items(count, rng, longest, at_once) if rng.random() < lists else text_items(count, rng)
        if not items:
            continue
        if len(items) > 1:
            return several(items, rng)
        drawn = single(items[0], rng) if rng.random() < 0.92 else follow_up(items[0], rng)
        if allowed(drawn):
            return drawn
