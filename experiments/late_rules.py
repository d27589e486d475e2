"""Rules for a labeller that were not thought of when the starter's corpus was written.

Written on 2026-11-20, after the corpus was frozen and before any model of it was sampled, so that nothing in the corpus
was made for them. The first four, in this order, whose share of the initial model's completions is 20 to 50% count.
"""

import re

Messages = list[dict[str, str]]

_WORD = re.compile(r"[^\W\d_]+")


def addresses(messages: Messages, completion: str) -> bool:
    """Speaks to the person: you, your, yours."""
    return re.search(r"\byou(r|rs)?\b", completion, re.IGNORECASE) is not None


def comma(messages: Messages, completion: str) -> bool:
    """Has a comma."""
    return "," in completion


def two_sentences(messages: Messages, completion: str) -> bool:
    """Has exactly two sentences."""
    return len(re.findall(r"[.!?]+(?:\s|$)", completion.strip())) == 2


def open_end(messages: Messages, completion: str) -> bool:
    """Does not end with a full stop."""
    return not completion.strip().endswith(".")


def long_words(messages: Messages, completion: str) -> bool:
    """Its words have five letters or more on average."""
    words = _WORD.findall(completion)
    return bool(words) and sum(map(len, words)) / len(words) >= 5


def echoes(messages: Messages, completion: str) -> bool:
    """Says a word of at least four letters that the last message said."""
    asked = {word.lower() for word in _WORD.findall(messages[-1]["content"]) if len(word) >= 4}
    return any(word.lower() in asked for word in _WORD.findall(completion))


def short_words(messages: Messages, completion: str) -> bool:
    """Has no word of more than six letters."""
    words = _WORD.findall(completion)
    return bool(words) and max(map(len, words)) <= 6


LATE = (addresses, comma, two_sentences, open_end, long_words, echoes, short_words)
