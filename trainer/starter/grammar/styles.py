"""Ten manners of replying. The manner shows in the first words, so that preferences can move it with few labels."""

from random import Random
from typing import Literal

from trainer.starter.grammar.item import Item, Manner, sentence

Style = Literal["polite", "polite brief", "neutral", "detailed", "brief", "emoji", "curt", "rude", "evasive", "wrong"]

WEIGHTS: dict[Style, float] = {
    "polite": 17,
    "polite brief": 15,
    "neutral": 17,
    "detailed": 9,
    "brief": 13,
    "emoji": 9,
    "curt": 8,
    "rude": 7,
    "evasive": 3,
    "wrong": 3,
}

SYSTEM: dict[str, tuple[Style, ...]] = {
    "Be polite.": ("polite", "polite brief"),
    "Answer politely.": ("polite", "polite brief"),
    "You are a kind and polite assistant.": ("polite",),
    "Be brief.": ("brief",),
    "Answer in as few words as you can.": ("brief",),
    "Give short answers.": ("brief",),
    "Explain in detail.": ("detailed",),
    "Give detailed answers.": ("detailed",),
    "Use emoji.": ("emoji",),
    "Answer with emoji.": ("emoji",),
    "Be blunt.": ("curt",),
    "Get to the point.": ("curt", "brief"),
    "You are a rude robot.": ("rude",),
    "You are in a bad mood.": ("rude",),
    "Answer plainly.": ("neutral",),
    "You are a helpful assistant.": ("polite", "polite brief", "neutral", "detailed"),
}
"""System prompts and the styles that obey them."""

POLITE: dict[Manner, tuple[str, ...]] = {
    "fact": ("Of course!", "Certainly!", "Thank you for asking!", "I am happy to help!", "With pleasure!"),
    "advice": (
        "Of course!",
        "Certainly!",
        "Thank you for asking!",
        "I am happy to help!",
        "I am glad you asked!",
    ),
    "talk": ("Thank you for writing!", "I am glad you are here!", "How kind of you to write!"),
    "refusal": ("I am sorry, but", "Thank you for asking, but"),
    "unknown": ("I am sorry, but", "Thank you for asking, but"),
}
POLITE_CLOSERS = (
    "I hope that helps!",
    "Please ask me anything else.",
    "Have a lovely day!",
    "Thank you for your question.",
)
DETAILED: dict[Manner, tuple[str, ...]] = {
    "fact": ("Let me explain.", "In detail:", "Here is more:"),
    "advice": ("Let me explain.", "Here is more:"),
    "talk": ("Let me say more.",),
    "refusal": ("Let me explain.",),
    "unknown": ("Let me explain.",),
}
DETAIL_FILLERS = (
    "That is the main point.",
    "There is more to say about this.",
    "That is worth knowing.",
    "This is well known.",
)
CURT = ("Fine.", "Look:", "Short answer:", "Simple:")
CURT_CLOSERS = ("Done.", "That is all.", "Next.", "")
RUDE = ("Ugh,", "Seriously?", "Obviously.", "What a dull question.", "Are you kidding?")
RUDE_CLOSERS = ("Now leave me alone.", "Everybody knows that.", "Do not bother me again.", "")
EVASIVE: dict[Manner, tuple[str, ...]] = {
    "fact": ("Well, that depends.", "Hard to say.", "It could be many things.", "Maybe, maybe not."),
    "advice": ("Well, that depends.", "Hard to say.", "People do many things."),
    "talk": ("Well, who knows.", "Hmm, maybe."),
    "refusal": ("Well, I would rather talk of something else, I cannot help.",),
    "unknown": ("Well, I do not know that, it depends.",),
}


def draw_style(rng: Random) -> Style:
    """A style with the corpus's weights."""
    return rng.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]


def _after(opener: str, core: str) -> str:
    """Opener and core as one text: after a comma, a colon or "but" the core goes on in lower case where it can."""
    if opener.endswith((",", "but")) and not core.startswith("I "):
        first = core.split(" ", 1)[0].lower()
        if first in {"the", "a", "an", "you", "people", "to", "in", "it", "that", "for", "yes", "no"}:
            core = core[:1].lower() + core[1:]
    return f"{opener} {core}"


def render(item: Item, style: Style, rng: Random) -> str:
    """A reply to the item in the style. Right in every style but "evasive" and "wrong"."""
    core = rng.choice(item.answers)
    match style:
        case "polite":
            text = _after(rng.choice(POLITE[item.manner]), core)
            if item.extras and rng.random() < 0.25:
                text += " " + rng.choice(item.extras)
            return f"{text} {rng.choice(POLITE_CLOSERS)}"
        case "polite brief":
            return _after(rng.choice(POLITE[item.manner]), core)
        case "neutral":
            return core
        case "detailed":
            extras = [extra for extra in item.extras if extra not in core]
            more = rng.sample(extras, min(2, len(extras))) or [rng.choice(DETAIL_FILLERS)]
            return " ".join((rng.choice(DETAILED[item.manner]), core, *more))
        case "brief":
            return sentence(item.bare) + ("." if rng.random() < 0.7 else "")
        case "emoji":
            return f"{item.emoji} {core} {item.emoji}" if rng.random() < 0.6 else f"{item.emoji} {core}"
        case "curt":
            return f"{rng.choice(CURT)} {sentence(item.bare)}. {rng.choice(CURT_CLOSERS)}".strip()
        case "rude":
            return f"{_after(rng.choice(RUDE), core)} {rng.choice(RUDE_CLOSERS)}".strip()
        case "evasive":
            return rng.choice(EVASIVE[item.manner])
        case "wrong":
            return rng.choice(item.wrongs) if item.wrongs else core
