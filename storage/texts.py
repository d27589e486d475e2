"""What cannot be stored, whoever gives it: NUL characters, halves of surrogate pairs, JSON nested without measure.

One rule for files, the API and the page. Leaves out everything else about a text: markup, control characters and
whatever a model may read in it are data.
"""

from typing import Any

DEEPEST = 64  # levels; Python's own limit is some hundreds, and is an error wherever it is met


def text_fault(text: str) -> str:
    """What no database stores in this text; empty where there is nothing of the kind."""
    if "\0" in text:
        return "a NUL character (\\u0000)"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"a lone surrogate (\\u{ord(text[error.start]):04x}), which is half of a character"
    return ""


def fault(value: Any) -> str:
    """What cannot be stored in a value of JSON, keys included; empty where there is nothing of the kind."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for one in level:
            if isinstance(one, str) and (found := text_fault(one)):
                return found
            if isinstance(one, dict):
                below += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple):
                below += one
        if not below:
            return ""
        level = below
    return f"values nested more than {DEEPEST} deep"
