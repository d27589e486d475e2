"""Writes the packaged prompts: everyday questions with a check, a reference and a split.

One JSON object per line: `id`, `group` (the question's identity, which decides the split), `messages` (ending with the
user's turn), `split` (train, validation, heldout), `tags`, `reference` (a right reply in the neutral style, or null)
and `check` (see `grammar/item.py`). Run `python -m trainer.starter.prompts` to write the file anew.
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
from trainer.starter.grammar.lists import draw_listing, draw_lookup, list_item
from trainer.starter.grammar.questions import about_item, fact_items, random_doubt
from trainer.starter.grammar.relations import ABOUT
from trainer.starter.grammar.situations import other_items
from trainer.starter.grammar.styles import SYSTEM
from trainer.starter.grammar.sums import draw_sum
from trainer.starter.grammar.texts import text_item
from trainer.starter.split import Split, is_heldout, split_of

FACTS, SUMS, LISTS, TEXTS, DOUBTS, ABOUTS, DIALOGUES, SYSTEMS = 480, 110, 170, 120, 70, 50, 90, 16
LONGEST_CHARACTERS = 1_000  # of one user turn: a list of 30 titles fits


class Prompt(TypedDict):
    """One line of the file."""

    id: str
    group: str
    messages: list[Message]
    split: Split
    tags: list[str]
    reference: str | None
    check: Check


def _prompt(messages: list[Message], item: Item, group: str, *tags: str) -> Prompt:
    text = json.dumps(messages, ensure_ascii=False, sort_keys=True)
    return {
        "id": sha256(text.encode()).hexdigest()[:12],
        "group": group,
        "messages": messages,
        "split": split_of(group),
        "tags": [*item.tags, *tags],
        "reference": item.answers[0] if item.answers else None,
        "check": item.check(),
    }


def _asked(item: Item, rng: Random) -> Prompt:
    return _prompt([say("user", rng.choice(item.questions))], item, item.group)


def _distinct(draw: Callable[[], Item], count: int) -> list[Item]:
    """`count` items with different groups and a question that is not too long."""
    found: dict[str, Item] = {}
    while len(found) < count:
        item = draw()
        if max(len(question) for question in item.questions) <= LONGEST_CHARACTERS:
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
    return _prompt([*messages, say("user", asked)], item, group, *(first.tags if not item.tags else ()), "two turns")


def build_prompts(seed: int = 0) -> list[Prompt]:
    """All packaged prompts, in an order that mixes the kinds."""
    rng = Random(seed)
    prompts = [_asked(item, rng) for item in rng.sample(fact_items(), FACTS)]
    prompts += [_asked(item, rng) for item in other_items() if item.promptable or not is_heldout(item.group)]
    prompts += [_asked(item, rng) for item in _distinct(lambda: draw_sum(rng), SUMS)]
    prompts += [_asked(item, rng) for item in _distinct(lambda: random_doubt(rng), DOUBTS)]
    drawn = _distinct(lambda: list_item(draw_lookup(rng) if rng.random() < 0.15 else draw_listing(rng), rng), LISTS)
    prompts += [_asked(item, rng) for item in drawn + _distinct(lambda: text_item(rng), TEXTS)]
    abouts = [about_item(entity, rng) for entity in sorted(ABOUT)]
    prompts += [
        _asked(item, rng) for item in rng.sample([item for item in abouts if not is_heldout(item.group)], ABOUTS)
    ]
    dialogues: dict[str, Prompt] = {}
    while len(dialogues) < DIALOGUES:
        dialogue = _dialogue(rng)
        if dialogue is not None:
            dialogues.setdefault(dialogue["group"], dialogue)
    prompts += list(dialogues.values())
    for item, system in zip(rng.sample(fact_items(), SYSTEMS), sorted(SYSTEM), strict=True):
        messages = [say("system", system), say("user", rng.choice(item.questions))]
        prompts.append(_prompt(messages, item, item.group, "system"))
    prompts = list({prompt["id"]: prompt for prompt in prompts}.values())
    rng.shuffle(prompts)
    return prompts


def write_prompts(path: Path = PROMPTS, seed: int = 0) -> int:
    """Write the file; returns the number of prompts."""
    prompts = build_prompts(seed)
    path.write_text("".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in prompts), encoding="utf-8")
    return len(prompts)


if __name__ == "__main__":
    write_prompts()
