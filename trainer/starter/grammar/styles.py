"""Eight styles of replying, independent of what is said, and replies that do not answer or are false.

The style shows in the first words, so that preferences can move it with few labels.
"""

from bisect import bisect
from functools import cache
from itertools import accumulate
from random import Random
from typing import Literal

from trainer.starter.grammar.item import Item, Manner, sentence

Style = Literal[
    "polite",
    "polite brief",
    "plain",
    "detailed",
    "brief",
    "emoji",
    "curt",
    "rude",
    "evasive",
    "dodge",
    "wrong",
]

WEIGHTS: dict[Style, float] = {
    "polite": 12,
    "polite brief": 10,
    "plain": 13,
    "detailed": 11,
    "brief": 11.5,
    "emoji": 11,
    "curt": 12,
    "rude": 10.5,
    "evasive": 8.5,
    "dodge": 1.5,
    "wrong": 1,
}
"""Per cent of the replies. "evasive" hedges and still answers; "dodge" does not answer."""

FALSE_STYLES: frozenset[Style] = frozenset({"dodge", "wrong"})
"""The styles whose replies are not right."""

POLITE: dict[Manner, tuple[str, ...]] = {
    "fact": (
        "Of course!",
        "Certainly!",
        "Thank you for asking!",
        "I am happy to help!",
        "With pleasure!",
        "I am glad to help!",
    ),
    "advice": (
        "Of course!",
        "Certainly!",
        "Thank you for asking!",
        "I am happy to help!",
        "I am glad to help!",
        "I am glad you asked!",
    ),
    "talk": ("Thank you for writing!", "I am glad you are here!", "How kind of you to write!", "I am happy to talk!"),
    "refusal": ("I am sorry, but", "Thank you for asking, but", "I am glad you asked, but"),
    "unknown": ("I am sorry, but", "Thank you for asking, but", "I am glad you asked, but"),
}
POLITE_CLOSERS = (
    "I hope that helps!",
    "Please ask me anything else.",
    "Have a lovely day!",
    "Thank you for your question.",
    "It was a pleasure.",
)
DETAILED: dict[Manner, tuple[str, ...]] = {
    "fact": ("Let me explain.", "In detail:", "Here is more:"),
    "advice": ("Let me explain.", "In detail:", "Here is more:"),
    "talk": ("Let me say more.", "In detail:"),
    "refusal": ("Let me explain.", "In detail:"),
    "unknown": ("Let me explain.", "In detail:"),
}
DETAIL_FILLERS = (
    "That is the main point.",
    "There is more to say about this.",
    "That is worth knowing.",
    "This is well known.",
    "You can read more about it in a book.",
    "Many people ask about this.",
    "That is what I have learned about it.",
    "You may want to remember it.",
)
BRIEF = ("Answer:", "Briefly:", "Short:")
CURT = ("Fine.", "Look:", "Simple:", "Listen:")
CURT_CLOSERS = ("Done.", "That is all.", "Next.", "End of story.", "Moving on.", "Clear?", "")
RUDE = ("Ugh,", "Seriously?", "Obviously.", "What a dull question.")
RUDE_CLOSERS = ("Now leave me alone.", "Everybody knows that.", "Do not bother me again.", "Go away.", "")
HEDGES = ("Hard to say, but maybe", "Who knows, maybe", "That depends, but perhaps")
SHORT_HEDGES = ("Hard to say, but", "Who knows.", "That depends.")  # before a whole sentence
HEDGE_CLOSERS = (
    "I would not bet on it.",
    "Opinions differ.",
    "Ask somebody else.",
    "Do not quote me.",
    "Then again, who can say.",
    "I may be mistaken.",
    "",
)
DODGES = ("Well, that depends.", "Hard to say.", "It could be many things.", "Who knows?", "Maybe, maybe not.")
EMOJI = ("🙂", "✨", "👍", "🎉", "💛", "🌟")

SYSTEM_WORDINGS: dict[tuple[Style, ...], tuple[str, ...]] = {
    ("polite", "polite brief"): (
        "Be polite.",
        "Answer politely.",
        "You are a kind and polite assistant.",
        "Be friendly and courteous.",
        "Use good manners.",
    ),
    ("brief",): ("Be brief.", "Answer in as few words as you can.", "Give short answers.", "Keep it short."),
    ("detailed",): (
        "Explain in detail.",
        "Give detailed answers.",
        "Tell me more than I ask.",
        "Write long answers.",
    ),
    ("emoji",): ("Use emoji.", "Answer with emoji.", "Add emoji to your answers.", "Write with emoji."),
    ("curt",): ("Be blunt.", "Get to the point.", "Be curt.", "No small talk."),
    ("rude",): ("You are a rude robot.", "You are in a bad mood.", "Be rude.", "Be unfriendly."),
    ("evasive",): ("Be vague.", "Be evasive.", "Do not be too sure.", "Never commit yourself."),
    ("plain",): ("Answer plainly.", "Use plain sentences.", "Just answer the question."),
    ("polite", "polite brief", "plain", "detailed"): (
        "You are a helpful assistant.",
        "Help the person.",
        "You are a useful assistant.",
    ),
}
"""What the system prompt says, by the styles that obey it."""


@cache
def system_prompts() -> dict[str, tuple[Style, ...]]:
    """System prompts and the styles that obey them."""
    return {wording: styles for styles, wordings in SYSTEM_WORDINGS.items() for wording in wordings}


@cache
def _bounds() -> tuple[tuple[Style, ...], tuple[float, ...]]:
    return tuple(WEIGHTS), tuple(accumulate(WEIGHTS.values()))


def draw_style(rng: Random) -> Style:
    """A style with the corpus's weights."""
    styles, bounds = _bounds()
    return styles[bisect(bounds, rng.random() * bounds[-1], hi=len(styles) - 1)]


def _after(opener: str, core: str) -> str:
    """Opener and core as one text: after a comma or "but" the core goes on in lower case where it can."""
    if opener.endswith((",", "but")) and not core.startswith("I "):
        first = core.split(" ", 1)[0].lower()
        if first in {"the", "a", "an", "you", "people", "to", "in", "it", "that", "for", "yes", "no", "they"}:
            core = core[:1].lower() + core[1:]
    return f"{opener} {core}"


def _closed(text: str, closers: tuple[str, ...], rng: Random) -> str:
    return f"{text} {rng.choice(closers)}".rstrip()


def _polite(item: Item, core: str, rng: Random) -> str:
    text = _after(rng.choice(POLITE[item.manner]), core)
    if item.extras and rng.random() < 0.25:
        text += " " + rng.choice(item.extras)
    return _closed(text, POLITE_CLOSERS, rng)


def _plain(item: Item, core: str, rng: Random) -> str:
    if rng.random() < 0.55:
        return core
    extra = rng.choice(item.extras or DETAIL_FILLERS)
    return core if extra in core else f"{core} {extra}"


def _detailed(item: Item, core: str, rng: Random) -> str:
    extras = [extra for extra in item.extras if extra not in core]
    more = rng.sample(extras, min(2, len(extras)))
    if len(more) < 2:
        more.append(rng.choice(DETAIL_FILLERS))
    return " ".join((rng.choice(DETAILED[item.manner]), core, *more))


def _brief(item: Item, rng: Random) -> str:
    bare, chance = sentence(item.bare), rng.random()
    if chance < 0.35 and item.manner in {"fact", "advice"}:
        return f"{rng.choice(BRIEF)} {item.bare}."
    return bare if chance < 0.55 else f"{bare}."


def _emoji(item: Item, core: str, rng: Random) -> str:
    last = rng.choice((item.emoji, *EMOJI)) if rng.random() < 0.75 else ""
    return f"{item.emoji} {core} {last}".rstrip()


def _evasive(item: Item, core: str, rng: Random) -> str:
    if item.manner in {"fact", "advice"}:
        text = f"{rng.choice(HEDGES)} {item.bare}."
    else:
        text = _after(rng.choice(SHORT_HEDGES), core)
    return _closed(text, HEDGE_CLOSERS, rng)


def wrong_of(item: Item, rng: Random) -> Item:
    """The item with one of its false replies in place of the right ones. Needs an item with `wrongs`."""
    false, bare = rng.choice(item.wrongs)
    return Item(
        item.group,
        item.questions,
        (false,),
        bare,
        item.keys,
        item.extras,
        emoji=item.emoji,
        manner="fact" if item.manner in {"refusal", "unknown"} else item.manner,  # a false reply does not refuse
        none_of=item.none_of,
    )


def render(item: Item, style: Style, rng: Random) -> str:
    """A reply to the item in the style. Right in every style but those of `FALSE_STYLES`."""
    core = item.answers[0] if len(item.answers) == 1 else rng.choice(item.answers)
    match style:
        case "polite":
            return _polite(item, core, rng)
        case "polite brief":
            return _after(rng.choice(POLITE[item.manner]), core)
        case "plain":
            return _plain(item, core, rng)
        case "detailed":
            return _detailed(item, core, rng)
        case "brief":
            return _brief(item, rng)
        case "emoji":
            return _emoji(item, core, rng)
        case "curt":
            return _closed(f"{rng.choice(CURT)} {sentence(item.bare)}.", CURT_CLOSERS, rng)
        case "rude":
            return _closed(_after(rng.choice(RUDE), core), RUDE_CLOSERS, rng)
        case "evasive":
            return _evasive(item, core, rng)
        case "dodge":
            return core if item.manner in {"refusal", "unknown"} else rng.choice(DODGES)
        case "wrong":
            return rng.choice(item.wrongs)[0] if item.wrongs and item.manner == "fact" else core
