"""Foods, sports, jobs, objects and the colours of things. A dash: no clear single answer."""

from typing import NamedTuple


class Food(NamedTuple):
    """`colour` is the usual one of the ripe thing; `taste` one word."""

    name: str
    plural: str
    kind: str
    colour: str
    taste: str
    grows: str


class Sport(NamedTuple):
    """`needs` completes "you need ..."; `place` completes "played/done ..."; `players` a side, in words."""

    name: str
    needs: str
    place: str
    players: str


class Job(NamedTuple):
    """`does` completes "a baker ..."; `place` "works ..."; `tool` "uses ..."."""

    name: str
    does: str
    place: str
    tool: str


class Thing(NamedTuple):
    """`use` completes "you use it to ..."; `place` "usually kept ..."."""

    name: str
    use: str
    place: str


_FOODS = """
apple|apples|fruit|-|sweet|on trees
banana|bananas|fruit|yellow|sweet|-
lemon|lemons|fruit|yellow|sour|on trees
lime|limes|fruit|green|sour|on trees
orange|oranges|fruit|orange|sweet|on trees
cherry|cherries|fruit|red|sweet|on trees
strawberry|strawberries|fruit|red|sweet|near the ground
blueberry|blueberries|fruit|blue|sweet|on bushes
raspberry|raspberries|fruit|red|sweet|on bushes
pear|pears|fruit|green|sweet|on trees
peach|peaches|fruit|orange|sweet|on trees
plum|plums|fruit|purple|sweet|on trees
mango|mangoes|fruit|orange|sweet|on trees
pineapple|pineapples|fruit|yellow|sweet|near the ground
carrot|carrots|vegetable|orange|sweet|under the ground
potato|potatoes|vegetable|brown|-|under the ground
onion|onions|vegetable|-|sharp|under the ground
spinach|spinach|vegetable|green|-|-
broccoli|broccoli|vegetable|green|-|-
cabbage|cabbages|vegetable|green|-|near the ground
beet|beets|vegetable|purple|sweet|under the ground
radish|radishes|vegetable|red|sharp|under the ground
pea|peas|vegetable|green|sweet|in pods
cucumber|cucumbers|-|green|-|on vines
tomato|tomatoes|-|red|-|on vines
honey|honey|-|golden|sweet|-
sugar|sugar|-|white|sweet|-
salt|salt|-|white|salty|-
milk|milk|drink|white|-|-
coffee|coffee|drink|brown|bitter|-
vinegar|vinegar|-|-|sour|-
"""

_SPORTS = """
football|a ball|on a field|eleven
basketball|a ball|on a court|five
volleyball|a ball|on a court|six
tennis|a racket|on a court|-
badminton|a racket|on a court|-
golf|clubs|on a course|-
baseball|a bat|on a field|nine
cricket|a bat|on a field|eleven
ice hockey|a stick|on ice|six
swimming|water|in a pool|-
skiing|snow|on mountains|-
sailing|a boat|on water|-
cycling|a bicycle|on roads|-
boxing|gloves|in a ring|-
archery|a bow|-|-
rowing|a boat|on water|-
chess|a board|at a table|-
surfing|a board|on waves|-
"""

_JOBS = """
baker|bakes bread|in a bakery|an oven
doctor|treats sick people|in a hospital|a stethoscope
nurse|cares for patients|in a hospital|-
teacher|teaches children|in a school|a blackboard
farmer|grows food|on a farm|a tractor
pilot|flies planes|in the air|a plane
sailor|works on ships|at sea|a ship
chef|cooks meals|in a restaurant|a pan
waiter|serves food|in a restaurant|a tray
dentist|looks after teeth|in a clinic|a drill
vet|treats sick animals|in a clinic|-
gardener|looks after plants|in a garden|a spade
carpenter|makes things from wood|in a workshop|a saw
painter|paints pictures|in a studio|a brush
writer|writes books|at a desk|a pen
librarian|looks after books|in a library|-
firefighter|puts out fires|at a fire station|a hose
police officer|keeps people safe|at a police station|-
judge|decides cases|in a court|a gavel
barber|cuts hair|in a barber shop|scissors
tailor|makes clothes|in a shop|a needle
plumber|repairs pipes|in houses|a wrench
mechanic|repairs cars|in a garage|a wrench
photographer|takes pictures|in a studio|a camera
actor|plays roles|in a theatre|-
astronaut|travels to space|in space|a rocket
fisherman|catches fish|on the water|a net
miner|digs for minerals|in a mine|a pickaxe
postman|delivers letters|in the streets|a bag
butcher|sells meat|in a shop|a knife
"""

_THINGS = """
knife|cut food|in the kitchen
spoon|eat soup|in the kitchen
pan|fry food|in the kitchen
kettle|boil water|in the kitchen
fridge|keep food cold|in the kitchen
oven|bake food|in the kitchen
toothbrush|clean your teeth|in the bathroom
towel|dry yourself|in the bathroom
mirror|see yourself|in the bathroom
bar of soap|wash your hands|in the bathroom
bed|sleep|in the bedroom
pillow|rest your head|in the bedroom
blanket|keep warm|in the bedroom
clock|tell the time|on the wall
lamp|light a room|on a table
broom|sweep the floor|in a cupboard
hammer|hit nails|in a toolbox
saw|cut wood|in a toolbox
ladder|reach high places|in the garage
umbrella|stay dry in the rain|by the door
key|open a lock|in a pocket
pen|write|on a desk
ruler|measure lines|on a desk
map|find the way|in a bag
camera|take pictures|in a bag
telescope|look at stars|-
thermometer|measure temperature|-
needle|sew clothes|in a sewing box
shovel|dig holes|in a shed
pair of scissors|cut paper|in a drawer
"""

_COLOURS = """
the sky on a clear day|blue
grass|green
snow|white
coal|black
blood|red
a ripe banana|yellow
the sun in a drawing|yellow
chocolate|brown
a fire engine|red
a polar bear|white
a flamingo|pink
a crow|black
the top light of a traffic light|red
the bottom light of a traffic light|green
gold|yellow
an emerald|green
a ruby|red
a sapphire|blue
cream|white
a pumpkin|orange
"""


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


FOODS: tuple[Food, ...] = tuple(Food(*row) for row in _rows(_FOODS))
SPORTS: tuple[Sport, ...] = tuple(Sport(*row) for row in _rows(_SPORTS))
JOBS: tuple[Job, ...] = tuple(Job(*row) for row in _rows(_JOBS))
THINGS: tuple[Thing, ...] = tuple(Thing(*row) for row in _rows(_THINGS))
COLOURS: tuple[tuple[str, str], ...] = tuple((row[0], row[1]) for row in _rows(_COLOURS))
