"""Items made from the fact tables: direct and reversed questions, yes or no, "tell me about".

`fact_items()` is every direct and reversed question; yes/no questions are too many to list, `random_doubt` draws one.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from random import Random

from trainer.starter.grammar.item import Item, sentence
from trainer.starter.grammar.relation import Pair, Relation
from trainer.starter.grammar.relations import ABOUT, RELATIONS

NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
MOST_WRONGS = 12  # of one item: enough to choose from
_ARTICLE = re.compile(r"\b([Aa]) (?=(?!uni|use|eur|one)[aeiouAEIOU])")


@lru_cache(maxsize=50_000)
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
def values_of(relation: Relation) -> tuple[str, ...]:
    """Every value of the relation, each once."""
    return tuple(sorted({value for _, _, value in relation.pairs}))


def _some(values: Sequence[str], but: str) -> list[str]:
    """At most `MOST_WRONGS` of the values, spread over all of them, without the true one."""
    others = [value for value in values if value != but]
    return others[:: max(1, len(others) // MOST_WRONGS)][:MOST_WRONGS]


@cache
def statements_of(entity: str) -> tuple[tuple[str, ...], ...]:
    """What the tables hold about an entity: for each relation, every way to say it."""
    return tuple(
        tuple(fill(template, x, y) for template in relation.statements if "{x}" in template)
        for relation, x, y in _facts_by_entity()[entity]
    )


@cache
def _facts_by_entity() -> dict[str, list[tuple[Relation, str, str]]]:
    facts: dict[str, list[tuple[Relation, str, str]]] = defaultdict(list)
    for relation in RELATIONS:
        for name, x, y in relation.pairs:
            facts[name].append((relation, x, y))
    return facts


def siblings(relation: Relation, pair: Pair) -> tuple[str, ...]:
    """True sentences about the same entity from the other relations."""
    own = {fill(template, pair[1], pair[2]) for template in relation.statements}
    return tuple(ways[0] for ways in statements_of(pair[0]) if ways[0] not in own)


@cache
def direct_item(relation: Relation, pair: Pair) -> Item:
    """ "What is the capital of France?"."""
    _, x, y = pair
    ways = relation.statements
    return Item(
        group=f"{relation.name}:{slug(x)}",
        questions=tuple(fill(q, x, y) for q in relation.questions),
        answers=tuple(fill(s, x, y) for s in relation.statements),
        bare=y,
        keys=(key_words(y) + _surname(relation, y),),
        extras=siblings(relation, pair),
        wrongs=tuple(
            (fill(ways[number % len(ways)], x, other), other)
            for number, other in enumerate(_some(values_of(relation), y))
        ),
        emoji=relation.emoji,
        tags=("fact", relation.topic),
    )


def reversed_item(relation: Relation, pair: Pair) -> Item:
    """ "Which country has Paris as its capital?"."""
    _, x, y = pair
    ways = [statement for statement in relation.statements if "{x}" in statement]
    subjects = [other for _, other, _ in relation.pairs]
    return Item(
        group=f"{relation.name}-of:{slug(y)}",
        questions=tuple(fill(q, x, y) for q in relation.reverse),
        answers=tuple(fill(way, x, y) for way in ways),
        bare=x,
        keys=(key_words(x),),
        extras=siblings(relation, pair),
        wrongs=tuple(
            (fill(ways[number % len(ways)], other, y), other) for number, other in enumerate(_some(subjects, x))
        ),
        emoji=relation.emoji,
        tags=("fact", relation.topic),
    )


def doubt_item(relation: Relation, pair: Pair, other: str | None) -> Item:
    """ "Is Paris the capital of France?", with `other` in place of the true value for a question to be denied."""
    _, x, y = pair
    shown = y if other is None else other
    word, wrong = ("Yes", "No") if other is None else ("No", "Yes")
    truths = [fill(statement, x, y) for statement in relation.statements[:2]]
    claimed = shown if other else values_of(relation)[0]
    claims = [fill(statement, x, claimed) for statement in relation.statements[:2]]
    return Item(
        group=f"is:{relation.name}:{slug(x)}:{slug(shown)}",
        questions=tuple(fill(q, x, shown) for q in relation.doubt),
        answers=_concluded(word.lower(), truths),
        bare=f"{y}, so {word.lower()}",
        keys=((word.lower(),),),
        none_of=(wrong.lower(),),
        extras=siblings(relation, pair),
        wrongs=tuple((claim, f"{claimed}, so {wrong.lower()}") for claim in _concluded(wrong.lower(), claims)),
        emoji="✅" if other is None else "❌",
        tags=("fact", "yes or no", relation.topic),
    )


def _concluded(word: str, sentences: list[str]) -> tuple[str, ...]:
    """The fact first, then yes or no: a small model that says yes before it has said the fact guesses."""
    return (*(f"{text.rstrip('.')}, so {word}." for text in sentences), *(f"{text} So {word}." for text in sentences))


def _inner(text: str, *names: str) -> str:
    """A sentence as the second part of another: lower-cased unless it begins with one of the names."""
    starts_with_name = any(text.startswith(name) and name[:1].isupper() for name in names)
    return text if starts_with_name else text[:1].lower() + text[1:]


def _surname(relation: Relation, value: str) -> tuple[str, ...]:
    """The last word of a maker's name is as good as the whole."""
    made = relation.name in {"writer", "painter", "composer"} and " " in value
    return (value.rsplit(" ", 1)[1],) if made else ()


@cache
def _all_pairs() -> tuple[tuple[Relation, Pair], ...]:
    return tuple((relation, pair) for relation in RELATIONS for pair in relation.pairs)


def random_doubt(rng: Random) -> Item:
    """A yes/no question about a random fact; where other values can be denied, half of them are denied."""
    relation, pair = rng.choice(_all_pairs())
    if not relation.exclusive or rng.random() < 0.5:
        return doubt_item(relation, pair, None)
    values = values_of(relation)
    other = rng.choice(values)
    while other == pair[2]:
        other = rng.choice(values)
    return doubt_item(relation, pair, other)


ABOUT_ASKS = (
    "Tell me about {x}.",
    "What do you know about {x}?",
    "Give me a fact about {x}.",
    "Say something about {x}.",
)


@cache
def _about_asks(entity: str) -> tuple[str, ...]:
    return tuple(fill(ask, ABOUT[entity]) for ask in ABOUT_ASKS)


@cache
def _subjects(entity: str) -> tuple[str, ...]:
    return tuple(x for _, x, _ in _facts_by_entity()[entity])


@cache
def _names(entity: str) -> tuple[str, ...]:
    """What a sentence about the entity may begin with and keep its capital letter: subjects and values."""
    return tuple(name for _, x, y in _facts_by_entity()[entity] for name in (x, y))


@cache
def about_entities() -> tuple[str, ...]:
    """Everything that can be told about, in a fixed order."""
    return tuple(sorted(ABOUT))


def about_item(entity: str, rng: Random) -> Item:
    """ "Tell me about France.": one or two true sentences. Never held out, so that every fact is taught."""
    told = [rng.choice(ways) for ways in statements_of(entity)]
    rng.shuffle(told)
    name = ABOUT[entity]
    return Item(
        group=f"about:{slug(name)}",
        questions=_about_asks(entity),
        answers=(told[0], " ".join(told[:2])),
        bare=_inner(told[0], *_names(entity)).rstrip("."),
        keys=(tuple(dict.fromkeys((name.removeprefix("a ").removeprefix("the word "), entity, *_subjects(entity)))),),
        extras=tuple(told[2:4]),
        emoji="💡",
        tags=("fact", "about"),
        promptable=False,
    )


@cache
def _reversible() -> tuple[tuple[Relation, Pair], ...]:
    """Every fact whose value tells its subject."""
    asked = [(relation, [value for _, _, value in relation.pairs]) for relation in RELATIONS if relation.reverse]
    return tuple(
        (relation, pair) for relation, values in asked for pair in relation.pairs if values.count(pair[2]) == 1
    )


@cache
def fact_items() -> tuple[Item, ...]:
    """Every direct and every reversed fact."""
    direct = [direct_item(relation, pair) for relation in RELATIONS for pair in relation.pairs]
    return (*direct, *(reversed_item(relation, pair) for relation, pair in _reversible()))


@cache
def mention_items() -> tuple[Item, ...]:
    """ "Tell me about Paris.": the subject in its answer has to be known from the value. Never held out."""
    return tuple(_mention_item(relation, pair) for relation, pair in _reversible())


def _mention_item(relation: Relation, pair: Pair) -> Item:
    _, x, y = pair
    name = relation.mention.replace("{y}", y)
    told = [fill(way, x, y) for way in relation.statements if "{x}" in way]
    return Item(
        group=f"about:{slug(name)}",
        questions=tuple(fill(ask, name) for ask in ABOUT_ASKS),
        answers=tuple(told),
        bare=_inner(told[0], x, y).rstrip("."),
        keys=(key_words(x),),
        extras=siblings(relation, pair),
        emoji="💡",
        tags=("fact", "about"),
        promptable=False,
    )
