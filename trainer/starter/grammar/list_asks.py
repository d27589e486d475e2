"""What is asked about a list: by number, place, word, category, topic, kind, name or freely; one entry or several.

An `Ask` names the entries that answer it. `list_item` makes an item of list and ask; its group key is a hash of both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from random import Random

from trainer.starter.grammar.item import Item
from trainer.starter.grammar.lists import Listing

ORDINALS = ("first", "second", "third", "fourth", "fifth")
SMALL_NUMBERS = ("two", "three", "four")
MOST_AT_ONCE = 6  # entries in one reply
_PLURALS = {"country": "countries", "city": "cities", "thing in a house": "things in a house"}
_PLAIN_WORDS = frozenset(["The", "A", "My", "and", "of", "for", "the", "in", "to", "with", "How", "Return", "Found"])


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about a list.

    question  without the list
    entries   the entries (or the category) that answer it
    every     all of them are asked for; otherwise any one of them will do
    advice    the person wants a recommendation
    """

    question: str
    entries: tuple[str, ...]
    every: bool = False
    advice: bool = False


def _by_place(listing: Listing, rng: Random) -> Ask:
    noun, entries = listing.domain.noun, listing.entries
    if rng.random() < 0.35:
        forms = ("Which one is last?", "Name the last one.", f"What is the last {noun}?", "Which one comes last?")
        return Ask(rng.choice(forms), (entries[-1],))
    index = 0 if rng.random() < 0.6 else rng.randrange(min(len(entries), len(ORDINALS)))
    place = ORDINALS[index]
    forms = (f"Which one is {place}?", f"Name the {place} one.", f"What is the {place} {noun}?", f"The {place} one?")
    return Ask(rng.choice(forms), (entries[index],))


def _by_number(listing: Listing, rng: Random) -> Ask | None:
    if not listing.numbered:
        return None
    index = rng.randrange(len(listing.entries))
    forms = (
        "What is number {}?",
        "Which one is number {}?",
        "Say number {}.",
        "Give me item {}.",
        "Number {}, please.",
        "What stands at number {}?",
    )
    return Ask(rng.choice(forms).format(index + 1), (listing.entries[index],))


def _by_neighbour(listing: Listing, rng: Random) -> Ask:
    index = rng.randrange(len(listing.entries) - 1)
    one, two = listing.entries[index : index + 2]
    if rng.random() < 0.7:
        forms = ("Which one comes after {}?", "What comes after {}?", "Which one is next after {}?")
        return Ask(rng.choice(forms).format(one), (two,))
    forms = ("Which one comes before {}?", "What comes right before {}?", "What stands before {}?")
    return Ask(rng.choice(forms).format(two), (one,))


def _by_word(listing: Listing, rng: Random) -> Ask | None:
    index = rng.randrange(len(listing.entries))
    words = listing.entries[index].split()
    if len(words) < 2:
        return None
    word = rng.choice(words)
    if word in _PLAIN_WORDS or sum(word in entry.split() for entry in listing.entries) > 1:
        return None
    noun = listing.domain.noun
    forms = (
        f"Which one has the word {word}?",
        f"Find the one with the word {word}.",
        f"Which one contains {word}?",
        f"Which {noun} has {word} in its name?",
        f"I only remember the word {word}. Which one is it?",
    )
    return Ask(rng.choice(forms), (listing.entries[index],))


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _by_special(listing: Listing, rng: Random) -> Ask | None:
    """A topic ("about space") or a kind that one must know ("animal")."""
    if listing.special is None:
        return None
    phrase, indices = listing.special
    entries = tuple(listing.entries[index] for index in indices)
    if phrase.startswith("about "):
        topic, noun = phrase.removeprefix("about "), listing.domain.noun
        forms = (
            f"Which one is about {topic}?",
            f"I like {topic}. Which one should I take?",
            f"Recommend one about {topic}.",
            f"Which one fits someone who likes {topic}?",
            f"Is there a {noun} about {topic}?",
            f"I am looking for a {noun} about {topic}.",
            f"Which {noun} is for a fan of {topic}?",
        )
        return Ask(rng.choice(forms), entries, advice=True)
    if len(entries) > 1:
        many = _PLURALS.get(phrase, f"{phrase}s")
        every = (f"Which ones are {many}?", f"Name all the {many}.", f"List the {many}.", f"Give me all {many}.")
        return Ask(rng.choice(every), entries, every=True)
    one = _article(phrase)
    return Ask(rng.choice((f"Which one is {one}?", f"Find the {phrase}.", f"Which of them is {one}?")), entries)


def _by_category(listing: Listing, rng: Random) -> Ask | None:
    if not listing.labels:
        return None
    chosen = rng.choice(listing.labels)
    of_it = tuple(entry for entry, label in zip(listing.entries, listing.labels, strict=True) if label == chosen)
    one, many = _article(chosen.one), chosen.many
    if 1 < len(of_it) <= MOST_AT_ONCE and rng.random() < 0.55:
        forms = (f"Name all {many}.", f"List the {many}.", f"Which ones are {many}?", f"All {many}, please.")
        return Ask(rng.choice(forms), of_it, every=True)
    if len(of_it) == 1:
        forms = (f"Which one is {one}?", f"Find the {chosen.one}.", f"Which of them is {one}?", f"Is there {one}?")
        return Ask(rng.choice(forms), of_it)
    if rng.random() < 0.25:
        return Ask(rng.choice((f"Which {chosen.one} comes first?", f"Name the first {chosen.one}.")), of_it[:1])
    forms = (f"Name {one}.", f"I want {one}. Which one?", f"Recommend {one}.", f"Pick {one} for me.")
    return Ask(rng.choice(forms), of_it, advice=True)


def _category_of(listing: Listing, rng: Random) -> Ask | None:
    if not listing.labels:
        return None
    index = rng.randrange(len(listing.entries))
    entry = listing.entries[index]
    forms = (f"What kind of {listing.domain.noun} is {entry}?", f"Which category is {entry}?", f"What is {entry}?")
    return Ask(rng.choice(forms), (listing.labels[index].label,))


def _several(listing: Listing, rng: Random) -> Ask | None:
    count = rng.randint(2, 4)
    if len(listing.entries) <= count:
        return None
    word = SMALL_NUMBERS[count - 2]
    if rng.random() < 0.6:
        forms = (f"Name the first {word}.", f"Which are the first {word}?", f"The first {word}, please.")
        return Ask(rng.choice(forms), listing.entries[:count], every=True)
    return Ask(
        rng.choice((f"Name the last {word}.", f"Which are the last {word}?")), listing.entries[-count:], every=True
    )


def _freely(listing: Listing, rng: Random) -> Ask:
    noun = listing.domain.noun
    forms = ("Choose one.", "Pick one for me.", "Which one should I take?", "Recommend one.", f"Choose a {noun}.")
    return Ask(rng.choice(forms), listing.entries, advice=True)


def _by_name(listing: Listing, rng: Random) -> Ask:
    index = rng.randrange(len(listing.names))
    name, what = listing.names[index], listing.what
    forms = (f"What is the {what} of {name}?", f"Which {what} has {name}?", f"Tell me the {what} of {name}.")
    return Ask(rng.choice(forms), (listing.entries[index],))


Asker = Callable[[Listing, Random], Ask | None]
_PLAIN: tuple[Asker, ...] = (_by_place, _by_number, _by_number, _by_neighbour, _by_word, _by_word)
_LABELLED: tuple[Asker, ...] = (*_PLAIN, _by_category, _by_category, _by_category, _by_category, _category_of)


def draw_ask(listing: Listing, rng: Random, at_once: float = 0.0) -> Ask:
    """A question that the list answers; `at_once` is the share of further asks for more than one entry."""
    if listing.names:
        return _by_name(listing, rng)
    if at_once and rng.random() < at_once:
        ask = rng.choice((_several, _by_category, _by_special))(listing, rng)
        if ask is not None and ask.every:
            return ask
    chance = rng.random()
    if chance < 0.05:
        return _freely(listing, rng)
    if chance < 0.12:
        return _several(listing, rng) or _by_place(listing, rng)
    if chance < 0.45 and listing.special:
        return _by_special(listing, rng) or _by_place(listing, rng)
    for _ in range(3):
        ask = rng.choice(_LABELLED if listing.labels else _PLAIN)(listing, rng)
        if ask is not None:
            return ask
    return _by_place(listing, rng)


def list_group(listing: Listing, ask: Ask) -> str:
    """The identity of the question: a hash of list and question."""
    return f"list:{sha1((ask.question + listing.text).encode()).hexdigest()[:12]}"


def joined(entries: tuple[str, ...]) -> str:
    """ "A, B and C"."""
    return entries[0] if len(entries) == 1 else f"{', '.join(entries[:-1])} and {entries[-1]}"


def _answers(ask: Ask, chosen: tuple[str, ...]) -> tuple[str, ...]:
    text = joined(chosen)
    if ask.every:
        return (
            f"They are {text}.",
            "Here they are:\n" + "\n".join(chosen),
            "My answer is:\n- " + "\n- ".join(chosen),
            f"I found {text}.",
        )
    plain = (f"It is {text}.", f"That is {text}.", f"My answer is {text}.")
    return (*plain, f"I choose {text}.", f"You could take {text}.") if ask.advice else (*plain, f"It must be {text}.")


def _wrongs(listing: Listing, ask: Ask, chosen: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    taken = {entry.lower() for entry in ask.entries}
    pool = listing.entries if chosen[0] in listing.entries else [label.label for label in listing.labels]
    others = [entry for entry in dict.fromkeys(pool) if entry.lower() not in taken]
    false = [(other,) for other in others[:6]] if not ask.every else [(*chosen[:-1], other) for other in others[:4]]
    made = []
    for number, named in enumerate(false):
        answers = _answers(ask, named)
        made.append((answers[number % len(answers)], joined(named)))
    return tuple(made)


def _not_to_name(listing: Listing, ask: Ask, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The entries (or categories) that a right reply leaves out; none that is part of one it has."""
    right = " / ".join(ask.entries if not ask.every else chosen).lower()
    pool = listing.entries if chosen[0] in listing.entries else [label.label for label in listing.labels]
    return tuple(dict.fromkeys(entry for entry in pool if entry.lower() not in right))


LEADS = ("Here is a list:", "The list:", "Look at this list:", "Choose from this list:", "I have this list:")


def list_item(listing: Listing, ask: Ask, rng: Random, *, shown: bool = True) -> Item:
    """One question about the list; list and question in one message, or the question alone if the list was shown."""
    chosen = ask.entries if ask.every else (rng.choice(ask.entries),)
    separator = "\n" if "\n" in listing.text else " "
    questions = (
        f"{ask.question}\n{listing.text}",
        f"{rng.choice(LEADS)}{separator}{listing.text}\n{ask.question}",
        f"{listing.text}\n{ask.question}",
    )
    free = len(ask.entries) == len(listing.entries) and not ask.every
    return Item(
        group=list_group(listing, ask),
        questions=questions if shown else (ask.question,),
        answers=_answers(ask, chosen),
        bare=joined(chosen),
        keys=tuple((entry,) for entry in chosen) if ask.every else (ask.entries,),
        extras=(
            "I looked at the whole list.",
            "The others do not fit.",
            f"The list has {len(listing.entries)} entries.",
            "You find it in your list.",
        ),
        wrongs=_wrongs(listing, ask, chosen),
        emoji="📋",
        tags=("list", "free choice" if free else "several" if ask.every else "one"),
        none_of=() if free else _not_to_name(listing, ask, chosen),
        context=listing.text,
        entries=listing.entries,
    )
