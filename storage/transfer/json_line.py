"""A line of JSON and how it was spelled, so that an export gives back the very bytes without keeping them.

Nearly every file is written in one of four styles (ASCII escapes or not, spaces after separators or not) and says
nothing beyond its format's own fields. `remember` finds the little that must be kept for `restore`; only a line
spelled in another way is kept whole.
"""

import json
from typing import Any

from storage.transfer.rows import BadRow

STYLES: dict[str, dict[str, Any]] = {
    "plain": {"ensure_ascii": False},
    "ascii": {"ensure_ascii": True},
    "compact": {"ensure_ascii": False, "separators": (",", ":")},
    "compact_ascii": {"ensure_ascii": True, "separators": (",", ":")},
}


def read_object(line: str) -> dict[str, Any]:
    """The JSON object of one line. Raises BadRow."""
    try:
        row = json.loads(line)
    except RecursionError as error:
        raise BadRow("the JSON is nested too deeply") from error
    except ValueError as error:
        raise BadRow(f"the line is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise BadRow("the line is not a JSON object")
    return row


def write_object(row: dict[str, Any], style: str = "plain") -> str:
    return json.dumps(row, **STYLES[style])


def remember(line: str, row: dict[str, Any], rendered: dict[str, Any]) -> dict[str, Any]:
    """What `restore` needs beside the format's own fields in `rendered` to write `line` again.

    `row` is what was read from the line; fields that the format does not know are kept as they are.
    """
    kept: dict[str, Any] = {}
    if list(row) != list(rendered):
        kept["fields"] = list(row)
        kept["extra"] = {name: value for name, value in row.items() if name not in rendered}
    for style in STYLES if _storable(kept) else ():
        attempt = kept if style == "plain" else {**kept, "style": style}
        if restore(attempt, rendered) == line:
            return attempt
    return {"raw": line}


def restore(kept: dict[str, Any], rendered: dict[str, Any]) -> str:
    """The line again, without its end."""
    if "raw" in kept:
        return str(kept["raw"])
    known = rendered | kept.get("extra", {})
    row = {name: known[name] for name in kept.get("fields", rendered) if name in known}
    return write_object(row, kept.get("style", "plain"))


def _storable(kept: dict[str, Any]) -> bool:
    """Whether every database can store it as JSON: NaN and the infinities are Python's own."""
    try:
        json.dumps(kept, allow_nan=False)
    except ValueError:
        return False
    return True
