"""What the judge learns from: a question and two completions of known worth, because each was made right or wrong.

A completion is good when it is right and well-formed. One good one wins; two good or two bad ones tie.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from trainer.starter.check import is_well_formed, passes
from trainer.starter.corpus import draw_item
from trainer.starter.grammar.dialogues import AND, and_group, sibling_pair
from trainer.starter.grammar.item import Conversation, Item, Message, add_noise, say
from trainer.starter.grammar.list_asks import draw_ask, list_item
from trainer.starter.grammar.lists import draw_listing, draw_lookup
from trainer.starter.grammar.styles import DODGES, FALSE_STYLES, Style, draw_style, render, wrong_of
from trainer.starter.grammar.texts import text_item
from trainer.starter.judge.form import Verdict, judge_messages, with_worth
from trainer.starter.split import is_heldout

Kind = Literal["wrong", "broken", "off-topic", "dodge", "style", "same", "both bad"]

SHARES: dict[Kind, float] = {
    "wrong": 0.49,
    "broken": 0.19,
    "off-topic": 0.08,
    "dodge": 0.05,
    "style": 0.17,
    "same": 0.02,
    "both bad": 0.0,
}
"""How often each kind of pair is drawn; "style" is two good replies, "wrong" a good one and a false one.

Two bad ones are measured but not taught: a judge that had learnt them took a fact it had not seen for bad, and tied it
with nonsense.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the messages, the item of the last one, and every group key in it."""

    messages: list[Message]
    item: Item
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one question and the verdict that is right about them."""

    question: Question
    a: str
    b: str
    verdict: Verdict
    kind: Kind


def draw_question(rng: Random, *, heldout: bool = False) -> Question:
    """A question of any kind the chat model is asked; taught, with more of lists and texts, or held out."""
    chance = rng.random()
    if chance < 0.1 and not heldout:
        return _second_turn(rng)
    if chance < (0.7 if heldout else 0.58):
        item = draw_item(rng, heldout=heldout)
    else:
        texts = 0.35 if heldout else 0.45
        item = _grounded(rng, texts)
        while is_heldout(item.group) != heldout:
            item = _grounded(rng, texts)
    return Question([say("user", add_noise(rng.choice(item.questions), rng))], item, frozenset((item.group,)))


def _grounded(rng: Random, texts: float = 0.35) -> Item:
    if rng.random() < texts:
        return text_item(rng)
    listing = draw_lookup(rng) if rng.random() < 0.15 else draw_listing(rng, 14)
    return list_item(listing, draw_ask(listing, rng), rng)


def _second_turn(rng: Random) -> Question:
    """ "What is the capital of France?" ... "And Spain?"; nothing of it is held out."""
    while True:
        name, first, second, subject = sibling_pair(rng)
        groups = frozenset((first.group, second.group, and_group(name, first, second)))
        if not any(is_heldout(group) for group in groups):
            break
    messages = [
        say("user", rng.choice(first.questions)),
        say("assistant", _good(first, rng)),
        say("user", rng.choice(AND).format(x=subject)),
    ]
    return Question(messages, second, groups)


def _true_style(rng: Random) -> Style:
    while True:
        style = draw_style(rng)
        if style not in FALSE_STYLES:
            return style


def _good(item: Item, rng: Random, style: Style | None = None) -> str:
    return render(item, style or _true_style(rng), rng)


def _off_topic(item: Item, rng: Random) -> str:
    """A good reply to another question, which is no reply to this one."""
    while True:
        other = _grounded(rng) if rng.random() < 0.1 else draw_item(rng)
        text = _good(other, rng)
        alike = other.manner == item.manner and item.manner in {"refusal", "unknown"}
        if not alike and not passes(item.check(), text):
            return text


def _wrong(item: Item, rng: Random) -> str:
    """A false reply in some style; where nothing is false, one that is off topic."""
    for _ in range(4):
        if not item.wrongs:
            break
        text = _good(wrong_of(item, rng), rng)
        if not passes(item.check(), text):
            return text
    return _off_topic(item, rng)


def scramble(text: str, rng: Random) -> str:
    """The words in another order; a short text gets its words twice before, so that no order is right."""
    words = text.split()
    if len(words) < 4:
        words = words * 4
    mixed = words[:]
    while mixed == words:
        rng.shuffle(mixed)
        if len(set(words)) == 1:
            break
    return " ".join(mixed)


def _repeat(text: str, rng: Random) -> str:
    """The start of the text over and over."""
    words = text.split()
    part = words[: rng.randint(1, min(4, len(words)))]
    return " ".join(part * rng.randint(5, 12))


def _letters(text: str, rng: Random) -> str:
    """Letters without sense, as long as the text."""
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz  ") for _ in range(min(80, len(text)))).strip() or "x"


def _empty(text: str, rng: Random) -> str:
    return rng.choice(("", " ", ".", "..."))


BREAKERS: tuple[Callable[[str, Random], str], ...] = (scramble, scramble, scramble, _empty, _empty, _repeat, _letters)


def broken(text: str, rng: Random) -> str:
    """The text scrambled, emptied, repeated without end, or replaced by noise."""
    return rng.choice(BREAKERS)(text, rng)


def _bad(item: Item, rng: Random) -> str:
    chance = rng.random()
    if chance < 0.6:
        return _wrong(item, rng)
    if chance < 0.75:
        return _off_topic(item, rng)
    return broken(_good(item, rng), rng) if chance < 0.9 or not _can_dodge(item) else rng.choice(DODGES)


def _can_dodge(item: Item) -> bool:
    return item.manner in {"fact", "advice"}


def _sides(kind: Kind, item: Item, rng: Random) -> tuple[str, str]:
    """(the better completion, the other); for ties the order says nothing."""
    match kind:
        case "wrong":
            return _good(item, rng), _wrong(item, rng)
        case "broken":
            return _good(item, rng), broken(_good(item, rng), rng)
        case "off-topic":
            return _good(item, rng), _off_topic(item, rng)
        case "dodge":
            return _good(item, rng), rng.choice(DODGES) if _can_dodge(item) else _wrong(item, rng)
        case "style":
            one, two = _true_style(rng), _true_style(rng)
            while two == one:
                two = _true_style(rng)
            return _good(item, rng, one), _good(item, rng, two)
        case "same":
            text = _good(item, rng) if rng.random() < 0.7 else _bad(item, rng)
            return text, text
        case "both bad":
            return _bad(item, rng), _bad(item, rng)


TIES: frozenset[Kind] = frozenset({"style", "same", "both bad"})
WORTH_KNOWN: frozenset[Kind] = frozenset(SHARES) - {"same", "both bad"}
"""Kinds whose verdict says what each completion is worth: a tie is of two good ones."""


def draw_pair(rng: Random, kind: Kind | None = None, *, heldout: bool = False) -> Pair:
    """Two completions of a new question, of a kind drawn with `SHARES` unless named, in random order."""
    chosen = kind or rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
    while True:
        question = draw_question(rng, heldout=heldout)
        better, other = _sides(chosen, question.item, rng)
        fair = (
            chosen == "both bad"
            or (is_well_formed(better) and passes(question.item.check(), better))
            or chosen == "same"
        )
        if fair:
            break
    if chosen in TIES:
        return Pair(question, better, other, "tie", chosen)
    if rng.random() < 0.5:
        return Pair(question, better, other, "A", chosen)
    return Pair(question, other, better, "B", chosen)


def draw_judgement(rng: Random) -> Conversation:
    """A pair as the chat the judge is trained on."""
    pair = draw_pair(rng)
    messages = judge_messages(pair.question.messages, pair.a, pair.b)
    if pair.kind in WORTH_KNOWN:
        messages = with_worth(messages, pair.verdict in {"A", "tie"}, pair.verdict in {"B", "tie"})
    return Conversation([*messages, say("assistant", pair.verdict)], pair.question.groups)
