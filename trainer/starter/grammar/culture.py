"""Works and their makers, landmarks, records, planets and greetings, each a relation. Every line is a fact."""

from trainer.starter.grammar.relation import Relation, rows

_BOOKS = """
Hamlet|William Shakespeare
Don Quixote|Miguel de Cervantes
War and Peace|Leo Tolstoy
Crime and Punishment|Fyodor Dostoevsky
Oliver Twist|Charles Dickens
Pride and Prejudice|Jane Austen
Moby-Dick|Herman Melville
Frankenstein|Mary Shelley
Dracula|Bram Stoker
The Trial|Franz Kafka
Animal Farm|George Orwell
Robinson Crusoe|Daniel Defoe
Les Miserables|Victor Hugo
The Odyssey|Homer
Faust|Goethe
Treasure Island|Robert Louis Stevenson
Jane Eyre|Charlotte Bronte
The Hobbit|J. R. R. Tolkien
"""
_PAINTINGS = """
the Mona Lisa|Leonardo da Vinci
Guernica|Pablo Picasso
The Scream|Edvard Munch
The Starry Night|Vincent van Gogh
The Night Watch|Rembrandt
Girl with a Pearl Earring|Johannes Vermeer
The Kiss|Gustav Klimt
The Birth of Venus|Sandro Botticelli
The Persistence of Memory|Salvador Dali
Impression, Sunrise|Claude Monet
"""
_MUSIC = """
The Magic Flute|Wolfgang Amadeus Mozart
Swan Lake|Pyotr Tchaikovsky
Carmen|Georges Bizet
The Four Seasons|Antonio Vivaldi
Aida|Giuseppe Verdi
Fidelio|Ludwig van Beethoven
Tosca|Giacomo Puccini
Messiah|George Frideric Handel
Bolero|Maurice Ravel
Peer Gynt|Edvard Grieg
"""
_LANDMARKS = """
the Eiffel Tower|Paris
the Colosseum|Rome
Big Ben|London
the Statue of Liberty|New York
the Acropolis|Athens
the Kremlin|Moscow
the Brandenburg Gate|Berlin
the Prado|Madrid
the Sagrada Familia|Barcelona
the Golden Gate Bridge|San Francisco
the Opera House with white sails|Sydney
Charles Bridge|Prague
Hagia Sophia|Istanbul
the Little Mermaid statue|Copenhagen
the Forbidden City|Beijing
the Leaning Tower|Pisa
the Rijksmuseum|Amsterdam
the White House|Washington
the Burj Khalifa|Dubai
the Alhambra|Granada
"""
_RECORDS = """
the largest ocean|the Pacific
the tallest animal|the giraffe
the largest animal|the blue whale
the fastest land animal|the cheetah
the largest planet|Jupiter
the highest mountain on land|Mount Everest
the largest country|Russia
the smallest country|Vatican City
the largest continent|Asia
the coldest continent|Antarctica
the hottest planet|Venus
the largest hot desert|the Sahara
the largest bird|the ostrich
the largest fish|the whale shark
the largest land animal|the elephant
the largest organ of the body|the skin
the longest bone of the body|the thigh bone
the star nearest to the Earth|the sun
the hardest natural material|diamond
the lightest gas|hydrogen
the largest rainforest|the Amazon
the largest island|Greenland
the smallest ocean|the Arctic Ocean
the metal that is liquid at room temperature|mercury
"""
_PLANETS = "Mercury first Venus second Earth third Mars fourth Jupiter fifth Saturn sixth Uranus seventh Neptune eighth"
_HELLO = """
French|bonjour
Spanish|hola
German|hallo
Italian|ciao
Swedish|hej
Portuguese|ola
Hawaiian|aloha
"""
_THANKS = """
French|merci
Spanish|gracias
German|danke
Italian|grazie
Swedish|tack
Japanese|arigato
Dutch|dank je
"""


def _pairs(table: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((x, x, y) for x, y in rows(table))


def _made(name: str, table: str, emoji: str, did: str, maker: str) -> Relation:
    """Who made a work: `did` is "wrote", `maker` "writer"."""
    return Relation(
        name,
        "culture",
        emoji,
        _pairs(table),
        (f"Who {did} {{x}}?", f"Who is the {maker} of {{x}}?", f"Name the {maker} of {{x}}."),
        (
            f"{{y}} {did} {{x}}.",
            f"The {maker} of {{x}} is {{y}}.",
            f"It was {{y}} who {did} {{x}}.",
            "{x} is by {y}.",
        ),
        (f"Is {{y}} the {maker} of {{x}}?", f"Is it true that {{y}} {did} {{x}}?"),
        True,
        (f"What is a famous work that {{y}} {did}?", f"Which work did the {maker} {{y}} make?"),
    )


CULTURE_RELATIONS = (
    _made("writer", _BOOKS, "📚", "wrote", "writer"),
    _made("painter", _PAINTINGS, "🎨", "painted", "painter"),
    _made("composer", _MUSIC, "🎼", "composed", "composer"),
    Relation(
        "stands",
        "culture",
        "🏛",
        _pairs(_LANDMARKS),
        ("In which city is {x}?", "Where can I see {x}?", "Where is {x}?", "Which city is the home of {x}?"),
        ("{x} is in {y}.", "You can see {x} in {y}.", "The city of {x} is {y}.", "Go to {y} to see {x}."),
        ("Is {x} in {y}?", "Can I see {x} in {y}?"),
        True,
        ("What can I see in {y}?", "Name a famous sight of {y}.", "What is a landmark of {y}?"),
    ),
    Relation(
        "record",
        "world",
        "🏆",
        _pairs(_RECORDS),
        ("What is {x}?", "Can you name {x}?", "Tell me {x}.", "Do you know {x}?"),
        ("{y} is {x}.", "The answer is {y}, {x}.", "It is {y}.", "That is {y}, {x}."),
        ("Is {y} {x}?", "Is it true that {y} is {x}?"),
        True,
        ("What record does {y} hold?", "What is {y} known for?"),
    ),
    Relation(
        "planet",
        "world",
        "🪐",
        tuple(
            (f"the planet {x}", f"the planet {x}", y)
            for x, y in zip(_PLANETS.split()[::2], _PLANETS.split()[1::2], strict=True)
        ),
        ("Which place from the sun has {x}?", "Counted from the sun, which one is {x}?"),
        ("Counted from the sun, {x} is the {y} one.", "{x} is the {y} from the sun.", "{x} comes {y} from the sun."),
        ("Is {x} the {y} from the sun?",),
        True,
        ("Which planet is the {y} from the sun?", "Name the {y} planet from the sun."),
        mention="the {y} planet from the sun",
    ),
    Relation(
        "hello",
        "words",
        "👋",
        tuple((f"hello in {x}", x, y) for x, y in rows(_HELLO)),
        ("How do you say hello in {x}?", "What is hello in {x}?", "How do people greet in {x}?"),
        ("Hello in {x} is {y}.", "In {x} you say {y} for hello.", "The {x} hello is {y}."),
        ("Is {y} hello in {x}?",),
        True,
        ("In which language is {y} a hello?", "Which language greets with {y}?"),
        mention="the word {y}",
    ),
    Relation(
        "thanks",
        "words",
        "🙏",
        tuple((f"thanks in {x}", x, y) for x, y in rows(_THANKS)),
        ("How do you say thanks in {x}?", "What is the word for thanks in {x}?"),
        ("Thanks in {x} is {y}.", "In {x} you say {y} for thanks.", "The {x} word for thanks is {y}."),
        ("Is {y} the word for thanks in {x}?",),
        True,
        ("In which language does {y} mean thanks?",),
        mention="the word {y}",
    ),
)

CULTURE_NAMES: dict[str, str] = {entity: entity for relation in CULTURE_RELATIONS for entity, _, _ in relation.pairs}
"""How each entity is named in "tell me about ..."."""
