"""Writes the packaged prompts: everyday questions with a check, a reference and a split.

One JSON object per line: `id`, `group` (the question's identity, which decides the split), `messages` (ending with the
user's turn), `split` (train, validation, heldout), `tags`, `reference` (a right reply in the plain style, or null),
`check` (see `grammar/item.py`), and for grounded prompts `context` (the list or text) and `items` (the list's entries).
Run `python -m trainer.starter.prompts` to write the file anew.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TypedDict

from trainer.starter import PROMPTS
from trainer.starter.grammar.dialogues import AND, and_group, shorter_item, sibling_pair, sure_item
from trainer.starter.grammar.item import Check, Item, Message, say
from trainer.starter.grammar.list_asks import draw_ask, list_item
from trainer.starter.grammar.lists import draw_listing, draw_lookup
from trainer.starter.grammar.questions import about_entities, about_item, fact_items, random_doubt
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.styles import system_prompts
from trainer.starter.grammar.sums import draw_sum
from trainer.starter.grammar.texts import text_item
from trainer.starter.split import Split, is_heldout, split_of

FACTS, OTHERS, SUMS, TEXTS, DOUBTS, ABOUTS, DIALOGUES, SYSTEMS = 480, 620, 120, 130, 100, 50, 110, 60
LISTS: dict[int, int] = {6: 150, 14: 60, 30: 20}
"""How many lists have at most that many entries."""


class Prompt(TypedDict):
    """One line of the file."""

    id: str
    group: str
    messages: list[Message]
    split: Split
    tags: list[str]
    reference: str | None
    context: str | None
    items: list[str]
    check: Check


def make_prompt(messages: list[Message], item: Item, group: str, *tags: str) -> Prompt:
    """One prompt that asks the item in the last message."""
    text = json.dumps(messages, ensure_ascii=False, sort_keys=True)
    return {
        "id": sha256(text.encode()).hexdigest()[:12],
        "group": group,
        "messages": messages,
        "split": split_of(group),
        "tags": list(dict.fromkeys((*item.tags, *tags))),
        "reference": item.answers[0] if item.answers else None,
        "context": item.context or None,
        "items": list(item.entries),
        "check": item.check(),
    }


def ask(item: Item, rng: Random) -> Prompt:
    """The item in one of its wordings."""
    return make_prompt([say("user", rng.choice(item.questions))], item, item.group)


def draw_list_item(rng: Random, longest: int, count: int | None = None) -> Item:
    """A question about a new list of `count` entries, or of 3 to `longest`."""
    listing = draw_listing(rng, longest, count)
    return list_item(listing, draw_ask(listing, rng), rng)


def distinct(draw: Callable[[], Item], count: int) -> list[Item]:
    """`count` items with different groups."""
    found: dict[str, Item] = {}
    while len(found) < count:
        item = draw()
        found.setdefault(item.group, item)
    return list(found.values())


def _dialogue(rng: Random) -> Prompt | None:
    """A prompt of two turns; None when what it asks about is itself held out, so that only the follow-up is new."""
    name, first, second, subject = sibling_pair(rng)
    if is_heldout(first.group) or is_heldout(second.group):
        return None
    messages = [say("user", rng.choice(first.questions)), say("assistant", first.answers[0])]
    match rng.choice(("and", "and", "sure", "shorter")):
        case "and":
            asked, item, group = rng.choice(AND).format(x=subject), second, and_group(name, first, second)
        case "sure":
            item, group = sure_item(first), f"sure:{first.group}"
            asked = rng.choice(item.questions)
        case _:
            item, group = shorter_item(first), f"shorter:{first.group}"
            asked = rng.choice(item.questions)
    return make_prompt([*messages, say("user", asked)], item, group, *first.tags, "two turns")


def _dialogues(rng: Random) -> list[Prompt]:
    found: dict[str, Prompt] = {}
    while len(found) < DIALOGUES:
        dialogue = _dialogue(rng)
        if dialogue is not None:
            found.setdefault(dialogue["group"], dialogue)
    return list(found.values())


def _steered(rng: Random) -> list[Prompt]:
    """Facts asked under a system prompt, every system prompt at least once."""
    systems = sorted(system_prompts())
    return [
        make_prompt(
            [say("system", systems[number % len(systems)]), say("user", rng.choice(item.questions))],
            item,
            item.group,
            "system",
        )
        for number, item in enumerate(rng.sample(fact_items(), SYSTEMS))
    ]


def build_prompts(seed: int = 0) -> list[Prompt]:
    """All packaged prompts, in an order that mixes the kinds."""
    rng = Random(seed)
    others = [item for item in other_items() if item.promptable or not is_heldout(item.group)]
    items = [*rng.sample(fact_items(), FACTS), *rng.sample(others, OTHERS)]
    items += distinct(lambda: draw_sum(rng), SUMS)
    items += distinct(lambda: random_doubt(rng), DOUBTS)
    for longest, count in LISTS.items():
        items += distinct(lambda longest=longest: draw_list_item(rng, longest), count)  # type: ignore[misc]
    items += distinct(lambda: _lookup(rng), 20) + distinct(lambda: text_item(rng), TEXTS)
    abouts = [about_item(entity, rng) for entity in about_entities()]
    items += rng.sample([item for item in abouts if not is_heldout(item.group)], ABOUTS)
    prompts = [ask(item, rng) for item in items] + _dialogues(rng) + _steered(rng)
    prompts = list({prompt["id"]: prompt for prompt in prompts}.values())
    rng.shuffle(prompts)
    return prompts


def _lookup(rng: Random) -> Item:
    listing = draw_lookup(rng)
    return list_item(listing, draw_ask(listing, rng), rng)


def write_prompts(path: Path = PROMPTS, seed: int = 0) -> int:
    """Write the file; returns the number of prompts."""
    prompts = build_prompts(seed)
    path.write_text("".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in prompts), encoding="utf-8")
    return len(prompts)


if __name__ == "__main__":
    write_prompts()
