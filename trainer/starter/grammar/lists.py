"""Choosing from a given list of 3 to 30 entries: by number, word, topic, kind, key, neighbour, or freely.

The entries are new each time, so the only way to be right is to read the list.
"""

from dataclasses import dataclass
from hashlib import sha1
from random import Random

from trainer.starter.grammar.item import Item
from trainer.starter.grammar.things import FOODS, JOBS, SPORTS, THINGS
from trainer.starter.grammar.words import ADJECTIVES, HUES, NAMES, NOUNS, SYLLABLES, TOPICS, TOWNS
from trainer.starter.grammar.world import ANIMALS, COUNTRIES

KINDS: dict[str, tuple[str, ...]] = {
    "animal": tuple(a.name for a in ANIMALS),
    "fruit": tuple(f.name for f in FOODS if f.kind == "fruit" and f.name != "orange"),
    "vegetable": tuple(f.name for f in FOODS if f.kind == "vegetable"),
    "country": tuple(c.name for c in COUNTRIES if " " not in c.name),
    "sport": tuple(s.name for s in SPORTS),
    "job": tuple(j.name for j in JOBS),
    "colour": tuple(h for h in HUES if h != "orange"),
    "name": NAMES,
    "thing in a house": tuple(t.name for t in THINGS[:13]),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as shown and what can be asked about it: (question, entry) pairs, and the questions any entry answers."""

    entries: tuple[str, ...]
    text: str
    numbered: bool
    asks: tuple[tuple[str, str], ...]
    free: tuple[str, ...]


def draw_length(rng: Random, longest: int = 30) -> int:
    """How many entries: most lists are short, because tokens are dear, and one in eight has 15 or more."""
    chance = rng.random()
    low, high = (3, 6) if chance < 0.6 else (7, 14) if chance < 0.88 else (15, 30)
    return min(rng.randint(low, high), longest)


def made_up_word(rng: Random) -> str:
    """A word that means nothing, so it can only be copied."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))


_PLAIN_NOUNS = tuple(noun for noun in NOUNS if not any(noun in words for words in TOPICS.values()))


def _title(rng: Random, noun: str) -> str:
    adjective = rng.choice(ADJECTIVES)
    return rng.choice(
        (
            f"The {adjective} {noun}",
            f"{adjective} {noun}",
            f"The {noun} of {rng.choice(TOWNS)}",
            f"A {noun} for {rng.choice(NAMES)}",
            f"My {adjective} {noun}",
            f"{noun} and {rng.choice(_PLAIN_NOUNS)}",
            f"{rng.choice(NAMES)} and the {noun}",
            f"The {noun}",
            f"The {adjective} {noun} of {rng.choice(NAMES)} and {rng.choice(NAMES)}",
            f"How {rng.choice(NAMES)} Found the {adjective} {noun}",
        )
    )


def _unique(make: list[str], count: int) -> list[str]:
    return list(dict.fromkeys(make))[:count]


def _lay_out(entries: list[str], rng: Random) -> tuple[str, bool]:
    """The list as text, and whether its entries are numbered."""
    chance = rng.random()
    if chance < 0.55:
        return "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1)), True
    if chance < 0.8:
        return "\n".join(f"- {entry}" for entry in entries), False
    return ", ".join(entries), False


def _asks_by_position(entries: list[str], numbered: bool, rng: Random) -> list[tuple[str, str]]:
    asks = [
        (rng.choice(("Which one is first?", "Name the first one.")), entries[0]),
        (rng.choice(("Which one is last?", "Name the last one.")), entries[-1]),
    ]
    for index in rng.sample(range(len(entries)), min(5, len(entries))):
        if numbered:
            asks.append(
                (
                    rng.choice(
                        (
                            "What is number {}?",
                            "Which one is number {}?",
                            "Say number {}.",
                            "Give me item {}.",
                        )
                    ).format(index + 1),
                    entries[index],
                )
            )
        if index + 1 < len(entries):
            asks.append((f"Which one comes after {entries[index]}?", entries[index + 1]))
    return asks


def _asks_by_word(entries: list[str], rng: Random) -> list[tuple[str, str]]:
    words = [set(entry.split()) for entry in entries]
    asks = []
    for index in rng.sample(range(len(entries)), min(3, len(entries))):
        own = sorted(
            w
            for w in words[index]
            if sum(w in other for other in words) == 1 and w not in {"The", "A", "My", "and", "of", "for", "the"}
        )
        if own and len(words[index]) > 1:
            asks.append(
                (
                    rng.choice(
                        (
                            "Which one has the word {}?",
                            "Find the one with the word {}.",
                            "Which one contains {}?",
                        )
                    ).format(rng.choice(own)),
                    entries[index],
                )
            )
    return asks


def draw_listing(rng: Random, longest: int = 30) -> Listing:
    """A list with new entries and the questions it answers."""
    count = draw_length(rng, longest)
    chance = rng.random()
    asks: list[tuple[str, str]] = []
    if chance < 0.4:
        topics = rng.sample(sorted(TOPICS), min(len(TOPICS), rng.randint(2, 8)))
        chosen = topics[0]
        nouns = [rng.choice(TOPICS[rng.choice(topics[1:])]) for _ in range(count - 1)]
        entries = _unique([_title(rng, noun) for noun in nouns], count - 1)
        special = _title(rng, rng.choice(TOPICS[chosen]))
        if special not in entries:
            entries.insert(rng.randint(0, len(entries)), special)
            asks += [
                (
                    rng.choice(
                        (
                            "Which one is about {}?",
                            "I like {}. Which one should I take?",
                            "Recommend one about {}.",
                            "Which one fits someone who likes {}?",
                        )
                    ).format(chosen),
                    special,
                )
            ] * 3
    elif chance < 0.6:
        entries = _unique([_title(rng, rng.choice(NOUNS)) for _ in range(count)], count)
    elif chance < 0.72:
        entries = _unique(
            [" ".join(made_up_word(rng).capitalize() for _ in range(rng.randint(1, 2))) for _ in range(count)],
            count,
        )
    elif chance < 0.9:
        odd, usual = rng.sample(sorted(KINDS), 2)
        entries = rng.sample(KINDS[usual], min(count - 1, len(KINDS[usual])))
        special = rng.choice([entry for entry in KINDS[odd] if entry not in KINDS[usual]])
        entries.insert(rng.randint(0, len(entries)), special)
        article = "an" if odd[0] in "aeiou" else "a"
        asks += [
            (
                rng.choice(
                    (
                        f"Which one is {article} {odd}?",
                        f"Find the {odd}.",
                        f"Which of them is {article} {odd}?",
                    )
                ),
                special,
            )
        ] * 3
    else:
        mixed = [rng.choice(KINDS[rng.choice(sorted(KINDS))]) for _ in range(count)]
        entries = _unique(mixed, count)
    if len(entries) < 3:  # two titles were the same
        return draw_listing(rng, longest)
    text, numbered = _lay_out(entries, rng)
    asks += _asks_by_position(entries, numbered, rng) + _asks_by_word(entries, rng)
    free = (
        "Choose one.",
        "Pick one for me.",
        "Which one should I take?",
        "Recommend one.",
        "Which one do you like?",
    )
    return Listing(tuple(entries), text, numbered, tuple(asks), free)


def draw_lookup(rng: Random) -> Listing:
    """A list of "name: value" lines, asked by name."""
    count = draw_length(rng, 20)
    names = rng.sample(NAMES, count)
    what = rng.choice(("code", "room", "colour", "word", "town"))
    values = {
        "code": lambda: str(rng.randint(10, 999)),
        "room": lambda: str(rng.randint(1, 99)),
        "colour": lambda: rng.choice(HUES),
        "word": lambda: made_up_word(rng),
        "town": lambda: rng.choice(TOWNS),
    }
    pairs = [(name, values[what]()) for name in names]
    asks = [
        (rng.choice((f"What is the {what} of {name}?", f"Which {what} has {name}?")), value)
        for name, value in rng.sample(pairs, min(4, count))
    ]
    text = (
        "\n".join(f"{name}: {value}" for name, value in pairs)
        if rng.random() < 0.6
        else ", ".join(f"{name}: {value}" for name, value in pairs)
    )
    return Listing(tuple(value for _, value in pairs), text, False, tuple(asks), ())


def list_item(listing: Listing, rng: Random) -> Item:
    """One question about the list, list and question in one message."""
    if listing.free and rng.random() < 0.12:
        question, entry = rng.choice(listing.free), rng.choice(listing.entries)
        keys, tag = listing.entries, "free choice"
    else:
        question, entry = rng.choice(listing.asks)
        keys, tag = (entry,), "list"
    lead = rng.choice(("Here is a list:", "The list:", "Look at this list:", "Choose from this list:"))
    separator = "\n" if "\n" in listing.text else " "
    texts = (
        f"{question}\n{listing.text}",
        f"{lead}{separator}{listing.text}\n{question}",
        f"{listing.text}\n{question}",
    )
    digest = sha1((question + listing.text).encode()).hexdigest()[:12]
    others = [other for other in listing.entries if other != entry]
    free = tag == "free choice"
    beside = () if free else tuple(dict.fromkeys(other for other in others if other.lower() not in entry.lower()))
    return Item(
        group=f"list:{digest}",
        questions=texts,
        answers=(f"It is {entry}.", f"I choose {entry}.", f"{entry} is the one.", f"My answer is {entry}."),
        bare=entry,
        keys=(keys,),
        extras=(
            "I looked at the whole list.",
            "The others do not fit.",
            f"The list has {len(listing.entries)} entries.",
        ),
        wrongs=() if free else tuple(f"It is {other}." for other in others[:3]),
        emoji="📋",
        tags=("list", tag),
        none_of=beside,
    )
