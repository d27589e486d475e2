"""Questions that a given short text answers. People and their things are drawn anew each time."""

from hashlib import sha1
from random import Random

from trainer.starter.grammar.item import Item
from trainer.starter.grammar.things import FOODS, JOBS, SPORTS
from trainer.starter.grammar.words import BELONGINGS, DAYS, HUES, NAMES, TOWNS
from trainer.starter.grammar.world import ANIMALS

Fact = tuple[str, tuple[str, ...], str]
"""(sentence of the text, questions, the value that answers them)."""

_PETS = tuple(animal.name for animal in ANIMALS[:7])


def _fact(kind: int, name: str, rng: Random) -> Fact:
    match kind:
        case 0:
            town = rng.choice(TOWNS)
            return (
                f"{name} lives in {town}.",
                (f"Where does {name} live?", f"In which town does {name} live?"),
                town,
            )
        case 1:
            hue, thing = rng.choice(HUES), rng.choice(BELONGINGS)
            return (
                f"{name} has {'an' if hue == 'orange' else 'a'} {hue} {thing}.",
                (f"What colour is the {thing} of {name}?", f"Which colour has {name}'s {thing}?"),
                hue,
            )
        case 2:
            job = rng.choice([job.name for job in JOBS if job.name[0] not in "aeiou"])
            return (
                f"{name} is a {job}.",
                (f"What is the job of {name}?", f"What does {name} do for a living?"),
                job,
            )
        case 3:
            food = rng.choice(FOODS).plural
            return f"{name} likes {food}.", (f"What does {name} like?", f"Which food does {name} like?"), food
        case 4:
            age = str(rng.randint(6, 90))
            return f"{name} is {age} years old.", (f"How old is {name}?", f"What is the age of {name}?"), age
        case 5:
            sport = rng.choice(SPORTS).name
            return (
                f"The hobby of {name} is {sport}.",
                (f"What is the hobby of {name}?", f"Which hobby has {name}?"),
                sport,
            )
        case 6:
            day = rng.choice(DAYS)
            return (
                f"{name} is free on {day}.",
                (f"When is {name} free?", f"On which day is {name} free?"),
                day,
            )
        case _:
            pet = rng.choice(_PETS)
            return f"{name} has a {pet} at home.", (f"Which animal has {name}?", f"What pet has {name}?"), pet


def draw_text(rng: Random) -> tuple[str, list[Fact]]:
    """A text of 2 to 9 sentences and the facts in it; no two facts share a person and a kind."""
    people = rng.sample(NAMES, rng.randint(1, 4))
    slots = [(kind, name) for kind in range(8) for name in people]
    facts = [_fact(kind, name, rng) for kind, name in rng.sample(slots, min(len(slots), rng.randint(2, 9)))]
    return " ".join(fact[0] for fact in facts), facts


def text_item(rng: Random) -> Item:
    """One question about a text, both in one message."""
    text, facts = draw_text(rng)
    stated, questions, value = rng.choice(facts)
    question = rng.choice(questions)
    digest = sha1((question + text).encode()).hexdigest()[:12]
    others = [other for _, _, other in facts if other != value]
    return Item(
        group=f"text:{digest}",
        questions=(f"{text}\n{question}", f"Read this: {text}\n{question}", f"{question}\nText: {text}"),
        answers=(stated, f"The text says: {value}.", f"The answer is {value}."),
        bare=value,
        keys=((value,),),
        extras=("I found that in the text.", "The text says so."),
        wrongs=tuple(f"The answer is {other}." for other in others[:3]),
        emoji="📄",
        tags=("text",),
    )
