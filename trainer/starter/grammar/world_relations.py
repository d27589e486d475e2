"""The relations of countries and of animals."""

from trainer.starter.grammar.relation import Relation, known
from trainer.starter.grammar.world import ANIMALS, COUNTRIES

COUNTRY_RELATIONS = (
    Relation(
        "capital",
        "countries",
        "🌍",
        known([(c.name, c.name, c.capital) for c in COUNTRIES]),
        (
            "What is the capital of {x}?",
            "Which city is the capital of {x}?",
            "What's the capital city of {x}?",
            "Name the capital of {x}.",
            "Do you know the capital of {x}?",
        ),
        ("The capital of {x} is {y}.", "{y} is the capital of {x}.", "The capital city of {x} is {y}."),
        ("Is {y} the capital of {x}?", "Is the capital of {x} {y}?"),
        True,
        (
            "Which country has {y} as its capital?",
            "{y} is the capital of which country?",
            "What country is {y} the capital of?",
        ),
    ),
    Relation(
        "language",
        "countries",
        "💬",
        known([(c.name, c.name, c.language) for c in COUNTRIES]),
        (
            "What language do people speak in {x}?",
            "Which language is spoken in {x}?",
            "What is the main language of {x}?",
            "What do they speak in {x}?",
        ),
        (
            "People in {x} mostly speak {y}.",
            "The main language of {x} is {y}.",
            "In {x} most people speak {y}.",
        ),
        ("Is {y} the main language of {x}?", "Is the main language of {x} {y}?"),
        True,
    ),
    Relation(
        "continent",
        "countries",
        "🌍",
        known([(c.name, c.name, c.continent) for c in COUNTRIES]),
        (
            "Which continent is {x} in?",
            "On which continent is {x}?",
            "What continent does {x} belong to?",
            "Where in the world is {x}?",
        ),
        ("{x} is in {y}.", "You find {x} in {y}.", "{x} belongs to {y}."),
        ("Is {x} in {y}?", "Does {x} belong to {y}?"),
        True,
    ),
    Relation(
        "money",
        "countries",
        "💰",
        known([(c.name, c.name, c.money) for c in COUNTRIES]),
        ("What is the currency of {x}?", "What money do people use in {x}?", "How do you pay in {x}?"),
        ("The currency of {x} is {y}.", "People in {x} pay with {y}.", "In {x} you pay with {y}."),
        ("Is {y} the currency of {x}?", "Do people in {x} pay with {y}?"),
        True,
    ),
)

ANIMAL_RELATIONS = (
    Relation(
        "baby",
        "animals",
        "🐾",
        known([(a.name, a.name, a.baby) for a in ANIMALS]),
        ("What is a baby {x} called?", "What do you call a young {x}?", "What's the name for a baby {x}?"),
        ("A baby {x} is called a {y}.", "A young {x} is a {y}.", "You call a young {x} a {y}."),
        ("Is a baby {x} called a {y}?", "Is a {y} a young {x}?"),
    ),
    Relation(
        "sound",
        "animals",
        "🔊",
        known([(a.name, a.plural, a.sound) for a in ANIMALS]),
        ("What sound do {x} make?", "What noise do {x} make?", "How do {x} sound?"),
        ("{x} {y}.", "The sound {x} make is a {y}.", "You can hear {x} {y}."),
        ("Do {x} {y}?", "Is it true that {x} {y}?"),
    ),
    Relation(
        "kind",
        "animals",
        "🐾",
        known([(a.name, a.plural, a.kind) for a in ANIMALS]),
        (
            "What kind of animals are {x}?",
            "Which group of animals do {x} belong to?",
            "What class of animal are {x}?",
        ),
        ("{x} are {y}.", "{x} belong to the {y}.", "The group of {x} is the {y}."),
        ("Are {x} {y}?", "Do {x} belong to the {y}?"),
        True,
    ),
    Relation(
        "home",
        "animals",
        "🏡",
        known([(a.name, a.plural, a.home) for a in ANIMALS]),
        ("Where do {x} live?", "Where can you find {x}?", "What is the home of {x}?"),
        ("{x} live {y}.", "You can find {x} {y}.", "The home of {x} is {y}."),
        ("Do {x} live {y}?", "Can you find {x} {y}?"),
    ),
    Relation(
        "eats",
        "animals",
        "🥣",
        known([(a.name, a.plural, a.eats) for a in ANIMALS]),
        ("What do {x} eat?", "What is the food of {x}?", "What do {x} like to eat?"),
        ("{x} eat {y}.", "The food of {x} is {y}.", "{x} like to eat {y}."),
        ("Do {x} eat {y}?", "Is it true that {x} eat {y}?"),
    ),
    Relation(
        "legs",
        "animals",
        "🐾",
        known([(a.name, a.name, a.legs) for a in ANIMALS]),
        (
            "How many legs does a {x} have?",
            "What number of legs does a {x} have?",
            "How many legs has a {x}?",
        ),
        ("A {x} has {y} legs.", "The number of legs of a {x} is {y}."),
        ("Does a {x} have {y} legs?",),
        True,
    ),
)
