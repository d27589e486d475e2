"""Conversations: an item asked and answered in a style, with or without a system prompt, in one turn or two."""

from functools import cache
from random import Random

from trainer.starter.grammar.item import Conversation, Item, Message, add_noise, reply, say, sentence
from trainer.starter.grammar.list_asks import draw_ask, list_item
from trainer.starter.grammar.lists import draw_listing, draw_lookup
from trainer.starter.grammar.questions import direct_item
from trainer.starter.grammar.relation import Relation
from trainer.starter.grammar.relations import RELATIONS
from trainer.starter.grammar.styles import FALSE_STYLES, Style, draw_style, render, system_prompts
from trainer.starter.grammar.texts import draw_text, question_item
from trainer.starter.split import is_heldout

THANKS = ("Thanks!", "Thank you!", "Thanks a lot!", "Great, thank you.")
SHORTER = ("Shorter, please.", "Make it shorter.", "Can you say that in fewer words?")
SURE = ("Are you sure?", "Is that right?", "Really?")
MORE = ("Tell me more.", "More, please.", "Anything else?")
AND = ("And {x}?", "What about {x}?", "And for {x}?")

WELCOME = Item(
    "",
    (),
    ("You are welcome.", "No problem at all."),
    "You are welcome",
    (("welcome", "problem"),),
    emoji="🙏",
    manner="talk",
)


SYSTEM_SHARE = 0.08


def single(item: Item, rng: Random) -> Conversation:
    """One question and its reply; some with a system prompt that the style obeys."""
    style = draw_style(rng)
    messages: list[Message] = []
    if rng.random() < SYSTEM_SHARE:
        prompts = system_prompts()
        prompt = rng.choice(list(prompts))
        style = rng.choice(prompts[prompt])
        messages.append(say("system", prompt))
    messages += [
        say("user", add_noise(rng.choice(item.questions), rng)),
        reply(item, render(item, style, rng)),
    ]
    return Conversation(messages, frozenset((item.group,)))


def several(items: list[Item], rng: Random) -> Conversation:
    """Questions one after the other, mostly in one style."""
    style = draw_style(rng)
    messages: list[Message] = []
    for item in items:
        messages += [
            say("user", add_noise(rng.choice(item.questions), rng)),
            reply(item, render(item, style, rng)),
        ]
        style = _second_style(style, rng)
    return Conversation(messages, frozenset(item.group for item in items))


def _second_style(style: Style, rng: Random) -> Style:
    """Most people, and so the corpus, keep their manner."""
    return style if rng.random() < 0.7 and style not in FALSE_STYLES else draw_style(rng)


def list_items(count: int, rng: Random, longest: int = 30, at_once: float = 0.0) -> list[Item]:
    """Up to `count` questions about one new list, none of them held out; the first shows the list.

    `at_once` is the share of further questions for more than one entry.
    """
    listing = draw_lookup(rng, longest) if rng.random() < 0.13 else draw_listing(rng, longest)
    items: list[Item] = []
    for _ in range(count):
        item = list_item(listing, draw_ask(listing, rng, at_once), rng, shown=not items)
        if not is_heldout(item.group):
            items.append(item)
    return items


def text_items(count: int, rng: Random) -> list[Item]:
    """Up to `count` questions about one new text, none of them held out; the first shows the text."""
    text, facts = draw_text(rng)
    items: list[Item] = []
    for _ in range(count):
        item = question_item(text, facts, rng, shown=not items)
        if not is_heldout(item.group):
            items.append(item)
    return items


def sure_item(item: Item) -> Item:
    """The reply to "Are you sure?"."""
    answers = tuple(f"Yes, I am sure. {answer}" for answer in item.answers)
    return Item(
        item.group,
        SURE,
        answers,
        f"Yes, {item.bare}",
        item.keys,
        wrongs=(("No, I am not sure.", "no"),),
        emoji=item.emoji,
    )


def shorter_item(item: Item) -> Item:
    """The reply to "Shorter, please."."""
    short = sentence(item.bare) + "."
    return Item(item.group, SHORTER, (short,), item.bare, item.keys, emoji=item.emoji)


def more_item(item: Item) -> Item:
    """The reply to "Tell me more.": needs an item with extras."""
    return Item(item.group, MORE, item.extras, item.extras[0].rstrip("."), (), emoji=item.emoji)


def follow_up(item: Item, rng: Random) -> Conversation:
    """Two turns about one item: thanks, shorter, are you sure, more."""
    style = draw_style(rng)
    first = render(item, style, rng)
    chance = rng.random()
    if chance < 0.3:
        second, name = WELCOME, "thanks"
        asked = rng.choice(THANKS)
    else:
        makers = [("shorter", shorter_item), ("sure", sure_item)] + ([("more", more_item)] if item.extras else [])
        name, make = rng.choice(makers)
        second = make(item)
        asked = rng.choice(second.questions)
    short_styles: tuple[Style, ...] = ("brief", "plain", "polite brief", "curt", "rude", "emoji", "evasive")
    answer = render(second, rng.choice(short_styles) if name == "shorter" else _second_style(style, rng), rng)
    messages = [
        say("user", add_noise(rng.choice(item.questions), rng)),
        reply(item, first),
        say("user", asked),
        reply(second, answer),
    ]
    return Conversation(messages, frozenset((item.group, f"{name}:{item.group}")))


def and_group(name: str, first: Item, second: Item) -> str:
    """The identity of "... And Spain?"."""
    return f"and:{name}:{first.group.split(':', 1)[1]}:{second.group.split(':', 1)[1]}"


@cache
def _wide_relations() -> tuple[Relation, ...]:
    return tuple(relation for relation in RELATIONS if len(relation.pairs) >= 5)


def sibling_pair(rng: Random) -> tuple[str, Item, Item, str]:
    """Two direct questions of one relation, and how the second subject is named."""
    relation = rng.choice(_wide_relations())
    one, two = rng.sample(relation.pairs, 2)
    article = "a " if "a {x}" in relation.questions[0] else ""
    name = f"{article}{two[1]}"
    if article and two[1][0] in "aeiou":
        name = f"an {two[1]}"
    return relation.name, direct_item(relation, one), direct_item(relation, two), name


def and_then(rng: Random) -> Conversation:
    """ "What is the capital of France?" ... "And Spain?"."""
    name, first, second, subject = sibling_pair(rng)
    style = draw_style(rng)
    messages = [
        say("user", add_noise(rng.choice(first.questions), rng)),
        reply(first, render(first, style, rng)),
        say("user", rng.choice(AND).format(x=subject)),
        reply(second, render(second, _second_style(style, rng), rng)),
    ]
    return Conversation(messages, frozenset((first.group, second.group, and_group(name, first, second))))
