"""Places, clothes, materials, the body, vehicles, instruments, times and measures: relations of everyday life."""

from functools import cache

from trainer.starter.grammar.relation import Relation, rows
from trainer.starter.grammar.words import DAYS, MONTH_DAYS, MONTHS

_PLACES = """
library|borrow books
school|learn
museum|look at old things
cinema|watch films
theatre|watch plays
pharmacy|buy medicine
post office|send parcels
bank|open an account
airport|catch a flight
train station|catch a train
gym|lift weights
stadium|watch matches
zoo|look at wild animals
bookshop|buy books
bakery|buy bread
restaurant|have a meal
hotel|stay for a night
swimming pool|swim
butcher's shop|buy meat
flower shop|buy flowers
petrol station|fill up a car
laundry|wash clothes
playground|play on swings
harbour|look at ships
market|buy fresh vegetables
"""
_CLOTHES = """
hat|on your head
pair of gloves|on your hands
pair of shoes|on your feet
scarf|around your neck
belt|around your waist
ring|on your finger
bracelet|around your wrist
pair of earrings|on your ears
pair of glasses|on your nose
crown|on your head
necklace|around your neck
pair of trousers|on your legs
apron|over your clothes
backpack|on your back
"""
_MATERIALS = """
window|glass
tyre|rubber
newspaper|paper
sweater|wool
candle|wax
pair of jeans|cotton
brick|clay
cheese|milk
loaf of bread|flour
bar of chocolate|cocoa
raisin|grapes
bottle of wine|grapes
omelette|eggs
block of tofu|soybeans
bottle of ketchup|tomatoes
plate of chips|potatoes
snowman|snow
sandcastle|sand
table|wood
horseshoe|iron
"""
_BODY = """
eyes|see
ears|hear
nose|smell
tongue|taste
legs|walk
teeth|chew
lungs|breathe
hands|hold things
brain|think
heart|pump blood
stomach|digest food
"""
_VEHICLES = """
car|on roads
train|on rails
ship|on water
plane|in the air
submarine|under water
tram|on rails through a city
sledge|on snow
rocket|into space
bus|on roads with many people
helicopter|in the air with turning blades
canoe|on rivers
"""
_INSTRUMENTS = """
piano|pressing its keys
violin|drawing a bow over its strings
drum|hitting it
flute|blowing across its hole
guitar|plucking its strings
trumpet|blowing into it
harp|plucking its many strings
triangle|hitting it with a metal rod
accordion|pushing and pulling its bellows
"""
_MEASURES = """
days in a week|seven
months in a year|twelve
hours in a day|24
minutes in an hour|60
seconds in a minute|60
eggs in a dozen|twelve
centimetres in a metre|100
grams in a kilogram|1000
years in a century|100
years in a decade|ten
sides in a triangle|three
corners in a square|four
wheels on a bicycle|two
strings on a violin|four
strings on a guitar|six
players in a chess game|two
letters in the English alphabet|26
planets around the sun|eight
colours in a traffic light|three
arms on an octopus|eight
fingers on one hand|five
cards in a full deck without jokers|52
squares on a chessboard|64
keys on a full piano|88
zeros in a million|six
sides on a cube|six
"""
_MIXES = """
blue and yellow|green
red and yellow|orange
red and blue|purple
black and white|grey
red and white|pink
"""
_MATERIAL_NAMES = {"cheese": "cheese"}


def _things(table: str) -> tuple[tuple[str, str, str], ...]:
    """Rows whose subject takes an article: entity and subject are the bare noun."""
    return tuple((x, x, y) for x, y in rows(table))


def _made_of() -> tuple[tuple[str, str, str], ...]:
    return tuple((x, _MATERIAL_NAMES.get(x, f"a {x}"), y) for x, y in rows(_MATERIALS))


def _following(names: tuple[str, ...], step: int) -> tuple[tuple[str, str, str], ...]:
    return tuple((name, name, names[(index + step) % len(names)]) for index, name in enumerate(names))


def _order(name: str, names: tuple[str, ...], what: str, step: int) -> Relation:
    """What comes after (step 1) or before (step -1) a day or a month."""
    word = "after" if step == 1 else "before"
    return Relation(
        f"{what}-{word}",
        "time",
        "📅",
        _following(names, step),
        (f"Which {what} comes {word} {{x}}?", f"What is the {what} {word} {{x}}?", f"What comes {word} {{x}}?"),
        (
            f"{{y}} comes {word} {{x}}.",
            f"The {what} {word} {{x}} is {{y}}.",
            f"It is {{y}} that comes {word} {{x}}.",
        ),
        (f"Does {{y}} come {word} {{x}}?", f"Is {{y}} the {what} {word} {{x}}?"),
        True,
    )


DAILY_RELATIONS = (
    Relation(
        "visit",
        "places",
        "🏙",
        _things(_PLACES),
        ("What can you do at a {x}?", "Why do people go to a {x}?", "What is a {x} for?"),
        ("At a {x} you can {y}.", "People go to a {x} to {y}.", "A {x} is a place to {y}.", "You can {y} there."),
        ("Do people go to a {x} to {y}?", "Can you {y} at a {x}?"),
        False,
        ("Where can I {y}?", "Where do people go to {y}?", "I want to {y}. Where should I go?"),
        mention="a place to {y}",
    ),
    Relation(
        "worn",
        "clothes",
        "👕",
        _things(_CLOTHES),
        ("Where do you wear a {x}?", "Where does a {x} go on the body?", "How do you wear a {x}?"),
        ("You wear a {x} {y}.", "A {x} goes {y}.", "People wear a {x} {y}.", "Put a {x} {y}."),
        ("Do you wear a {x} {y}?", "Does a {x} go {y}?"),
    ),
    Relation(
        "made-of",
        "materials",
        "🧱",
        _made_of(),
        ("What is {x} made of?", "What is {x} made from?", "Which material do you need for {x}?"),
        ("{x} is made of {y}.", "You make {x} from {y}.", "{x} comes from {y}.", "For {x} you need {y}."),
        ("Is {x} made of {y}?", "Do you make {x} from {y}?"),
    ),
    Relation(
        "body",
        "body",
        "🧍",
        _things(_BODY),
        ("What do people use their {x} for?", "What can you do with your {x}?", "Why does the body have the {x}?"),
        (
            "You {y} with your {x}.",
            "People use their {x} to {y}.",
            "With your {x} you can {y}.",
            "The body needs the {x} to {y}.",
        ),
        ("Do you {y} with your {x}?", "Does the body need the {x} to {y}?"),
        False,
        ("Which part of the body do you {y} with?", "What does the body use to {y}?"),
        mention="how people {y}",
    ),
    Relation(
        "moves",
        "traffic",
        "🚦",
        _things(_VEHICLES),
        ("Where does a {x} move?", "Where does a {x} travel?", "How does a {x} get around?"),
        ("A {x} moves {y}.", "A {x} travels {y}.", "You ride in a {x} {y}."),
        ("Does a {x} move {y}?", "Does a {x} travel {y}?"),
    ),
    Relation(
        "played-by",
        "music",
        "🎵",
        _things(_INSTRUMENTS),
        ("How do you play a {x}?", "How is a {x} played?", "What do you do to play a {x}?"),
        ("You play a {x} by {y}.", "A {x} is played by {y}.", "People play a {x} by {y}."),
        ("Do you play a {x} by {y}?",),
    ),
    Relation(
        "count",
        "numbers",
        "🔢",
        _things(_MEASURES),
        ("How many {x}?", "What is the number of {x}?", "Tell me the number of {x}."),
        ("The number of {x} is {y}.", "Count the {x} and you get {y}.", "It is {y}, the number of {x}."),
        ("Is {y} the number of {x}?",),
        True,
    ),
    Relation(
        "mix",
        "colours",
        "🎨",
        _things(_MIXES),
        ("What do you get when you mix {x}?", "Which colour do {x} make?", "I mix {x}. What colour is it?"),
        ("{x} make {y}.", "When you mix {x} you get {y}.", "The mix of {x} is {y}."),
        ("Do {x} make {y}?",),
        True,
        ("Which two colours make {y}?", "How do I mix {y}?"),
        mention="the colour {y}",
    ),
    _order("day", DAYS, "day", 1),
    _order("day", DAYS, "day", -1),
    _order("month", MONTHS, "month", 1),
    _order("month", MONTHS, "month", -1),
    Relation(
        "month-days",
        "time",
        "📅",
        tuple((month, month, str(days)) for month, days in zip(MONTHS, MONTH_DAYS, strict=True) if month != "February"),
        ("How many days does {x} have?", "How long is {x} in days?", "How many days are there in {x}?"),
        ("{x} has {y} days.", "There are {y} days in {x}.", "The number of days in {x} is {y}."),
        ("Does {x} have {y} days?", "Is {x} {y} days long?"),
        True,
    ),
)


def daily_names() -> dict[str, str]:
    """How each entity is named in "tell me about ..."."""
    names = {x: f"a {x}" for table in (_PLACES, _CLOTHES, _MATERIALS, _VEHICLES, _INSTRUMENTS) for x, _ in rows(table)}
    names |= {"cheese": "cheese"}
    names |= {x: f"the {x}" for x, _ in rows(_BODY)}
    names |= {x: f"the number of {x}" for x, _ in rows(_MEASURES)}
    names |= {x: f"mixing {x}" for x, _ in rows(_MIXES)}
    return names | {name: name for name in DAYS + MONTHS}


@cache
def instruments() -> tuple[str, ...]:
    """Musical instruments."""
    return tuple(x for x, _ in rows(_INSTRUMENTS))
