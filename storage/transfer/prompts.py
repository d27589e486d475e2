"""Prompts alone: `messages`, or `prompt` (text or messages), and optionally `split`, `tags`, `reference`, `group`.

`group` names the identity of a question: prompts of one group are never in two splits. Other fields are ignored.
"""

from typing import Any

from storage.tables import Split
from storage.transfer.rows import BadRow, PromptRow, check_prompt, check_texts, messages_field, text_field


def parse(row: dict[str, Any]) -> PromptRow:
    """The prompt of one row. Raises BadRow with the reason."""
    name = next((name for name in ("messages", "prompt") if name in row), None)
    if name is None:
        raise BadRow("the row has neither 'messages' nor 'prompt'")
    if isinstance(row[name], str):
        messages = [{"role": "user", "content": row[name]}]
    else:
        messages = messages_field(row[name], name)
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
