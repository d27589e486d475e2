"""What is measured in one text: its words, the scripts it is written in, and how much of it repeats, whether
it refuses.

Leaves out which figure is too much (trainer/guards.py).
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

BROKEN = "BROKEN CHARACTERS"
# Scripts written without spaces count each character as a word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|[^\w\s]")
_RUN = re.compile(r"(\S[\s\S]{0,39}?)\1{3,}")
_REFUSAL = re.compile(
    r"\b(i|we) (cannot|can not|can't|won't|will not|refuse to|must decline|have to decline|am (not able|unable) to)\b"
    r"|\b(i'm|we're|we are) (not able|unable) to\b|\bas an ai\b|\bnot something (that )?i (can|could|will|would)\b"
)
# First words of Unicode names that are symbols or variants of letters rather than scripts.
_NOT_A_SCRIPT = re.compile(
    r"(MICRO|FEMININE|MASCULINE|MODIFIER|FULLWIDTH|HALFWIDTH|MATHEMATICAL|DOUBLE-STRUCK|SCRIPT|BLACK-LETTER|ALEF|BET"
    r"|GIMEL|DALET|INFORMATION|KELVIN|ANGSTROM|OHM|EULER|SUPERSCRIPT|SUBSCRIPT) "
)


@lru_cache(maxsize=65536)
def script(character: str) -> str | None:
    """The script of a letter (the first word of its Unicode name), broken characters as one, None for all else.

    Emoji, digits, punctuation, marks and symbols are no script. Broken: control and unassigned characters, and U+FFFD.
    """
    category = unicodedata.category(character)
    if character == "\ufffd" or category == "Cn" or (category == "Cc" and character not in "\n\t\r"):
        return BROKEN
    if not category.startswith("L"):
        return None
    name = unicodedata.name(character, "")
    return None if not name or _NOT_A_SCRIPT.match(name) else name.split(" ")[0]


def scripts(text: str) -> set[str]:
    """All scripts of a text; broken characters count as one more."""
    return {name for character in set(text) if (name := script(character)) is not None}


def used_scripts(texts: Iterable[str]) -> set[str]:
    """All scripts of the texts and those that go with them: Japanese without any Han character is rare."""
    found = set().union(*(scripts(text) for text in texts))
    return found | {"CJK"} if found & {"HIRAGANA", "KATAKANA"} else found


@cache
def script_names() -> frozenset[str]:
    """Every name that `script` can give a letter of the basic plane: LATIN, CYRILLIC, CJK, ..."""
    plane = (chr(code) for code in range(0x10000))
    return frozenset(name for character in plane if (name := script(character)) not in (None, BROKEN))


def words(text: str) -> list[str]:
    """Lower-case words, single punctuation marks, and single characters of scripts without spaces."""
    return _WORD.findall(text.lower())


def repeated_words(text: str) -> float:
    """Share of word triples that occur again; 0 below eight triples, which say nothing yet."""
    parts = words(text)
    triples = list(zip(parts, parts[1:], parts[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if len(triples) >= 8 else 0.0


def repeated_run(text: str) -> float:
    """Share of the text in runs of a unit of up to 40 characters four or more times in a row; 0 below 16 characters."""
    run = sum(len(match.group()) for match in _RUN.finditer(text))
    return run / len(text) if run >= 16 else 0.0


def refuses(text: str) -> bool:
    """Whether the text says that its writer cannot or will not, in English; of other languages it knows nothing."""
    return _REFUSAL.search(text.casefold().replace("\u2019", "'")) is not None
