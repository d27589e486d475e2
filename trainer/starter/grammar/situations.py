"""Items about everyday situations and talk: advice, recipes, gifts, weather, small talk, refusals, the unknown.

Each form of asking is an item of its own, so that a held-out form is answered from what the others taught.
"""

from collections import Counter
from dataclasses import replace
from functools import cache

from trainer.starter.grammar.everyday import GIFTS, RECIPES, TOPICS, WEATHER
from trainer.starter.grammar.item import Item, sentence
from trainer.starter.grammar.limits import (
    COMPLIANCES,
    INVENTIONS,
    REFUSAL_EXTRAS,
    REFUSAL_KEYS,
    REFUSALS,
    UNKNOWN_EXTRAS,
    UNKNOWN_KEYS,
    UNKNOWNS,
    UNSAFE_FORMS,
    unknown_asks,
    unsafe_acts,
)
from trainer.starter.grammar.questions import fill, slug
from trainer.starter.grammar.small_talk import TALK_EXTRAS, small_talk
from trainer.starter.split import is_heldout

Forms = tuple[tuple[str, ...], ...]
"""Ways of asking: the wordings of each form."""


def _formed(
    name: str,
    forms: Forms,
    x: str,
    y: str,
    answers: tuple[str, ...],
    bare: str,
    keys: tuple[str, ...],
    emoji: str,
    extras: tuple[str, ...] = (),
) -> list[Item]:
    """One item per form: each form is a question of its own with the same replies."""
    return [
        Item(
            group=f"{name}:{slug(x)}:{number}",
            questions=tuple(fill(q, x, y) for q in form),
            answers=answers,
            bare=bare,
            keys=(keys,),
            extras=extras,
            emoji=emoji,
            manner="advice",
            tags=("advice", name),
        )
        for number, form in enumerate(forms)
    ]


def advice_items() -> list[Item]:
    """Short advice on everyday wishes and troubles."""
    items: list[Item] = []
    for topic in TOPICS:
        tips = topic.tips
        pairs = [f"{one} and {two}." for one, two in zip(tips, tips[1:] + tips[:1], strict=True)]
        forms: Forms = (
            ("How can I {x}?", "How do I {x}?", "What can I do to {x}?"),
            ("Give me a tip to {x}.", "Any tip to {x}?"),
            ("{y}. What should I do?", "{y}. Can you help me?", "{y}."),
            ("I want to {x}. Any advice?", "I would like to {x}."),
            ("What helps to {x}?", "What is a good way to {x}?"),
            ("I have a problem: {y}.", "My problem: {y}."),
        )
        items += _formed(
            "advice",
            forms,
            topic.wish,
            topic.trouble,
            tuple(sentence(text) for text in (*(f"{tip}." for tip in tips), *pairs)),
            tips[0],
            topic.keys,
            topic.emoji,
            tuple(sentence(f"you can also {tip}.") for tip in tips),
        )
    return items


def recipe_items() -> list[Item]:
    """How to make a dish or a drink."""
    forms: Forms = (
        ("How do I make {x}?", "How can I make {x}?", "How do you make {x}?"),
        ("Give me a recipe for {x}.", "Do you have a recipe for {x}?"),
        ("I want to make {x}. What do I do?", "I would like to make {x}."),
    )
    items: list[Item] = []
    for dish, how, keys, emoji in RECIPES:
        answers = (sentence(f"{how}."), fill("To make {x}, {y}.", dish, how))
        extras = ("Taste it before you serve it.", "Take your time.")
        items += _formed("recipe", forms, dish, "", answers, how, keys, emoji, extras)
    return items


def gift_items() -> list[Item]:
    """What to give to whom."""
    forms: Forms = (
        ("What should I give {x} for a birthday?", "What can I give {x}?"),
        ("Do you have a gift idea for {x}?", "Gift idea for {x}?"),
        ("I need a present for {x}.", "I am looking for a present for {x}."),
    )
    items: list[Item] = []
    for person, gift, keys, emoji in GIFTS:
        answers = (fill("You could give {x} {y}.", person, gift), sentence(f"{gift} would be nice."))
        extras = ("Wrap it nicely.", "A card is a good idea too.")
        items += _formed("gift", forms, person, "", answers, gift, keys, emoji, extras)
    return items


def weather_items() -> list[Item]:
    """What to wear and what to do in a weather."""
    wearing: Forms = (
        ("What should I wear in {x}?", "What do I need in {x}?"),
        ("There is {x} outside. How do I prepare?", "How should I prepare for {x}?"),
    )
    doing: Forms = (
        ("What can I do in {x}?", "What is fun in {x}?"),
        ("We have {x} today. Any ideas?", "Any ideas for a day with {x}?"),
    )
    items: list[Item] = []
    for name, wear, wear_keys, do, do_keys, emoji in WEATHER:
        worn, done = (sentence(f"{wear}."), f"You should {wear}."), (sentence(f"{do}."), f"You could {do}.")
        items += _formed("weather", wearing, name, "", worn, wear, wear_keys, emoji)
        items += _formed("weather-fun", doing, name, "", done, do, do_keys, emoji)
    return items


MOST_TOPICS = 3  # a word of more topics' wordings says nothing about the topic


def _words(ask: str) -> frozenset[str]:
    return frozenset(word.strip("?!.,'").lower() for word in ask.split())


@cache
def _telling_words() -> frozenset[str]:
    """Words that tell a topic: those in the wordings of at most `MOST_TOPICS` topics."""
    topics = [talk.asks for talk in small_talk()] + list(unknown_asks())
    counts = Counter(word for asks in topics for word in frozenset().union(*map(_words, asks)))
    return frozenset(word for word, count in counts.items() if count <= MOST_TOPICS)


def _worded(name: str, asks: tuple[str, ...], make: Item) -> list[Item]:
    """One item per wording. A held-out wording must share a telling word with one that is taught, because nothing else
    can tell a model what its words mean; a wording that shares none is taught whatever its hash."""
    keys = [f"{name}:{slug(ask)}" for ask in asks]
    taught = frozenset().union(*(_words(ask) for key, ask in zip(keys, asks, strict=True) if not is_heldout(key)))
    known = taught & _telling_words()
    return [
        replace(make, group=key, questions=(ask,), promptable=not is_heldout(key) or bool(_words(ask) & known))
        for key, ask in zip(keys, asks, strict=True)
    ]


def talk_items() -> list[Item]:
    """Small talk: greetings, the model itself, feelings, opinions."""
    items: list[Item] = []
    for talk in small_talk():
        made = Item(
            "",
            (),
            talk.replies,
            min(talk.replies, key=len).rstrip(".!?"),
            (talk.keys,),
            TALK_EXTRAS,
            emoji=talk.emoji,
            manner="talk",
            tags=("small talk",),
        )
        items += _worded("talk", talk.asks, made)
    return items


def refused_items() -> list[Item]:
    """Unsafe asks, one item per act and form of asking."""
    return [
        Item(
            f"unsafe:{slug(act)}:{number}",
            tuple(fill(ask, act) for ask in form),
            REFUSALS,
            "I cannot help with that",
            (REFUSAL_KEYS,),
            REFUSAL_EXTRAS,
            wrongs=COMPLIANCES,
            emoji="🚫",
            manner="refusal",
            tags=("unsafe",),
        )
        for act in unsafe_acts()
        for number, form in enumerate(UNSAFE_FORMS)
    ]


def unknown_items() -> list[Item]:
    """What a small model cannot know."""
    made = Item(
        "",
        (),
        UNKNOWNS,
        "I do not know that",
        (UNKNOWN_KEYS,),
        UNKNOWN_EXTRAS,
        wrongs=INVENTIONS,
        emoji="🤷",
        manner="unknown",
        tags=("out of domain",),
    )
    return [item for asks in unknown_asks() for item in _worded("unknown", asks, made)]


@cache
def other_items() -> tuple[Item, ...]:
    """Every item that is not a fact of the tables."""
    return tuple(
        advice_items()
        + recipe_items()
        + gift_items()
        + weather_items()
        + talk_items()
        + refused_items()
        + unknown_items()
    )
