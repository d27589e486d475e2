"""Words about words and about time: opposites, plurals, days, months, and the names that lists and texts use."""

from random import Random


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((one, other) for one, _, other in (pair.partition("-") for pair in text.split()))


OPPOSITES: tuple[tuple[str, str], ...] = _pairs(
    """
hot-cold big-small fast-slow happy-sad old-young up-down day-night light-dark wet-dry hard-soft loud-quiet
rich-poor strong-weak clean-dirty open-closed full-empty early-late high-low near-far thick-thin long-short
left-right true-false brave-afraid sweet-bitter first-last inside-outside always-never easy-difficult alive-dead
begin-end buy-sell push-pull win-lose give-take love-hate wide-narrow deep-shallow cheap-expensive
safe-dangerous smooth-rough present-absent remember-forget arrive-leave question-answer summer-winter north-south
east-west laugh-cry
"""
)

PLURALS: tuple[tuple[str, str], ...] = _pairs(
    """
child-children man-men woman-women foot-feet tooth-teeth mouse-mice goose-geese person-people leaf-leaves
knife-knives city-cities box-boxes baby-babies wolf-wolves bus-buses story-stories shelf-shelves watch-watches
glass-glasses key-keys dish-dishes country-countries potato-potatoes tomato-tomatoes loaf-loaves half-halves ox-oxen
day-days lady-ladies church-churches wife-wives party-parties brush-brushes toy-toys
"""
)

DAYS: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: tuple[str, ...] = split_words(
    "January February March April May June July August September October November December"
)
MONTH_DAYS: tuple[int, ...] = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
HUES: tuple[str, ...] = split_words("red blue green yellow black white brown pink orange purple")
BELONGINGS: tuple[str, ...] = split_words(
    "bike car hat coat bag boat lamp chair cup scarf kite phone umbrella guitar jacket pen clock suitcase sofa van"
)

NAMES: tuple[str, ...] = split_words("""
Anna Tom Lucy Ben Maria Paul Sara Max Nina Leo Emma Oscar Ida Hugo Clara Felix Rosa Ivan Vera Noah Amy Karl Lena
Omar Ruth Jack Mona Erik Tina Adam Alice Peter Julia Simon Laura David Eva Martin Sofia Daniel Greta Victor Nora
Samuel Olga Tim Iris Frank Zoe Henry Mila Bruno Elsa Robert Carmen Viktoria Hans Lina Kofi Aisha
""")
TOWNS: tuple[str, ...] = split_words("""
Paris Rome Oslo Berlin Madrid Lisbon Vienna Prague Dublin Athens Cairo Tokyo Lima London Geneva Boston Milan
Delhi Seoul Quito Riga Havana Naples Bergen Porto Sydney Chicago Krakow Venice Munich
""")
ADJECTIVES: tuple[str, ...] = split_words("""
Silver Quiet Golden Lost Broken Hidden Secret Little Last First Blue Red Green Dark Bright Cold Warm Wild Old
Young Empty Long Short Happy Sad Brave Slow Fast Sweet Soft Crooked Frozen Hollow Gentle Hungry Purple Crystal
Lonely Burning Velvet Distant Shining Ancient Silent Foggy Strange Curious Yellow Black White Iron Wooden Paper
Stolen Forgotten Flying Sleeping Dancing Laughing Tiny Giant Round Seventh Twelfth Eternal Perfect Winding
Sunken Painted Salty
""")
NOUNS: tuple[str, ...] = split_words("""
River Garden House Road Key Door Letter Song Night Morning Island Forest Mountain Bridge Tower Window Clock
Mirror Star Moon Storm Winter Summer Train Ship Lamp Stone Bird Horse King Queen City Village Ocean Street
Market Candle Feather Ladder Valley Desert Lighthouse Cottage Palace Shadow Whisper Promise Stranger Neighbour
Brother Sister Daughter Father Doctor Farmer Painter Baker Hunter Traveller Balloon Lantern Compass Basket
Blanket Pocket Ribbon Button Coin Ring Crown Sword Arrow Wolf Fox Eagle Raven Spider Butterfly Cloud Thunder
Rain Wind Fire Smoke Dust Sand Gold Silver Salt Honey Apple Pepper Sugar Tea Coffee Bottle Table Chair Wheel
Wagon Harvest Autumn Spring Midnight Sunday Monday Holiday Birthday Silence Echo Memory Dream Sleep Fever Hope
Luck Danger Secret Riddle Puzzle Game Circus Carnival Stage Curtain Portrait Statue
""")
TOPICS: dict[str, tuple[str, ...]] = {
    "cooking": split_words("Kitchen Oven Recipe Chef Saucepan Soup Dinner Cookbook Stove Sauce"),
    "space": split_words("Planet Rocket Galaxy Comet Astronaut Mars Satellite Telescope Orbit Meteor"),
    "the sea": split_words("Sailor Ship Wave Harbour Whale Captain Anchor Lagoon Pirate Submarine"),
    "music": split_words("Song Guitar Piano Violin Choir Drum Melody Orchestra Trumpet Concert"),
    "animals": split_words("Dog Cat Horse Tiger Rabbit Owl Elephant Penguin Monkey Zebra"),
    "gardens": split_words("Rose Flower Seed Tulip Hedge Orchard Gardener Lawn Daisy Greenhouse"),
    "sport": split_words("Football Runner Goal Race Tennis Champion Marathon Stadium Boxer Referee"),
    "crime": split_words("Murder Detective Thief Robbery Prison Crime Burglar Inspector Alibi Suspect"),
    "love": split_words("Love Heart Kiss Wedding Romance Bride Valentine Sweetheart Lovers Affair"),
    "war": split_words("Soldier Battle War Army General Enemy Bomber Trench Siege Sergeant"),
    "winter": split_words("Snow Ice Frost Sledge Winter Icicle Snowman Blizzard Glacier Skates"),
    "history": split_words("King Queen Castle Knight Empire Pharaoh Viking Emperor Pyramid Gladiator"),
    "travel": split_words("Journey Train Passport Airport Suitcase Road Luggage Voyage Tourist Highway"),
    "magic": split_words("Wizard Witch Dragon Spell Fairy Magic Unicorn Potion Sorcerer Wand"),
    "computers": split_words("Robot Computer Code Keyboard Internet Program Laptop Hacker Software Website"),
    "school": split_words("Teacher Lesson School Pupil Homework Classroom Exam Student Blackboard Professor"),
    "health": split_words("Hospital Nurse Medicine Patient Surgeon Bandage Vaccine Clinic Therapy Ambulance"),
    "money": split_words("Banker Dollar Millionaire Wallet Treasure Bargain Inheritance Debt Fortune Auction"),
    "religion": split_words("Church Angel Monk Prayer Temple Bishop Saint Miracle Cathedral Nun"),
    "cars": split_words("Engine Driver Garage Taxi Racetrack Mechanic Traffic Steering Motorway Convertible"),
    "weather": split_words("Tornado Hurricane Rainbow Drizzle Lightning Forecast Flood Hailstorm Sunshine Drought"),
    "art": split_words("Sculptor Museum Canvas Gallery Sketch Mural Brushstroke Exhibition Watercolour Easel"),
    "family": split_words("Grandmother Uncle Twins Cousin Stepfather Nephew Orphan Godmother Parents Aunt"),
}
"""What an entry is about, by the word in it; no word stands for two topics."""

_ONSETS = split_words("b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sl st str th tr qu")
_VOWELS = split_words("a e i o u a e i o ai ea ee oo ou y")
_CODAS = ("", "", "", *split_words("n r l s t m d k x ck nd nt rt st rn lm sh ng"))


def made_up_word(rng: Random) -> str:
    """A word that means nothing, so it can only be copied: one to three syllables."""
    pick = rng.choice
    count = 2 if rng.random() < 0.7 else rng.randint(1, 3)
    return "".join([pick(_ONSETS) + pick(_VOWELS) + pick(_CODAS) for _ in range(count)])
