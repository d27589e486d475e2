"""A given list of 3 to 30 entries, with or without categories, and how it is written down.

The entries are new each time, so the only way to be right is to read the list. What is asked about it: `list_asks`.
"""

from dataclasses import dataclass, replace
from random import Random

from trainer.starter.grammar.titles import Category, Domain, domains, kinds, plain_nouns, title
from trainer.starter.grammar.words import HUES, NAMES, NOUNS, TOPICS, TOWNS, made_up_word


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as shown and what is known of it.

    entries     in the order shown
    text        the list as the person writes it
    numbered    whether each entry has its number
    domain      what the entries are called, and their categories if they have some
    labels      the category of each entry; empty for a list without categories
    special     (phrase, indices of the entries it names): "about space", "an animal"
    names       the name of each entry in a list of "name: value"; empty for others
    what        what such a value is: "room"
    """

    entries: tuple[str, ...]
    text: str
    numbered: bool
    domain: Domain
    labels: tuple[Category, ...] = ()
    special: tuple[str, tuple[int, ...]] | None = None
    names: tuple[str, ...] = ()
    what: str = ""


def draw_length(rng: Random, longest: int = 30) -> int:
    """How many entries: most lists are short, because tokens are dear, and one in eight has 15 or more."""
    chance = rng.random()
    low, high = (3, 6) if chance < 0.55 else (7, 14) if chance < 0.87 else (15, 30)
    return min(rng.randint(low, high), longest)


def _distinct(entries: list[str]) -> list[str]:
    return list(dict.fromkeys(entries))


def _anything() -> Domain:
    return Domain("entry", "entries", lambda rng: rng.choice(NOUNS), ())


def draw_entries(count: int, rng: Random) -> Listing:
    """Entries without a layout: titles with a topic, odd ones out, a domain's own, made-up words, or a mixture."""
    chance = rng.random()
    if chance < 0.3:
        return _with_topic(count, rng)
    if chance < 0.45:
        return _with_kinds(count, rng)
    if chance < 0.9:
        domain = rng.choice(domains())
        entries = _distinct([domain.entry(rng) for _ in range(count)])
        return Listing(tuple(entries), "", False, domain)
    if chance < 0.95:
        entries = _distinct([made_up_word(rng) for _ in range(count)])
    else:
        words = kinds()
        entries = _distinct([rng.choice(words[rng.choice(list(words))]) for _ in range(count)])
    return Listing(tuple(entries), "", False, _anything())


def _with_topic(count: int, rng: Random) -> Listing:
    """Titles of which one is about a topic, and none of the others."""
    topics = list(TOPICS)
    chosen, others = rng.choice(topics), rng.sample(topics, min(len(topics), rng.randint(3, 9)))
    nouns = [noun for topic in others if topic != chosen for noun in TOPICS[topic]] + list(plain_nouns()[:10])
    entries = _distinct([title(rng, rng.choice(nouns)) for _ in range(count - 1)])
    place = rng.randint(0, len(entries))
    entries.insert(place, title(rng, rng.choice(TOPICS[chosen])))
    return Listing(tuple(entries), "", False, domains()[rng.randrange(5)], special=(f"about {chosen}", (place,)))


def _with_kinds(count: int, rng: Random) -> Listing:
    """Words of two kinds: of the asked one there are one to four."""
    words = kinds()
    asked, usual = rng.sample(list(words), 2)
    wanted = 1 if rng.random() < 0.6 else rng.randint(2, min(4, count - 1))
    chosen = rng.sample([word for word in words[asked] if word not in words[usual]], wanted)
    rest = rng.sample(words[usual], min(count - wanted, len(words[usual])))
    entries = [*chosen, *(word for word in rest if word not in chosen)]
    rng.shuffle(entries)
    indices = tuple(index for index, entry in enumerate(entries) if entry in chosen)
    return Listing(tuple(entries), "", False, _anything(), special=(asked, indices))


def _labelled(listing: Listing, rng: Random) -> Listing:
    """The listing with a category for each entry."""
    known = listing.domain.categories
    used = rng.sample(known, min(len(known), rng.randint(2, 6)))
    return replace(listing, labels=tuple([rng.choice(used) for _ in listing.entries]))


def _under_headings(listing: Listing, rng: Random) -> Listing:
    """Entries sorted by category, each category with a heading: the order of the entries changes."""
    order = sorted(range(len(listing.entries)), key=lambda index: listing.labels[index].label)
    entries = tuple(listing.entries[index] for index in order)
    labels = tuple(listing.labels[index] for index in order)
    special = listing.special
    if special is not None:
        special = special[0], tuple(sorted(order.index(index) for index in special[1]))
    mark = rng.choice(("- ", "", "* "))
    lines: list[str] = []
    for index, (entry, label) in enumerate(zip(entries, labels, strict=True)):
        if index == 0 or labels[index - 1] != label:
            lines.append(f"{label.many[:1].upper()}{label.many[1:]}:")
        lines.append(f"{mark}{entry}")
    return replace(listing, entries=entries, labels=labels, special=special, text="\n".join(lines))


def _lines(listing: Listing, rng: Random) -> list[str]:
    """Each entry with its category, if it has one."""
    if not listing.labels:
        return list(listing.entries)
    form = rng.choice(("{e} ({c})", "{e} ({c})", "{e} - {c}", "{e}: {c}", "{e} [{c}]", "{c}: {e}"))
    return [
        form.replace("{c}", label.label).replace("{e}", entry)
        for entry, label in zip(listing.entries, listing.labels, strict=True)
    ]


def _laid_out(listing: Listing, rng: Random) -> Listing:
    """The listing with its text."""
    if listing.labels and rng.random() < 0.15:
        return _under_headings(listing, rng)
    lines, chance = _lines(listing, rng), rng.random()
    if chance < 0.5:
        form = rng.choice(("{}. {}", "{}. {}", "{}) {}", "{}: {}"))
        text = "\n".join([form.format(number, line) for number, line in enumerate(lines, 1)])
        return replace(listing, text=text, numbered=True)
    if chance < 0.75:
        return replace(listing, text="\n".join([f"- {line}" for line in lines]))
    return replace(listing, text=("\n" if chance < 0.87 else ", ").join(lines))


def draw_listing(rng: Random, longest: int = 30, count: int | None = None) -> Listing:
    """A new list of `count` entries, or of 3 to `longest`; half of those that can have categories have them."""
    wanted = draw_length(rng, longest) if count is None else count
    while True:
        listing = draw_entries(wanted, rng)
        if len(listing.entries) >= (3 if count is None else count):
            break  # otherwise two entries were the same
    if listing.domain.categories and rng.random() < 0.6:
        listing = _labelled(listing, rng)
    return _laid_out(listing, rng)


def draw_lookup(rng: Random, longest: int = 20) -> Listing:
    """A list of 3 to `longest`, at most 20, lines "name: value", asked by name."""
    count = draw_length(rng, min(longest, 20))
    names = tuple(rng.sample(NAMES, count))
    what = rng.choice(("code", "room", "colour", "word", "town", "price"))
    match what:
        case "code" | "price":
            values = [str(rng.randint(1, 999)) for _ in names]
        case "room":
            values = [str(rng.randint(1, 99)) for _ in names]
        case "colour":
            values = [rng.choice(HUES) for _ in names]
        case "word":
            values = [made_up_word(rng) for _ in names]
        case _:
            values = [rng.choice(TOWNS) for _ in names]
    pairs = [f"{name}: {value}" for name, value in zip(names, values, strict=True)]
    text = ("\n" if rng.random() < 0.6 else ", ").join(pairs)
    return Listing(tuple(values), text, False, _anything(), names=names, what=what)
