"""Countries and animals. Every line is a fact; a column that has no clear single answer holds a dash."""

from typing import NamedTuple


class Country(NamedTuple):
    """`language` is the one most people there speak; `money` is without its country."""

    name: str
    capital: str
    language: str
    continent: str
    money: str


class Animal(NamedTuple):
    """`sound` is a verb, `kind` a plural, `legs` in words; `home` completes "live ...", `eats` completes "eat ..."."""

    name: str
    plural: str
    baby: str
    sound: str
    kind: str
    home: str
    eats: str
    legs: str


_COUNTRIES = """
France|Paris|French|Europe|the euro
Spain|Madrid|Spanish|Europe|the euro
Italy|Rome|Italian|Europe|the euro
Germany|Berlin|German|Europe|the euro
Portugal|Lisbon|Portuguese|Europe|the euro
Greece|Athens|Greek|Europe|the euro
Austria|Vienna|German|Europe|the euro
Ireland|Dublin|English|Europe|the euro
Finland|Helsinki|Finnish|Europe|the euro
Croatia|Zagreb|Croatian|Europe|the euro
the Netherlands|Amsterdam|Dutch|Europe|the euro
Poland|Warsaw|Polish|Europe|the zloty
Sweden|Stockholm|Swedish|Europe|the krona
Norway|Oslo|Norwegian|Europe|the krone
Denmark|Copenhagen|Danish|Europe|the krone
Iceland|Reykjavik|Icelandic|Europe|the krona
Hungary|Budapest|Hungarian|Europe|the forint
Romania|Bucharest|Romanian|Europe|the leu
Czechia|Prague|Czech|Europe|the koruna
Ukraine|Kyiv|Ukrainian|Europe|the hryvnia
the United Kingdom|London|English|Europe|the pound
Japan|Tokyo|Japanese|Asia|the yen
China|Beijing|Chinese|Asia|the yuan
South Korea|Seoul|Korean|Asia|the won
Thailand|Bangkok|Thai|Asia|the baht
Vietnam|Hanoi|Vietnamese|Asia|the dong
Nepal|Kathmandu|Nepali|Asia|the rupee
Iran|Tehran|Persian|Asia|the rial
Iraq|Baghdad|Arabic|Asia|the dinar
Egypt|Cairo|Arabic|Africa|the pound
Morocco|Rabat|Arabic|Africa|the dirham
Kenya|Nairobi|Swahili|Africa|the shilling
Angola|Luanda|Portuguese|Africa|the kwanza
Canada|Ottawa|English|North America|the dollar
the United States|Washington|English|North America|the dollar
Mexico|Mexico City|Spanish|North America|the peso
Cuba|Havana|Spanish|North America|the peso
Brazil|Brasilia|Portuguese|South America|the real
Argentina|Buenos Aires|Spanish|South America|the peso
Chile|Santiago|Spanish|South America|the peso
Peru|Lima|Spanish|South America|the sol
Colombia|Bogota|Spanish|South America|the peso
Uruguay|Montevideo|Spanish|South America|the peso
Australia|Canberra|English|Oceania|the dollar
New Zealand|Wellington|English|Oceania|the dollar
Belgium|Brussels|-|Europe|the euro
Switzerland|Bern|German|Europe|the franc
Serbia|Belgrade|Serbian|Europe|the dinar
Slovakia|Bratislava|Slovak|Europe|the euro
Slovenia|Ljubljana|Slovenian|Europe|the euro
Estonia|Tallinn|Estonian|Europe|the euro
Latvia|Riga|Latvian|Europe|the euro
Lithuania|Vilnius|Lithuanian|Europe|the euro
Albania|Tirana|Albanian|Europe|the lek
Bulgaria|Sofia|Bulgarian|Europe|-
Malta|Valletta|Maltese|Europe|the euro
Russia|Moscow|Russian|-|the ruble
Turkey|Ankara|Turkish|-|the lira
India|New Delhi|-|Asia|the rupee
Pakistan|Islamabad|-|Asia|the rupee
Bangladesh|Dhaka|Bengali|Asia|the taka
Mongolia|Ulaanbaatar|Mongolian|Asia|the tugrik
Saudi Arabia|Riyadh|Arabic|Asia|the riyal
Jordan|Amman|Arabic|Asia|the dinar
Lebanon|Beirut|Arabic|Asia|the pound
Syria|Damascus|Arabic|Asia|the pound
Cambodia|Phnom Penh|Khmer|Asia|the riel
Laos|Vientiane|Lao|Asia|the kip
the Philippines|Manila|-|Asia|the peso
Afghanistan|Kabul|-|Asia|the afghani
Ethiopia|Addis Ababa|-|Africa|the birr
Ghana|Accra|-|Africa|the cedi
Nigeria|Abuja|-|Africa|the naira
Senegal|Dakar|-|Africa|the franc
Tunisia|Tunis|Arabic|Africa|the dinar
Algeria|Algiers|Arabic|Africa|the dinar
Libya|Tripoli|Arabic|Africa|the dinar
Sudan|Khartoum|Arabic|Africa|the pound
Uganda|Kampala|-|Africa|the shilling
Zambia|Lusaka|-|Africa|the kwacha
Madagascar|Antananarivo|Malagasy|Africa|the ariary
Jamaica|Kingston|-|North America|the dollar
Costa Rica|San Jose|Spanish|North America|the colon
Guatemala|Guatemala City|Spanish|North America|the quetzal
Panama|Panama City|Spanish|North America|-
Ecuador|Quito|Spanish|South America|the dollar
Venezuela|Caracas|Spanish|South America|the bolivar
Paraguay|Asuncion|-|South America|the guarani
Fiji|Suva|-|Oceania|the dollar
"""

_ANIMALS = """
dog|dogs|puppy|bark|mammals|-|meat|four
cat|cats|kitten|meow|mammals|-|meat|four
cow|cows|calf|moo|mammals|on farms|grass|four
horse|horses|foal|neigh|mammals|on farms|grass|four
sheep|sheep|lamb|bleat|mammals|on farms|grass|four
goat|goats|kid|bleat|mammals|on farms|grass|four
pig|pigs|piglet|oink|mammals|on farms|-|four
duck|ducks|duckling|quack|birds|near ponds|plants|two
hen|hens|chick|cluck|birds|on farms|seeds|two
goose|geese|gosling|honk|birds|near lakes|grass|two
lion|lions|cub|roar|mammals|on the savanna|meat|four
tiger|tigers|cub|roar|mammals|in forests|meat|four
bear|bears|cub|growl|mammals|in forests|-|four
wolf|wolves|pup|howl|mammals|in forests|meat|four
fox|foxes|cub|-|mammals|in forests|meat|four
elephant|elephants|calf|trumpet|mammals|on the savanna|plants|four
giraffe|giraffes|calf|-|mammals|on the savanna|leaves|four
zebra|zebras|foal|-|mammals|on the savanna|grass|four
monkey|monkeys|-|chatter|mammals|in trees|fruit|-
panda|pandas|cub|-|mammals|in forests|bamboo|four
koala|koalas|joey|-|mammals|in trees|leaves|four
kangaroo|kangaroos|joey|-|mammals|in Australia|grass|-
rabbit|rabbits|kit|-|mammals|in burrows|grass|four
mouse|mice|pup|squeak|mammals|in holes|seeds|four
squirrel|squirrels|-|-|mammals|in trees|nuts|four
deer|deer|fawn|-|mammals|in forests|plants|four
whale|whales|calf|-|mammals|in the sea|-|zero
dolphin|dolphins|calf|click|mammals|in the sea|fish|zero
seal|seals|pup|bark|mammals|near the sea|fish|zero
bat|bats|pup|-|mammals|in caves|-|-
owl|owls|owlet|hoot|birds|in trees|mice|two
eagle|eagles|eaglet|scream|birds|on cliffs|meat|two
penguin|penguins|chick|-|birds|near the sea|fish|two
parrot|parrots|chick|squawk|birds|in trees|seeds|two
swan|swans|cygnet|-|birds|on lakes|plants|two
frog|frogs|tadpole|croak|amphibians|near ponds|insects|four
snake|snakes|-|hiss|reptiles|-|meat|zero
crocodile|crocodiles|-|-|reptiles|in rivers|meat|four
turtle|turtles|hatchling|-|reptiles|-|plants|-
lizard|lizards|-|-|reptiles|-|insects|four
bee|bees|larva|buzz|insects|in hives|nectar|six
ant|ants|larva|-|insects|in nests|-|six
butterfly|butterflies|caterpillar|-|insects|in gardens|nectar|six
spider|spiders|spiderling|-|arachnids|in webs|insects|eight
shark|sharks|pup|-|fish|in the sea|fish|zero
salmon|salmon|-|-|fish|-|-|zero
camel|camels|calf|-|mammals|in deserts|plants|four
donkey|donkeys|foal|bray|mammals|on farms|grass|four
hippo|hippos|calf|grunt|mammals|in rivers|grass|four
rhino|rhinos|calf|-|mammals|on the savanna|grass|four
cheetah|cheetahs|cub|-|mammals|on the savanna|meat|four
leopard|leopards|cub|growl|mammals|-|meat|four
hedgehog|hedgehogs|hoglet|-|mammals|in gardens|insects|four
beaver|beavers|kit|-|mammals|near rivers|plants|four
otter|otters|pup|-|mammals|near rivers|fish|four
mole|moles|pup|-|mammals|under the ground|worms|four
badger|badgers|cub|-|mammals|in burrows|worms|four
moose|moose|calf|-|mammals|in forests|plants|four
crow|crows|chick|caw|birds|in trees|-|two
turkey|turkeys|poult|gobble|birds|on farms|seeds|two
pigeon|pigeons|squab|coo|birds|in cities|seeds|two
ostrich|ostriches|chick|-|birds|on the savanna|plants|two
flamingo|flamingos|chick|-|birds|near lakes|-|two
woodpecker|woodpeckers|chick|-|birds|in trees|insects|two
seagull|seagulls|chick|-|birds|near the sea|fish|two
toad|toads|tadpole|croak|amphibians|near ponds|insects|four
newt|newts|-|-|amphibians|in ponds|-|four
cobra|cobras|-|hiss|reptiles|-|meat|zero
gecko|geckos|-|chirp|reptiles|-|insects|four
mosquito|mosquitoes|larva|whine|insects|near water|-|six
grasshopper|grasshoppers|-|-|insects|in meadows|grass|six
beetle|beetles|larva|-|insects|-|-|six
ladybird|ladybirds|larva|-|insects|in gardens|-|six
wasp|wasps|larva|buzz|insects|in nests|-|six
scorpion|scorpions|-|-|arachnids|in deserts|insects|eight
tuna|tuna|-|-|fish|in the sea|fish|zero
trout|trout|-|-|fish|in rivers|-|zero
"""


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


COUNTRIES: tuple[Country, ...] = tuple(Country(*row) for row in _rows(_COUNTRIES))
ANIMALS: tuple[Animal, ...] = tuple(Animal(*row) for row in _rows(_ANIMALS))
