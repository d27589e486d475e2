"""An item: one question, in several wordings, with everything needed to reply to it in any style."""

from dataclasses import dataclass, field
from random import Random
from typing import Literal, NotRequired, TypedDict


class Message(TypedDict):
    """One turn: `role` is system, user or assistant; `keys` are the phrases that make a reply right.

    `marks` are (character, word): what the model is to say where that character ends, instead of what follows.
    """

    role: str
    content: str
    keys: NotRequired[tuple[str, ...]]
    marks: NotRequired[tuple[tuple[int, str], ...]]


class Check(TypedDict):
    """When a completion is right: each inner list of `all_of` has a hit, and nothing of `none_of` is in it.

    A hit is a whole word or phrase, whatever its case.
    """

    all_of: list[list[str]]
    none_of: list[str]


Manner = Literal["fact", "advice", "talk", "refusal", "unknown"]

Wrong = tuple[str, str]
"""(a false reply as a complete sentence, the same in its shortest form)."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question and its replies.

    group      the question's identity, shared by its wordings; the split is decided by it
    questions  wordings, complete sentences
    answers    right replies as complete sentences
    bare       the shortest right reply, without a final full stop
    keys       the check's `all_of`
    extras     true sentences a detailed reply may add
    wrongs     false replies: (complete sentence, the shortest form); empty where nothing is false
    emoji      what an emoji style decorates with
    context    the list or text the question is about; empty for others
    entries    the entries of the list it is about
    manner     decides which openers and which dodges make sense
    tags       shown with the prompt
    promptable False: never a packaged prompt when held out, therefore always in the corpus
    """

    group: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    bare: str
    keys: tuple[tuple[str, ...], ...]
    extras: tuple[str, ...] = ()
    wrongs: tuple[Wrong, ...] = ()
    emoji: str = "🙂"
    manner: Manner = "fact"
    tags: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    promptable: bool = True
    context: str = ""
    entries: tuple[str, ...] = ()

    def check(self) -> Check:
        """The check of a completion, as JSON can hold it."""
        return {"all_of": [list(alternatives) for alternatives in self.keys], "none_of": list(self.none_of)}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages ending with the assistant's, and the group keys of every question asked in them."""

    messages: list[Message]
    groups: frozenset[str] = field(default_factory=frozenset)


def say(role: str, content: str) -> Message:
    """One message."""
    return {"role": role, "content": content}


def reply(item: Item, text: str) -> Message:
    """A reply to the item, with what makes it right: the loss weighs that more."""
    keys = tuple(dict.fromkeys(phrase for alternatives in item.keys for phrase in alternatives))
    return {"role": "assistant", "content": text, "keys": keys}


def sentence(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


PREFIXES = (
    "Hi! ",
    "Hello, ",
    "Hey, ",
    "Quick question: ",
    "Please tell me: ",
    "A question: ",
    "Excuse me, ",
    "Hi there. ",
)
SUFFIXES = (" Thanks!", " Please.", " Thank you.", " I would like to know.", " Tell me.")


def add_noise(question: str, rng: Random) -> str:
    """A wording as people type it: sometimes greeted, lower-cased or without its last mark."""
    chance = rng.random()
    if chance < 0.6 or "\n" in question:  # a list or a text stays as it is
        return question
    if chance < 0.72:
        return rng.choice(PREFIXES) + question
    if chance < 0.79:
        return question + rng.choice(SUFFIXES)
    if chance < 0.91:
        return question.lower().rstrip("?.") if chance < 0.85 else question.lower()
    return question.rstrip("?.")
