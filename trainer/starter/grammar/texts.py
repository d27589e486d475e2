"""Questions that a given short text answers. People, things and events are drawn anew each time."""

from collections.abc import Callable
from hashlib import sha1
from random import Random

from trainer.starter.grammar.daily import instruments
from trainer.starter.grammar.item import Item
from trainer.starter.grammar.things import FOODS, JOBS, SPORTS
from trainer.starter.grammar.words import BELONGINGS, DAYS, HUES, MONTHS, NAMES, TOWNS, made_up_word, split_words
from trainer.starter.grammar.world import ANIMALS

Fact = tuple[str, tuple[str, ...], str]
"""(sentence of the text, questions, the value that answers them)."""

_PETS = tuple(animal.name for animal in ANIMALS[:7])
_JOBS = tuple(job.name for job in JOBS if job.name[0] not in "aeiou")
_EVENTS = split_words("meeting concert party lesson dinner match film market wedding picnic exam tour")
_WAYS = ("by train", "by bus", "by car", "by plane", "on foot", "by bicycle", "by ship")


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _belonging(name: str, rng: Random) -> Fact:
    hue, thing = rng.choice(HUES), rng.choice(BELONGINGS)
    questions = (
        f"What colour is the {thing} of {name}?",
        f"Which colour has {name}'s {thing}?",
        f"Tell me the colour of {name}'s {thing}.",
    )
    return f"{name} has {_article(hue)} {thing}.", questions, hue


def _stated(sentence: str, *questions: str) -> Callable[[str, str], Fact]:
    """Sentence and questions with {n} for the name and {v} for the value."""

    def fact(name: str, value: str) -> Fact:
        return (
            sentence.replace("{n}", name).replace("{v}", value),
            tuple([question.replace("{n}", name) for question in questions]),
            value,
        )

    return fact


_LIVES = _stated("{n} lives in {v}.", "Where does {n} live?", "In which town does {n} live?", "What is {n}'s home?")
_JOB = _stated("{n} is a {v}.", "What is the job of {n}?", "What does {n} do for a living?", "What is {n}'s job?")
_LIKES = _stated("{n} likes {v}.", "What does {n} like?", "Which food does {n} like?")
_AGE = _stated("{n} is {v} years old.", "How old is {n}?", "What is the age of {n}?", "What is {n}'s age?")
_HOBBY = _stated("The hobby of {n} is {v}.", "What is the hobby of {n}?", "Which hobby has {n}?")
_FREE = _stated("{n} is free on {v}.", "When is {n} free?", "On which day is {n} free?")
_PET = _stated("{n} has a {v} at home.", "Which animal has {n}?", "What pet has {n}?", "What is {n}'s pet?")
_BORN = _stated("{n} was born in {v}.", "In which month was {n} born?", "When was {n} born?")
_COUSIN = _stated("The cousin of {n} is called {v}.", "What is the name of {n}'s cousin?", "Who is the cousin of {n}?")
_PLAYS = _stated("{n} plays the {v}.", "Which instrument does {n} play?", "What does {n} play?")
_COMES = _stated("{n} comes {v}.", "How does {n} come?", "How does {n} travel?")
_WHEN = _stated("The {n} is on {v}.", "When is the {n}?", "On which day is the {n}?")
_WHERE = _stated("The {n} takes place in {v}.", "Where is the {n}?", "In which town is the {n}?")
_PRICE = _stated("The {n} costs {v} euros.", "What does the {n} cost?", "How much is the {n}?", "Price of the {n}?")
_BEGINS = _stated("The {n} begins at {v}.", "When does the {n} begin?", "At what time does the {n} start?")
_LEADER = _stated("{v} leads the {n}.", "Who leads the {n}?", "Whose {n} is it?", "Who is in charge of the {n}?")

PERSON_FACTS = 12
EVENT_FACTS = 5


def _person_fact(kind: int, name: str, rng: Random) -> Fact:
    pick = rng.choice
    match kind:
        case 0:
            return _LIVES(name, pick(TOWNS) if rng.random() < 0.7 else made_up_word(rng).capitalize())
        case 1:
            return _belonging(name, rng)
        case 2:
            return _JOB(name, pick(_JOBS))
        case 3:
            return _LIKES(name, pick(FOODS).plural)
        case 4:
            return _AGE(name, str(rng.randint(6, 90)))
        case 5:
            return _HOBBY(name, pick(SPORTS).name)
        case 6:
            return _FREE(name, pick(DAYS))
        case 7:
            return _PET(name, pick(_PETS))
        case 8:
            return _BORN(name, pick(MONTHS))
        case 9:
            return _COUSIN(name, pick(NAMES) if rng.random() < 0.6 else made_up_word(rng).capitalize())
        case 10:
            return _PLAYS(name, pick(instruments()))
        case _:
            return _COMES(name, pick(_WAYS))


def _event_fact(kind: int, name: str, rng: Random) -> Fact:
    match kind:
        case 0:
            return _WHEN(name, rng.choice(DAYS))
        case 1:
            return _WHERE(name, rng.choice(TOWNS))
        case 2:
            return _PRICE(name, str(rng.randint(2, 90)))
        case 3:
            return _BEGINS(name, str(rng.randint(1, 12)))
        case _:
            return _LEADER(name, rng.choice(NAMES))


def draw_text(rng: Random) -> tuple[str, list[Fact]]:
    """A text of 2 to 9 sentences and the facts in it; no two facts share a person or event and a kind."""
    if rng.random() < 0.7:
        names, kinds, make = rng.sample(NAMES, rng.randint(1, 4)), PERSON_FACTS, _person_fact
    else:
        names, kinds, make = rng.sample(_EVENTS, rng.randint(1, 3)), EVENT_FACTS, _event_fact
    slots = kinds * len(names)
    chosen = rng.sample(range(slots), min(slots, rng.randint(2, 9)))
    facts = [make(slot % kinds, names[slot // kinds], rng) for slot in chosen]
    return " ".join([fact[0] for fact in facts]), facts


def text_group(text: str, question: str) -> str:
    """The identity of the question: a hash of text and question."""
    return f"text:{sha1((question + text).encode()).hexdigest()[:12]}"


def question_item(text: str, facts: list[Fact], rng: Random, *, shown: bool = True) -> Item:
    """One question about the text; both in one message, or the question alone if the text was shown."""
    stated, questions, value = rng.choice(facts)
    question = rng.choice(questions)
    others = [other for _, _, other in facts if other != value]
    says = ("The text says: {v}.", "The answer is {v}.", "It says {v}.", stated.replace(value, "{v}"))
    shown_forms = (f"{text}\n{question}", f"Read this: {text}\n{question}", f"{question}\nText: {text}")
    return Item(
        group=text_group(text, question),
        questions=shown_forms if shown else (question,),
        answers=tuple([form.replace("{v}", value) for form in says]),
        bare=value,
        keys=((value,),),
        extras=("I found that in the text.", "The text says so.", "You can read it there."),
        wrongs=tuple(
            (says[number % len(says)].replace("{v}", other), other)
            for number, other in enumerate(dict.fromkeys(others))
        ),
        emoji="📄",
        tags=("text",),
        context=text,
    )


def text_item(rng: Random) -> Item:
    """One question about a new text, both in one message."""
    text, facts = draw_text(rng)
    return question_item(text, facts, rng)
