"""Prompts alone: `messages` or `prompt` (text), optional `split`, `tags`, `reference` and `group`, one row each.

`group` names the identity of a question: prompts of one group are never in two splits. Other fields are ignored.
"""

from typing import Any

from storage.tables import Split
from storage.transfer.rows import BadRow, PromptRow, check_prompt, check_texts, messages_field, text_field


def parse(row: dict[str, Any]) -> PromptRow:
    """The prompt of one row. Raises BadRow with the reason."""
    if "messages" in row:
        messages = messages_field(row["messages"], "messages")
    elif "prompt" in row:
        messages = [{"role": "user", "content": text_field(row, "prompt")}]
    else:
        raise BadRow("the row has neither 'messages' nor 'prompt'")
    check_prompt(messages)
    if messages[-1]["role"] != "user":
        raise BadRow(f"the last message is the {messages[-1]['role']}'s; a prompt ends with the user's")
    reference, group = _optional_text(row, "reference"), _optional_text(row, "group")
    tags = row.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise BadRow(f"the field 'tags' is {tags!r}, not a list of texts")
    check_texts([*tags, reference or "", group or ""])
    return PromptRow(messages, _split(row), tuple(tags), reference, group)


def render(prompt: PromptRow) -> dict[str, Any]:
    return {
        "messages": prompt.messages,
        "split": prompt.split,
        "tags": list(prompt.tags),
        "reference": prompt.reference,
        "group": prompt.group,
    }


def _optional_text(row: dict[str, Any], name: str) -> str | None:
    return None if row.get(name) is None else text_field(row, name)


def _split(row: dict[str, Any]) -> Split | None:
    if row.get("split") is None:
        return None
    try:
        return Split(row["split"])
    except ValueError as error:
        raise BadRow(f"the split {row['split']!r} is none of {', '.join(Split)}") from error
