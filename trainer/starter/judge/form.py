"""A comparison as a chat that the starter's tokenizer reads: system "Judge.", one user's turn, a verdict of one word.

The user's turn is the conversation so far, then "A: ..." and "B: ..." on lines of their own. Line breaks within a
completion become " / ", so that no completion can write a line that looks like the other one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from trainer.starter.grammar.item import Message, say

Verdict = Literal["A", "B", "tie"]
VERDICTS: tuple[Verdict, ...] = ("A", "B", "tie")
SYSTEM = "Judge."
LONGEST_COMPLETION = 360  # characters; the rest is cut
CUT = " ..."


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + CUT


def _without_middle(text: str, longest: int) -> str:
    """The question may stand before or after the list, so the middle goes."""
    if len(text) <= longest:
        return text
    half = max(0, longest - len(CUT)) // 2
    return f"{text[:half]}{CUT}{text[len(text) - half :]}"


def conversation_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The turns as text; one turn stands alone, more are named. What the system says is about style and left out."""
    turns = [message for message in messages if message["role"] != "system"]
    if len(turns) == 1:
        return str(turns[0]["content"])
    names = {"user": "User", "assistant": "Reply"}
    return "\n".join(f"{names[turn['role']]}: {turn['content']}" for turn in turns)


def judge_messages(messages: Sequence[Mapping[str, Any]], a: str, b: str, longest: int = 1_400) -> list[Message]:
    """The comparison as system and user messages; `longest` characters of the conversation are kept."""
    sides = [_shortened(" / ".join(text.split("\n")), LONGEST_COMPLETION) for text in (a, b)]
    asked = _without_middle(conversation_text(messages), longest)
    return [say("system", SYSTEM), say("user", f"{asked}\n\nA: {sides[0]}\nB: {sides[1]}")]


def with_worth(messages: list[Message], a_is_good: bool, b_is_good: bool) -> list[Message]:
    """What `judge_messages` made, with a mark at the end of each completion: "good" or "bad".

    A verdict is one word to learn from two hundred; the worth of each completion is two more, and leads to it.
    """
    system, user = messages
    text = user["content"]
    words = ["good" if good else "bad" for good in (a_is_good, b_is_good)]
    return [system, {**user, "marks": ((text.rindex("\nB: "), words[0]), (len(text), words[1]))}]


def fit_judge_messages(
    messages: Sequence[Mapping[str, Any]],
    a: str,
    b: str,
    count_tokens: Callable[[list[Message]], int],
    limit: int,
) -> list[Message]:
    """`judge_messages` with as much of the conversation as fits into `limit` tokens.

    Raises ValueError where the two completions alone are longer.
    """
    longest = 1_400
    while True:
        made = judge_messages(messages, a, b, longest)
        count = count_tokens(made)
        if count <= limit:
            return made
        if longest < 20:
            raise ValueError(f"two completions of {count} tokens do not fit into {limit}: shorten them.")
        longest = int(longest * 0.85)


def flipped(verdict: Verdict) -> Verdict:
    """The verdict with A and B changed."""
    return "tie" if verdict == "tie" else "B" if verdict == "A" else "A"
