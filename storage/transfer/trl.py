"""TRL's preference format: `prompt`, `chosen`, `rejected`, as strings or as lists of messages.

Read are: all three as strings (the prompt is a user message); all three as message lists; a string prompt with
message lists; and whole conversations in `chosen` and `rejected`, with the prompt implied by their common history or
repeated in `prompt`. A row may say its `choice` (left, right: the side that was chosen; tie, both_bad, skip: `chosen`
is then the left one), as PrefLoop's own exports do. Unpaired rows and content that is not text are not read.

https://huggingface.co/docs/trl/dataset_formats
"""

from typing import Any

from storage.prompts import Messages
from storage.tables import Choice
from storage.transfer.rows import ASSISTANT, BadRow, PairRow, check_pair, divide, messages_field, text_field


def parse(row: dict[str, Any]) -> PairRow:
    """The pair of one row. Raises BadRow with the reason."""
    for name in ("chosen", "rejected"):
        if name not in row:
            raise BadRow(f"the field {name!r} is missing")
    choice = _choice(row)
    if isinstance(row["chosen"], str) or isinstance(row["rejected"], str):
        return check_pair(_from_strings(row, choice))
    chosen, rejected = (messages_field(row[name], name) for name in ("chosen", "rejected"))
    if "prompt" not in row:
        if ASSISTANT in (chosen[0]["role"], rejected[0]["role"]):
            raise BadRow("the field 'prompt' is missing, and chosen and rejected do not begin with the prompt")
        return check_pair(PairRow(*divide(chosen, rejected), shape={"prompt": "implied"}, choice=choice))
    return check_pair(_with_prompt(row["prompt"], chosen, rejected, choice))


def _choice(row: dict[str, Any]) -> Choice | None:
    if row.get("choice") is None:
        return None
    try:
        return Choice(row["choice"])
    except ValueError as error:
        raise BadRow(f"the choice {row['choice']!r} is none of {', '.join(Choice)}") from error


def _from_strings(row: dict[str, Any], choice: Choice | None) -> PairRow:
    if "prompt" not in row:
        raise BadRow("the field 'prompt' is missing (transcripts of Human and Assistant are the format hh-rlhf)")
    chosen, rejected = text_field(row, "chosen"), text_field(row, "rejected")
    strings = isinstance(row["prompt"], str)
    prompt = [_user(row["prompt"])] if strings else messages_field(row["prompt"], "prompt")
    shape = {"prompt": "text" if strings else "messages", "sides": "text"}
    return PairRow(prompt, [_assistant(chosen)], [_assistant(rejected)], shape, choice)


def _with_prompt(given: object, chosen: Messages, rejected: Messages, choice: Choice | None) -> PairRow:
    strings = isinstance(given, str)
    prompt = [_user(given)] if isinstance(given, str) else messages_field(given, "prompt")
    shape: dict[str, Any] = {"prompt": "text" if strings else "messages"}
    repeated = [_repeats(prompt, side, loosely=strings) for side in (chosen, rejected)]
    if all(repeated):
        pair = PairRow(*divide(chosen, rejected), shape=shape | {"sides": "whole"}, choice=choice)
        if pair.prompt and render(pair)["prompt"] != given:
            pair.shape["given"] = given
        return pair
    if any(repeated):
        raise BadRow("only one of chosen and rejected repeats the prompt")
    if strings and ASSISTANT not in (chosen[0]["role"], rejected[0]["role"]):
        raise BadRow("chosen and rejected begin with a user message that is not the prompt")
    return PairRow(prompt, chosen, rejected, shape, choice)


def _repeats(prompt: Messages, side: Messages, *, loosely: bool) -> bool:
    """Whether a side begins with the prompt; a string prompt may be any user message before the last turn."""
    if len(side) <= len(prompt):
        return False
    return prompt[0] in side[:-1] if loosely else side[: len(prompt)] == prompt


def render(pair: PairRow) -> dict[str, Any]:
    """The row in the shape it was read in; message lists where the pair was made here."""
    kind, sides = pair.shape.get("prompt", "messages"), pair.shape.get("sides")
    before = pair.prompt if kind == "implied" or sides == "whole" else []
    row: dict[str, Any] = {}
    if kind == "text":
        row["prompt"] = pair.shape.get("given", pair.prompt[0]["content"])
    elif kind == "messages":
        row["prompt"] = pair.shape.get("given", pair.prompt)
    for name, turns in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        row[name] = turns[0]["content"] if sides == "text" else before + turns
    return row


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": ASSISTANT, "content": text}
