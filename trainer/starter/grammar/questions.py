"""Items made from the fact tables: direct and reversed questions, yes or no, "tell me about".

`fact_items()` is every direct and reversed question; yes/no questions are too many to list, `random_doubt` draws one.
"""

import re
from functools import cache
from random import Random

from trainer.starter.grammar.item import Item, sentence
from trainer.starter.grammar.relation import Pair, Relation
from trainer.starter.grammar.relations import ABOUT, RELATIONS

NUMBERS = {
    "zero": "0",
    "two": "2",
    "four": "4",
    "five": "5",
    "six": "6",
    "eight": "8",
    "nine": "9",
    "eleven": "11",
}
_ARTICLE = re.compile(r"\b([Aa]) (?=(?!uni|use|eur|one)[aeiouAEIOU])")


def fill(template: str, x: str, y: str = "") -> str:
    """The template with its subject and value, the right article and a capital letter at the start."""
    text = template.replace("{x}", x).replace("{y}", y)
    return sentence(_ARTICLE.sub(r"\1n ", text))


def slug(text: str) -> str:
    """The text as part of a group key: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def key_words(value: str) -> tuple[str, ...]:
    """The wordings of a value that a check accepts: without its article, and numbers as digits too."""
    short = re.sub(r"^(a|an|the) ", "", value)
    return (short, NUMBERS[short]) if short in NUMBERS else (short,)


@cache
def statements_of(entity: str) -> tuple[tuple[str, ...], ...]:
    """What the tables hold about an entity: for each relation, every way to say it."""
    return tuple(
        tuple(fill(template, x, y) for template in relation.statements)
        for relation in RELATIONS
        for name, x, y in relation.pairs
        if name == entity
    )


def siblings(relation: Relation, pair: Pair) -> tuple[str, ...]:
    """True sentences about the same entity from the other relations."""
    own = {fill(template, pair[1], pair[2]) for template in relation.statements}
    return tuple(ways[0] for ways in statements_of(pair[0]) if ways[0] not in own)


def direct_item(relation: Relation, pair: Pair) -> Item:
    """ "What is the capital of France?"."""
    _, x, y = pair
    others = sorted({value for _, _, value in relation.pairs} - {y})
    return Item(
        group=f"{relation.name}:{slug(x)}",
        questions=tuple(fill(q, x, y) for q in relation.questions),
        answers=tuple(fill(s, x, y) for s in relation.statements),
        bare=y,
        keys=(key_words(y),),
        extras=siblings(relation, pair),
        wrongs=tuple(fill(relation.statements[0], x, other) for other in others),
        emoji=relation.emoji,
        tags=("fact", relation.topic),
    )


def reversed_item(relation: Relation, pair: Pair) -> Item:
    """ "Which country has Paris as its capital?"."""
    _, x, y = pair
    others = [other for _, other, _ in relation.pairs if other != x]
    return Item(
        group=f"{relation.name}-of:{slug(y)}",
        questions=tuple(fill(q, x, y) for q in relation.reverse),
        answers=tuple(fill(s, x, y) for s in relation.statements),
        bare=x,
        keys=(key_words(x),),
        extras=siblings(relation, pair),
        wrongs=tuple(fill(relation.statements[0], other, y) for other in others),
        emoji=relation.emoji,
        tags=("fact", relation.topic),
    )


def doubt_item(relation: Relation, pair: Pair, other: str | None) -> Item:
    """ "Is Paris the capital of France?", with `other` in place of the true value for a question to be denied."""
    _, x, y = pair
    shown = y if other is None else other
    truth = fill(relation.statements[0], x, y)
    word, wrong = ("Yes", "No") if other is None else ("No", "Yes")
    return Item(
        group=f"is:{relation.name}:{slug(x)}:{slug(shown)}",
        questions=tuple(fill(q, x, shown) for q in relation.doubt),
        answers=(f"{word}, {_inner(truth, x)}", f"{word}. {truth}"),
        bare=word.lower(),
        keys=((word.lower(),),),
        none_of=(wrong.lower(),),
        extras=siblings(relation, pair),
        wrongs=(f"{wrong}, {_inner(fill(relation.statements[0], x, shown if other else 'something else'), x)}",)
        if other
        else (f"{wrong}, that is not true.",),
        emoji="✅" if other is None else "❌",
        tags=("fact", "yes or no", relation.topic),
    )


def _inner(text: str, subject: str) -> str:
    """A sentence as the second part of another: lower-cased unless it begins with a name."""
    starts_with_name = text.startswith(subject) and subject[:1].isupper()
    return text if starts_with_name else text[:1].lower() + text[1:]


def random_doubt(rng: Random) -> Item:
    """A yes/no question from a random relation; where other values can be denied, half of them are denied."""
    relation = rng.choice(RELATIONS)
    pair = rng.choice(relation.pairs)
    if not relation.exclusive or rng.random() < 0.5:
        return doubt_item(relation, pair, None)
    return doubt_item(relation, pair, rng.choice(sorted({value for _, _, value in relation.pairs} - {pair[2]})))


def about_item(entity: str, rng: Random) -> Item:
    """ "Tell me about France.": one or two true sentences. Never held out, so that every fact is taught."""
    told = [rng.choice(ways) for ways in statements_of(entity)]
    rng.shuffle(told)
    name = ABOUT[entity]
    asks = (
        "Tell me about {x}.",
        "What do you know about {x}?",
        "Give me a fact about {x}.",
        "Say something about {x}.",
    )
    answers = (told[0], " ".join(told[:2]))
    return Item(
        group=f"about:{slug(name)}",
        questions=tuple(fill(ask, name) for ask in asks),
        answers=answers,
        bare=told[0].rstrip("."),
        keys=((name.removeprefix("a ").removeprefix("the word "), entity),),
        extras=tuple(told[2:4]),
        emoji="💡",
        tags=("fact", "about"),
        promptable=False,
    )


@cache
def fact_items() -> tuple[Item, ...]:
    """Every direct and every reversed fact."""
    items = [direct_item(relation, pair) for relation in RELATIONS for pair in relation.pairs]
    for relation in RELATIONS:
        values = [value for _, _, value in relation.pairs]
        items += [
            reversed_item(relation, pair) for pair in relation.pairs if relation.reverse and values.count(pair[2]) == 1
        ]
    return tuple(items)
