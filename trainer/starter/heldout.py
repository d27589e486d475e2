"""Questions to measure with: packaged held-out prompts, new held-out lists, texts and sums. None is in the corpus."""

import json
from collections.abc import Callable
from random import Random
from typing import TypedDict

from trainer.starter import HAND_LISTS
from trainer.starter.check import packaged_prompts
from trainer.starter.grammar.item import Check, Item, Message, say
from trainer.starter.grammar.questions import fact_items
from trainer.starter.grammar.styles import Style, system_prompts
from trainer.starter.grammar.sums import LARGEST, difference_item, larger_item, neighbour_item, sum_item
from trainer.starter.grammar.texts import text_item
from trainer.starter.prompts import Prompt, draw_list_item
from trainer.starter.split import is_heldout

Question = tuple[list[Message], Check]
"""The messages and when a completion of them is right."""


class HandList(TypedDict):
    """One line of the hand-written lists: `expected` are entries, or categories where one is asked for."""

    prompt: str
    items: list[str]
    categories: list[str]
    expected: list[str]


def heldout_prompts(count: int, seed: int) -> list[Prompt]:
    """At most `count` packaged held-out prompts, drawn with the seed."""
    prompts = [prompt for prompt in packaged_prompts() if prompt["split"] == "heldout"]
    return Random(seed).sample(prompts, min(count, len(prompts)))


def _asked(item: Item, rng: Random) -> Question:
    return [say("user", rng.choice(item.questions))], item.check()


def _drawn(draw: Callable[[Random], Item], count: int, seed: int) -> list[Question]:
    """`count` different held-out questions."""
    rng = Random(seed)
    found: dict[str, Question] = {}
    while len(found) < count:
        item = draw(rng)
        if is_heldout(item.group) and "free choice" not in item.tags:
            found.setdefault(item.group, _asked(item, rng))
    return list(found.values())


def short_lists(count: int, seed: int) -> list[Question]:
    """Lists of 3 to 6 entries."""
    return _drawn(lambda rng: draw_list_item(rng, 6), count, seed)


def long_lists(count: int, seed: int) -> list[Question]:
    """Lists of 30 entries."""
    return _drawn(lambda rng: draw_list_item(rng, 30, 30), count, seed)


def texts(count: int, seed: int) -> list[Question]:
    """A short text and a question it answers."""
    return _drawn(text_item, count, seed)


def sums(count: int, seed: int) -> list[Question]:
    """Held-out sums, differences, comparisons and neighbours of numbers to twenty: all of them, or `count`."""
    numbers = range(LARGEST + 1)
    items = [sum_item(a, b) for a in numbers for b in numbers]
    items += [difference_item(a, b) for a in numbers for b in numbers if b <= a]
    items += [larger_item(a, b) for a in numbers for b in numbers if b < a]
    items += [neighbour_item(a, step) for a in numbers if a >= 2 for step in (1, -1)]
    rng = Random(seed)
    heldout = [item for item in items if is_heldout(item.group)]
    return [_asked(item, rng) for item in rng.sample(heldout, min(count, len(heldout)))]


def steered_facts(count: int, seed: int) -> list[tuple[list[Message], tuple[Style, ...]]]:
    """Held-out facts under a system prompt, and the styles that obey it."""
    rng = Random(seed)
    items = [item for item in fact_items() if is_heldout(item.group)]
    prompts = sorted(system_prompts().items())
    made = []
    for item in rng.sample(items, min(count, len(items))):
        system, styles = rng.choice(prompts)
        made.append(([say("system", system), say("user", rng.choice(item.questions))], styles))
    return made


def hand_lists() -> list[HandList]:
    """The lists written by hand, which nothing else reads."""
    return [json.loads(line) for line in HAND_LISTS.read_text(encoding="utf-8").splitlines()]


def hand_question(row: HandList) -> Question:
    """A hand-written list as a question: every expected entry named, and none of the others."""
    pool = row["items"] if row["expected"][0] in row["items"] else row["categories"]
    right = " / ".join(row["expected"]).lower()
    check: Check = {
        "all_of": [[entry] for entry in row["expected"]],
        "none_of": [entry for entry in dict.fromkeys(pool) if entry.lower() not in right],
    }
    return [say("user", row["prompt"])], check
