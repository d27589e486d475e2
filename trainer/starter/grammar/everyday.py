# ruff: noqa: E501
"""Advice, recipes, gifts, routines and weather: topics, each asked in several forms.

A topic's forms ("How can I ...", "Give me a tip ...", "... is hard for me") are different questions with the same
good replies, so that a held-out form is answered from what the others taught.
"""

from typing import NamedTuple


class Topic(NamedTuple):
    """`wish` completes "How can I ...?"; `trouble` is said in the first person; `tips` are imperatives.

    `keys` are words of which a right reply has at least one.
    """

    name: str
    wish: str
    trouble: str
    tips: tuple[str, ...]
    keys: tuple[str, ...]
    emoji: str


_TOPICS = """
sleep|sleep better|I cannot sleep at night|go to bed at the same time;keep your room dark;put your phone away|bed,dark,phone|😴
stress|feel less stress|I feel a lot of stress|take slow breaths;go for a walk;take short breaks|breaths,walk,breaks|🧘
exam|prepare for an exam|I am nervous about my exam|study a little every day;make a plan;sleep well before the day|study,plan,sleep|📚
focus|focus better|I cannot focus on my work|turn off your phone;work in short blocks;clean your desk|phone,blocks,desk|🎯
money|save money|I spend too much money|write down what you buy;cook at home;set money aside each month|write,cook,aside|💰
fit|get fit|I am not fit any more|walk every day;use the stairs;find a sport you like|walk,stairs,sport|🏃
friends|make new friends|I feel alone in my new town|join a club;say hello to your neighbours;ask people about their day|club,neighbours,ask|👋
language|learn a language|I forget all new words|practise every day;listen to songs;speak with people|practise,songs,speak|🗣
room|clean my room|My room is a mess|start with one corner;put things in boxes;throw away what you do not need|corner,boxes,throw|🧹
morning|wake up early|I never hear my alarm|put the alarm far away;go to bed early;open the curtains|alarm,early,curtains|⏰
water|drink more water|I forget to drink|keep a bottle near you;drink a glass at each meal;set a reminder|bottle,glass,reminder|💧
cold|get over a cold|I have a cold|rest a lot;drink warm tea;stay at home|rest,tea,home|🤧
headache|feel better with a headache|I have a headache|drink water;rest in a dark room;see a doctor if it stays|water,rest,doctor|🤕
speech|give a good speech|I am afraid of my speech|practise aloud;start slowly;look at friendly faces|practise,slowly,faces|🎤
interview|do well in an interview|I have a job interview tomorrow|read about the company;prepare examples;arrive early|company,examples,early|💼
reading|read more books|I never finish a book|read ten minutes a day;carry a book with you;choose what you enjoy|minutes,carry,enjoy|📖
plants|keep plants alive|All my plants die|give them light;water them once a week;check the soil|light,water,soil|🪴
argument|make peace after an argument|I had an argument with my friend|say sorry;listen to your friend;talk calmly|sorry,listen,calmly|🤝
shy|be less shy|I am too shy to talk|start with small talk;smile at people;practise with a friend|small,smile,practise|😊
memory|remember things|I forget everything|write things down;repeat them aloud;sleep enough|write,repeat,sleep|🧠
travel|pack for a trip|I always pack too much|make a list;roll your clothes;pack two days before|list,roll,before|🧳
pet|train my dog|My dog does not listen|reward good behaviour;use short words;train a little every day|reward,short,little|🐶
phone|use my phone less|I am on my phone all day|turn off alerts;leave it in another room;set a time limit|alerts,leave,limit|📱
cooking|learn to cook|I burn every meal|start with easy dishes;follow a recipe;keep the heat low|easy,recipe,heat|🍳
sad|cheer up|I feel sad today|talk to a friend;go outside;listen to music you love|talk,outside,music|🌼
angry|calm down|I am so angry|count to ten;breathe slowly;leave the room for a while|count,breathe,leave|😮
running|start running|I get tired when I run|run slowly at first;wear good shoes;take rest days|slowly,shoes,rest|👟
writing|write better|My texts are boring|use short sentences;read your text aloud;cut extra words|short,aloud,cut|✍️
late|be on time|I am always late|leave ten minutes early;prepare the night before;set two alarms|early,prepare,alarms|⏱
breakfast|eat a good breakfast|I never have breakfast|eat oats with fruit;boil an egg;get up ten minutes earlier|oats,egg,earlier|🥣
vegetables|eat more vegetables|I do not like vegetables|put them in a soup;try a new one each week;roast them in the oven|soup,new,roast|🥦
sugar|eat less sugar|I eat too many sweets|drink water instead of cola;eat fruit;keep no sweets at home|water,fruit,home|🍬
posture|have less back pain|My back hurts|stand up often;stretch in the morning;sit straight|stand,stretch,straight|🧍
bike|ride a bicycle safely|I am afraid of riding my bicycle|wear a helmet;use lights at night;look before you turn|helmet,lights,look|🚲
moving|move to a new flat|I am moving next week|label every box;ask friends for help;pack one room at a time|label,friends,room|📦
party|plan a party|I must plan a party|invite people early;prepare some snacks;choose good music|invite,snacks,music|🎈
letter|write a letter|I do not know what to write in my letter|begin with a greeting;say why you write;keep it short|greeting,why,short|✉️
garden|start a garden|My garden is empty|begin with herbs;choose a sunny place;water it in the evening|herbs,sunny,evening|🌱
chess|get better at chess|I always lose at chess|guard your king;think before each move;study old games|king,think,study|♟
guitar|learn the guitar|My fingers hurt from the guitar|start with three chords;play a little each day;keep it in tune|chords,play,tune|🎸
drawing|learn to draw|I cannot draw|draw simple shapes;copy what you see;draw every day|shapes,copy,every|✏️
photo|take better photos|My photos are dark|use daylight;hold the camera still;go closer|daylight,still,closer|📷
swim|learn to swim|I am afraid of deep water|take lessons;start in shallow water;breathe out under water|lessons,shallow,breathe|🏊
energy|save energy at home|My power bill is high|switch off the lights;lower the heating;dry clothes on a line|lights,heating,line|💡
waste|throw away less food|I throw away too much food|plan your meals;freeze what is left;buy less|plan,freeze,buy|🗑
meeting|lead a good meeting|My meetings are too long|set an agenda;end on time;let everyone speak|agenda,end,everyone|🗓
feedback|take criticism well|I hate criticism|listen to the end;ask for an example;say thank you later|listen,example,later|👂
decision|make a hard decision|I cannot decide|list the good and the bad;sleep on it;ask someone you trust|list,sleep,trust|⚖️
boss|ask for more pay|I earn too little|list what you have done;choose a calm moment;name a clear number|list,calm,number|💶
neighbour|deal with a noisy neighbour|My neighbour is too loud|talk to them kindly;write a short note;use earplugs|kindly,note,earplugs|🏠
flying|stay calm on a plane|I am afraid of flying|breathe slowly;listen to music;sit near the wing|breathe,music,wing|✈️
baby|help a baby to sleep|Our baby cries at night|keep to a routine;sing a quiet song;dim the lights|routine,sing,dim|👶
cat|make my cat happy|My cat is bored|play with a string;give it a box;put a seat at the window|string,box,window|🐱
computer|keep my computer safe|I am afraid of viruses|update it often;use long passwords;do not open strange mail|update,passwords,mail|🖥
homework|finish my homework|I hate my homework|do the hardest part first;take short breaks;work in a quiet place|hardest,breaks,quiet|📝
"""

_RECIPES = """
tea|boil water, pour it over a tea bag and wait four minutes|boil,bag|🍵
coffee|pour hot water over ground coffee in a filter|hot,filter|☕
scrambled eggs|beat two eggs and stir them in a warm pan with butter|beat,stir|🍳
pancakes|mix flour, milk and eggs and fry thin cakes in butter|flour,milk|🥞
tomato soup|cook tomatoes with onion and blend them|tomatoes,onion|🍅
a salad|cut lettuce and tomatoes and add oil and lemon|lettuce,oil|🥗
toast|put bread in the toaster and add butter|bread,toaster|🍞
rice|cook one cup of rice in two cups of water|cup,water|🍚
pasta|boil salted water and cook the pasta for ten minutes|boil,ten|🍝
a sandwich|put cheese and tomato between two slices of bread|cheese,slices|🥪
lemonade|mix lemon juice, cold water and sugar|juice,sugar|🍋
hot chocolate|warm milk and stir in cocoa and sugar|milk,cocoa|🍫
mashed potatoes|boil potatoes and mash them with milk and butter|boil,mash|🥔
fruit salad|cut fruit into pieces and add some orange juice|cut,pieces|🍓
bread|knead flour, water, yeast and salt and bake the dough|flour,yeast|🍞
an omelette|beat eggs, pour them in a pan and fold when set|beat,fold|🍳
popcorn|heat oil and corn in a pan with a lid|oil,lid|🍿
iced tea|brew strong tea, let it cool and add ice|brew,ice|🧊
a smoothie|blend a banana with berries and milk|blend,berries|🥤
garlic bread|spread garlic butter on bread and bake it|garlic,bake|🧄
an apple pie|put sliced apples on dough and bake it for 40 minutes|apples,40|🥧
french fries|cut potatoes into sticks and fry them in hot oil|sticks,fry|🍟
vegetable soup|cook carrots, leeks and potatoes in broth|carrots,broth|🍲
guacamole|mash avocados with lime and salt|avocados,lime|🥑
hummus|blend chickpeas with sesame paste and lemon|chickpeas,sesame|🧆
roast chicken|rub a chicken with oil and salt and roast it for an hour|rub,hour|🍗
fried rice|fry cooked rice with egg and peas|cooked,peas|🍚
yogurt with fruit|put fruit and honey on yogurt|fruit,honey|🍓
porridge|cook oats slowly in milk|oats,milk|🥣
pizza|spread tomato sauce and cheese on dough and bake it|sauce,dough|🍕
"""

_GIFTS = """
my mother|a nice scarf or a plant|scarf,plant|🎁
my father|a good book or warm gloves|book,gloves|🎁
my sister|a necklace or a cinema ticket|necklace,ticket|🎁
my brother|a board game or a football|game,football|🎁
my best friend|a photo album or a dinner together|album,dinner|🎁
my grandmother|flowers or a framed photo|flowers,photo|💐
my grandfather|a warm blanket or a puzzle|blanket,puzzle|🎁
my teacher|a thank-you card or nice tea|card,tea|🎁
my boss|a good pen or some chocolate|pen,chocolate|🎁
a child|a toy or a picture book|toy,picture|🧸
a baby|a soft toy or a small blanket|soft,blanket|🧸
a cook|a sharp knife or a cookbook|knife,cookbook|🔪
a gardener|seeds or a pair of gloves|seeds,gloves|🌱
a reader|a novel or a bookmark|novel,bookmark|📚
a musician|concert tickets or new strings|concert,strings|🎶
a painter|brushes or a sketchbook|brushes,sketchbook|🖌
a traveller|a small suitcase or a travel guide|suitcase,guide|🧳
a student|a desk lamp or a notebook|lamp,notebook|🎓
a cyclist|a bicycle bell or a helmet|bell,helmet|🚲
a dog owner|a leash or dog treats|leash,treats|🐕
my wife|a bracelet or a weekend trip|bracelet,trip|💝
my husband|a watch or a nice shirt|watch,shirt|💝
my aunt|a box of tea or a vase|tea,vase|🎁
my uncle|a map of the stars or a hat|stars,hat|🎁
a neighbour|a homemade cake or flowers|cake,flowers|🎂
a runner|running socks or a water bottle|socks,bottle|👟
"""

_WEATHER = """
rain|take an umbrella and a raincoat|umbrella,raincoat|stay inside and read a book|inside,read|🌧
snow|wear boots and a warm coat|boots,coat|build a snowman|snowman|❄️
sunshine|wear a hat and use sun cream|hat,cream|go to the park|park|☀️
wind|wear a jacket and hold on to your hat|jacket,hold|fly a kite|kite|💨
fog|drive slowly and use your lights|slowly,lights|stay near home|near|🌫
a storm|stay inside and close the windows|inside,close|play a board game|game|⛈
heat|drink water and stay in the shade|water,shade|go swimming|swimming|🥵
hail|stay under a roof and protect your car|roof,protect|look at the ice from the window|window|🌨
ice on the roads|walk slowly and wear boots with grip|slowly,grip|go skating on a rink|skating|⛸
frost|wear gloves and walk carefully|gloves,carefully|drink hot chocolate|chocolate|🧤
"""


def _topic(line: str) -> Topic:
    name, wish, trouble, tips, keys, emoji = line.split("|")
    return Topic(name, wish, trouble, tuple(tips.split(";")), tuple(keys.split(",")), emoji)


def _cells(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


TOPICS: tuple[Topic, ...] = tuple(_topic(line) for line in _TOPICS.strip().splitlines())
RECIPES: tuple[tuple[str, str, tuple[str, ...], str], ...] = tuple(
    (dish, how, tuple(keys.split(",")), emoji) for dish, how, keys, emoji in _cells(_RECIPES)
)
GIFTS: tuple[tuple[str, str, tuple[str, ...], str], ...] = tuple(
    (person, gift, tuple(keys.split(",")), emoji) for person, gift, keys, emoji in _cells(_GIFTS)
)
WEATHER: tuple[tuple[str, str, tuple[str, ...], str, tuple[str, ...], str], ...] = tuple(
    (name, wear, tuple(wear_keys.split(",")), do, tuple(do_keys.split(",")), emoji)
    for name, wear, wear_keys, do, do_keys, emoji in _cells(_WEATHER)
)
