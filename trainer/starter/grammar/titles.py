"""What stands in lists: titles, dishes, places, tasks, people and things, each domain with its categories.

Entries are drawn anew each time and their category says nothing about their words, so it must be read from the list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from trainer.starter.grammar.things import FOODS, JOBS, SPORTS, THINGS
from trainer.starter.grammar.words import (
    ADJECTIVES,
    BELONGINGS,
    HUES,
    NAMES,
    NOUNS,
    TOPICS,
    TOWNS,
    made_up_word,
)
from trainer.starter.grammar.world import ANIMALS, COUNTRIES


@dataclass(frozen=True, slots=True)
class Category:
    """`label` stands in the list ("horror"); `one` and `many` in questions ("horror film", "horror films")."""

    label: str
    one: str
    many: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A sort of entries: how one and many are called, how one is drawn, which categories there are."""

    noun: str
    nouns: str
    entry: Callable[[Random], str]
    categories: tuple[Category, ...]


def title(rng: Random, noun: str) -> str:
    """A title with the noun in it; its other nouns belong to no topic."""
    pick = rng.choice
    match rng.randrange(14):
        case 0 | 1:
            return f"The {pick(ADJECTIVES)} {noun}"
        case 2:
            return f"{pick(ADJECTIVES)} {noun}"
        case 3:
            return f"The {noun} of {pick(TOWNS)}"
        case 4:
            return f"A {noun} for {pick(NAMES)}"
        case 5:
            return f"My {pick(ADJECTIVES)} {noun}"
        case 6:
            return f"{noun} and {pick(plain_nouns())}"
        case 7:
            return f"{pick(NAMES)} and the {noun}"
        case 8:
            return f"The {noun}"
        case 9:
            return f"The {pick(ADJECTIVES)} {noun} of {pick(NAMES)} and {pick(NAMES)}"
        case 10:
            return f"How {pick(NAMES)} Found the {pick(ADJECTIVES)} {noun}"
        case 11:
            return f"{noun} in {pick(TOWNS)}"
        case 12:
            return f"{made_up_word(rng).capitalize()} and the {noun}"
        case _:
            return f"Return to the {noun}"


@cache
def plain_nouns() -> tuple[str, ...]:
    """Nouns of titles that belong to no topic."""
    taken = {word for words in TOPICS.values() for word in words}
    return tuple(noun for noun in NOUNS if noun not in taken)


def _any_title(rng: Random) -> str:
    return title(rng, rng.choice(NOUNS))


def _name(rng: Random) -> str:
    return " ".join([made_up_word(rng).capitalize() for _ in range(rng.randint(1, 2))])


def _dish(rng: Random) -> str:
    food = rng.choice(FOODS).name
    match rng.randrange(5):
        case 0:
            return f"{food} soup"
        case 1:
            return f"{rng.choice(('baked', 'grilled', 'cold', 'spicy', 'sweet', 'stuffed'))} {food}"
        case 2:
            return f"{food} with {rng.choice(FOODS).name}"
        case 3:
            return f"{made_up_word(rng)} {rng.choice(('stew', 'pie', 'salad', 'curry', 'cake', 'noodles'))}"
        case _:
            return f"{food} {rng.choice(('cream', 'toast', 'pancakes', 'rolls', 'sauce', 'juice'))}"


def _task(rng: Random) -> str:
    match rng.randrange(4):
        case 0:
            return f"call {rng.choice(NAMES)}"
        case 1:
            verb = rng.choice(("wash", "repair", "sell", "paint", "find"))
            return f"{verb} the {rng.choice(HUES)} {rng.choice(BELONGINGS)}"
        case 2:
            return f"buy {rng.choice(FOODS).plural}"
        case _:
            verb = rng.choice(("write to", "meet", "visit", "thank"))
            return f"{verb} {rng.choice(NAMES)} {made_up_word(rng).capitalize()}"


def _place(rng: Random) -> str:
    made = made_up_word(rng).capitalize()
    chance = rng.random()
    return made if chance < 0.4 else rng.choice(TOWNS) if chance < 0.6 else f"{rng.choice(ADJECTIVES)} {made}"


def _person(rng: Random) -> str:
    return f"{rng.choice(NAMES)} {made_up_word(rng).capitalize()}"


def _object(rng: Random) -> str:
    return f"{rng.choice(HUES)} {rng.choice(BELONGINGS)}"


def _labelled(text: str, noun: str, nouns: str) -> tuple[Category, ...]:
    """Categories that come before the noun: "horror" gives "horror film" and "horror films"."""
    return tuple(Category(label, f"{label} {noun}", f"{label} {nouns}") for label in text.split(","))


def _named(text: str) -> tuple[Category, ...]:
    """Categories that are nouns: "comedy comedies"."""
    return tuple(Category(one, one, many) for one, _, many in (pair.partition(">") for pair in text.split(",")))


_KINDS_OF_TALE = "comedy>comedies,drama>dramas,thriller>thrillers,romance>romances,western>westerns,mystery>mysteries,musical>musicals,documentary>documentaries,tragedy>tragedies"  # noqa: E501


@cache
def domains() -> tuple[Domain, ...]:
    """Every domain; films and books come twice, because people ask most about them."""
    films = _named(_KINDS_OF_TALE) + _labelled("horror,crime,war,family,fantasy,adventure", "film", "films")
    books = _named("novel>novels,biography>biographies,cookbook>cookbooks,atlas>atlases,mystery>mysteries") + _labelled(
        "poetry,history,travel,children's,science,fantasy", "book", "books"
    )
    jobs = tuple(Category(job.name, job.name, f"{job.name}s") for job in JOBS if not job.name.endswith("man"))
    rooms = _labelled("kitchen,garage,attic,cellar,bathroom,office", "thing", "things")
    return (
        Domain("film", "films", _any_title, films),
        Domain("film", "films", _any_title, films),
        Domain("book", "books", _any_title, books),
        Domain("book", "books", _any_title, books),
        Domain(
            "song", "songs", _any_title, _labelled("rock,pop,jazz,folk,blues,soul,dance,country,rap", "song", "songs")
        ),
        Domain(
            "dish",
            "dishes",
            _dish,
            _named("starter>starters,dessert>desserts,soup>soups,salad>salads,snack>snacks,drink>drinks")
            + _labelled("main,side,vegetarian", "dish", "dishes"),
        ),
        Domain(
            "place", "places", _place, _named("city>cities,village>villages,beach>beaches,island>islands,lake>lakes")
        ),
        Domain("task", "tasks", _task, _labelled("home,work,garden,family,urgent,weekend", "task", "tasks")),
        Domain("game", "games", _name, _labelled("card,board,party,video,ball,word", "game", "games")),
        Domain("person", "people", _person, jobs),
        Domain("thing", "things", _object, rooms),
    )


@cache
def kinds() -> dict[str, tuple[str, ...]]:
    """Entries whose kind one must know, not read: animals, fruits, countries ..."""
    return {
        "animal": tuple(a.name for a in ANIMALS),
        "fruit": tuple(f.name for f in FOODS if f.kind == "fruit" and f.name != "orange"),
        "vegetable": tuple(f.name for f in FOODS if f.kind == "vegetable"),
        "country": tuple(c.name for c in COUNTRIES if " " not in c.name and c.name != "Turkey"),
        "sport": tuple(s.name for s in SPORTS),
        "job": tuple(j.name for j in JOBS),
        "colour": tuple(h for h in HUES if h != "orange"),
        "name": NAMES,
        "city": TOWNS,
        "thing in a house": tuple(t.name for t in THINGS[:13]),
    }
