"""The relations of foods, sports, jobs, things and words; and all relations together."""

from trainer.starter.grammar.culture import CULTURE_NAMES, CULTURE_RELATIONS
from trainer.starter.grammar.daily import DAILY_RELATIONS, daily_names
from trainer.starter.grammar.relation import Relation, known
from trainer.starter.grammar.things import COLOURS, FOODS, JOBS, SPORTS, THINGS
from trainer.starter.grammar.words import OPPOSITES, PLURALS
from trainer.starter.grammar.world import ANIMALS, COUNTRIES
from trainer.starter.grammar.world_relations import ANIMAL_RELATIONS, COUNTRY_RELATIONS

_FOOD_RELATIONS = (
    Relation(
        "colour",
        "food",
        "🎨",
        known([(f.name, f.plural, f.colour) for f in FOODS]),
        ("What is the colour of {x}?", "What is the usual colour of {x}?", "Tell me the colour of {x}."),
        ("The colour of {x} is {y}.", "The usual colour of {x} is {y}.", "Expect {y} as the colour of {x}."),
        ("Is {y} the usual colour of {x}?", "Is the usual colour of {x} {y}?"),
        True,
    ),
    Relation(
        "taste",
        "food",
        "😋",
        known([(f.name, f.plural, f.taste) for f in FOODS]),
        ("What is the taste of {x}?", "Describe the taste of {x}.", "Which taste should I expect from {x}?"),
        ("The taste of {x} is {y}.", "You can call the taste of {x} {y}.", "{x} have a taste that is {y}."),
        ("Is the taste of {x} {y}?",),
    ),
    Relation(
        "sort",
        "food",
        "🥗",
        known([(f.name, f.name, f.kind) for f in FOODS if f.plural != f.name]),
        (
            "Is a {x} a fruit or a vegetable?",
            "What sort of food is a {x}?",
            "Fruit or vegetable: what is a {x}?",
        ),
        ("A {x} is a {y}.", "We call a {x} a {y}.", "A {x} counts as a {y}."),
        ("Would you call a {x} a {y}?", "Is a {x} a {y}?"),
        True,
    ),
    Relation(
        "grows",
        "food",
        "🌱",
        known([(f.name, f.plural, f.grows) for f in FOODS]),
        ("Where do {x} grow?", "Where can I see {x} grow?", "Where would I find {x} growing?"),
        ("{x} grow {y}.", "You find {x} growing {y}.", "You can see {x} grow {y}."),
        ("Do {x} grow {y}?", "Is it true that {x} grow {y}?"),
    ),
)

_SPORT_RELATIONS = (
    Relation(
        "needs",
        "sport",
        "🏅",
        known([(s.name, s.name, s.needs) for s in SPORTS]),
        ("What do you need for {x}?", "What do I need to start {x}?", "Which thing does {x} need?"),
        ("For {x} you need {y}.", "To start {x}, get {y}.", "{x} needs {y}.", "Without {y} there is no {x}."),
        ("Do you need {y} for {x}?",),
    ),
    Relation(
        "played",
        "sport",
        "🏟",
        known([(s.name, s.name, s.place) for s in SPORTS]),
        ("Where does {x} take place?", "Where do people go for {x}?", "What is the place for {x}?"),
        ("{x} takes place {y}.", "The place for {x} is {y}.", "Usually {x} takes place {y}.", "People go for {x} {y}."),
        ("Does {x} take place {y}?",),
    ),
    Relation(
        "players",
        "sport",
        "👥",
        known([(s.name, s.name, s.players) for s in SPORTS]),
        (
            "How many players are in a {x} team?",
            "How many people play in one {x} team?",
            "How big is a {x} team?",
        ),
        ("A {x} team has {y} players.", "In one {x} team {y} people play.", "There are {y} players in a {x} team."),
        ("Does a {x} team have {y} players?",),
        True,
    ),
)

_JOB_RELATIONS = (
    Relation(
        "does",
        "jobs",
        "💼",
        known([(j.name, j.name, j.does) for j in JOBS]),
        ("What does a {x} do?", "What is the job of a {x}?", "What is the work of a {x}?"),
        ("A {x} {y}.", "Every day a {x} {y}.", "At work a {x} {y}.", "A {x} is someone who {y}."),
        ("Is it true that a {x} {y}?",),
        False,
        ("Who {y}?", "Which job is it when someone {y}?", "What do you call a person who {y}?"),
        "someone who {y}",
    ),
    Relation(
        "works",
        "jobs",
        "🏢",
        known([(j.name, j.name, j.place) for j in JOBS]),
        ("Where does a {x} work?", "What is the workplace of a {x}?", "Where would I meet a {x} at work?"),
        ("A {x} works {y}.", "You meet a {x} {y}.", "Most days a {x} works {y}.", "The workplace of a {x} is {y}."),
        ("Does a {x} work {y}?",),
    ),
    Relation(
        "tool",
        "jobs",
        "🔧",
        known([(j.name, j.name, j.tool) for j in JOBS]),
        ("What does a {x} use at work?", "Which tool does a {x} use?", "What does a {x} work with?"),
        ("A {x} uses {y}.", "A {x} works with {y}.", "The tool of a {x} is {y}.", "A {x} needs {y} at work."),
        ("Does a {x} use {y}?",),
    ),
)

_THING_RELATIONS = (
    Relation(
        "use",
        "home",
        "🏠",
        known([(t.name, t.name, t.use) for t in THINGS]),
        (
            "What is a {x} used for?",
            "What do you do with a {x}?",
            "Why would I need a {x}?",
            "What is the use of a {x}?",
        ),
        ("You use a {x} to {y}.", "A {x} helps you {y}.", "People need a {x} to {y}.", "With a {x} you can {y}."),
        ("Do you use a {x} to {y}?", "Does a {x} help you {y}?"),
        False,
        ("What do I need to {y}?", "Which thing helps me {y}?", "What do you use to {y}?"),
        "ways to {y}",
    ),
    Relation(
        "kept",
        "home",
        "🏠",
        known([(t.name, t.name, t.place) for t in THINGS]),
        ("Where do you keep a {x}?", "Where would I look for a {x}?", "Where does a {x} belong?"),
        ("You keep a {x} {y}.", "A {x} belongs {y}.", "Look for a {x} {y}.", "The place of a {x} is {y}."),
        ("Does a {x} belong {y}?",),
    ),
    Relation(
        "hue",
        "colours",
        "🎨",
        tuple((x, x, y) for x, y in COLOURS),
        ("What colour is {x}?", "What is the colour of {x}?", "Tell me the colour of {x}."),
        ("The colour of {x} is {y}.", "{x} is {y}.", "It is {y}, the colour of {x}."),
        ("Is {y} the colour of {x}?", "Is {x} {y}?"),
        True,
    ),
)

_WORD_RELATIONS = (
    Relation(
        "opposite",
        "words",
        "🔁",
        tuple((x, x, y) for a, b in OPPOSITES for x, y in ((a, b), (b, a))),
        (
            "What is the opposite of {x}?",
            "Which word is the opposite of {x}?",
            "Opposite of {x}?",
            "Give me the opposite of {x}.",
        ),
        ("The opposite of {x} is {y}.", "{y} is the opposite of {x}.", "It is {y}, the opposite of {x}."),
        ("Is {y} the opposite of {x}?",),
        True,
    ),
    Relation(
        "plural",
        "words",
        "✏️",
        tuple((x, x, y) for x, y in PLURALS),
        ("What is the plural of {x}?", "How do you write more than one {x}?", "Plural of {x}?"),
        ("The plural of {x} is {y}.", "One {x}, two {y}.", "{y} is the plural of {x}."),
        ("Is {y} the plural of {x}?",),
        True,
        ("What is the singular of {y}?", "{y} is the plural of which word?"),
        "the word {y}",
    ),
)

RELATIONS: tuple[Relation, ...] = (
    COUNTRY_RELATIONS
    + ANIMAL_RELATIONS
    + _FOOD_RELATIONS
    + _SPORT_RELATIONS
    + _JOB_RELATIONS
    + _THING_RELATIONS
    + _WORD_RELATIONS
    + CULTURE_RELATIONS
    + DAILY_RELATIONS
)

ABOUT: dict[str, str] = (
    CULTURE_NAMES
    | daily_names()
    | {x: f"the word {x}" for x, _ in PLURALS}
    | {w: f"the word {w}" for pair in OPPOSITES for w in pair}
    | {x: x for x, _ in COLOURS}
    | {t.name: f"a {t.name}" for t in THINGS}
    | {j.name: f"a {j.name}" for j in JOBS}
    | {s.name: s.name for s in SPORTS}
    | {f.name: f.plural for f in FOODS}
    | {a.name: a.plural for a in ANIMALS}
    | {c.name: c.name for c in COUNTRIES}
)
"""How each entity is named in "tell me about ..."; one of two tables (a knife and its plural) has the later name."""
