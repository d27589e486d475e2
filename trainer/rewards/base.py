"""What every reward is, what it may need besides the texts, and the one error that they raise. Free of torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from trainer.prompting import Messages


class RewardError(ValueError):
    """A reward that cannot be had: `message` says what was wrong, with the value, and `hint` what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.message, self.hint = message, hint


class Reward(Protocol):
    """A number for each completion, in order; None where the reward does not apply to it.

    prompts: the messages of each completion's prompt, as stored. references: the text known to be right for each, or
    None. The three have one length.
    """

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]: ...


@dataclass(frozen=True)
class RewardSources:
    """What rewards may need besides their settings; nothing here is chosen in a form.

    preferences: the folder of the reward model that was fitted to the run's choices. checkpoints: the folder in which a
    checkpoint's id is a folder. base: where the initial model lies, for a judge that is an adapter. replies: the file
    of a judge's stored replies; they are kept in memory where None. texts: what the tf-idf of diversity is counted on:
    completions of the training data. functions: the import paths of people's own rewards that the operator allows.
    """

    device: str = "auto"
    preferences: Path | None = None
    checkpoints: Path | None = None
    base: str | None = None
    replies: Path | None = None
    texts: Sequence[str] = ()
    functions: frozenset[str] = frozenset()

    def locate(self, name: str) -> str:
        """The folder of the checkpoint with that id, else the name itself: a folder or a hub id."""
        own = self.checkpoints / name if self.checkpoints and name else None
        return str(own) if own is not None and own.is_dir() else name


def checked_inputs(prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]) -> None:
    """Raises ValueError where the three are not equally many."""
    if not len(prompts) == len(completions) == len(references):
        raise ValueError(
            f"there are {len(prompts)} prompts, {len(completions)} completions and {len(references)} references; "
            "give one of each per completion, None where there is no reference"
        )


def checked_scores(name: str, values: Any, count: int) -> list[float | None]:
    """What the reward `name` gave for `count` completions, as plain numbers.

    Raises RewardError for another length, and with the index for a value that is neither a finite number nor None.
    """
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__len__") or not hasattr(values, "__iter__"):
        raise RewardError(
            f"The reward {name} gave a {type(values).__name__} for {count} completions.",
            hint="It must give a list with one number or None for each completion.",
        )
    if len(values) != count:
        raise RewardError(
            f"The reward {name} gave {len(values)} values for {count} completions.",
            hint="It must give one for each, in their order, and None where it does not apply.",
        )
    return [_number(name, index, value) for index, value in enumerate(values)]


def last_user(prompt: Messages) -> str:
    """The last user message's text; empty where there is none."""
    return next((message["content"] for message in reversed(prompt) if message["role"] == "user"), "")


def _number(name: str, index: int, value: Any) -> float | None:
    if value is None:
        return None
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a scalar of numpy or torch
        value = value.item()
    if not isinstance(value, Real) or not math.isfinite(value):
        raise RewardError(
            f"The reward {name} gave {value!r} ({type(value).__name__}) for completion {index}.",
            hint="Each value must be a finite number, or None where the reward does not apply.",
        )
    return float(value)
