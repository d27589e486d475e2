"""What algorithms learn from, as plain data, and how it becomes token ids.

One rule of length for all: prompt and completion together have at most `max_length` tokens. The oldest
exchanges of the prompt go first; a last turn that is too long by itself loses its beginning; then the completion
is cut at its end. A completion keeps room for half of `max_length`, so a long prompt cannot push it out. Leaves
out where the examples come from (`trainer/dataset.py`) and padding (`trainer/tensors.py`). Free of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.prompting import Messages, less_oldest, position_limit, render


@dataclass(frozen=True)
class Pair:
    """Two completions of one prompt, of which a person chose one, slightly or clearly where they said so.

    `group` is the key that keeps folds apart.
    """

    prompt: Messages
    chosen: str
    rejected: str
    preference_id: int
    group: str
    strength: str | None = None


@dataclass(frozen=True)
class Demonstration:
    """A completion worth imitating. `preference_id` is the choice it comes from, 0 where there is none."""

    prompt: Messages
    completion: str
    preference_id: int = 0
    group: str = ""


@dataclass(frozen=True)
class Rated:
    """A completion by itself that is good or bad. `preference_id` is the choice it comes from, 0 if there is none."""

    prompt: Messages
    completion: str
    good: bool
    preference_id: int = 0
    group: str = ""


@dataclass(frozen=True)
class Ranking:
    """Completions of one prompt, best first, with what each is worth; equal rewards are a tie.

    `margin` is by how much the score of a better one should lead, at least.
    """

    prompt: Messages
    completions: tuple[str, ...]
    rewards: tuple[float, ...]
    group: str = ""
    margin: float = 0.0

    def __post_init__(self) -> None:
        if len(self.completions) != len(self.rewards) or len(self.completions) < 2:
            raise ValueError(
                f"a ranking has a reward for each of at least 2 completions; this one has {len(self.completions)} "
                f"completions and {len(self.rewards)} rewards"
            )


@dataclass(frozen=True)
class Question:
    """A prompt that a policy is to complete by itself; `reference` is a text that a reward may hold it against."""

    prompt: Messages
    reference: str | None = None
    group: str = ""


class Encoded(NamedTuple):
    """Token ids of one prompt and of its completions, and whether anything had to be left out."""

    prompt: list[int]
    completions: list[list[int]]
    shortened: bool


def encode(tokenizer: Any, prompt: Messages, completions: Sequence[str], *, max_length: int) -> Encoded:
    """Token ids of `prompt` with the generation prompt, and of each completion with its end-of-turn token.

    All completions share one prompt, shortened for the longest of them. A completion that is cut still ends in
    the end-of-turn token, else long completions would never teach the model to stop. Raises ValueError for a
    prompt without messages, PromptRefused where the chat template refuses.
    """
    if not prompt:
        raise ValueError("a prompt needs at least one message; this one has none")
    prompt_ids, completion_ids = _render(tokenizer, prompt, completions)
    room = max_length - min(max(map(len, completion_ids)), max_length // 2)
    shortened = False
    for messages in less_oldest(prompt):
        if len(prompt_ids) <= room:
            break
        prompt_ids, completion_ids = _render(tokenizer, messages, completions)
        shortened = True
    if len(prompt_ids) > room:
        prompt_ids, shortened = prompt_ids[-room:], True
    left = max_length - len(prompt_ids)
    if any(len(ids) > left for ids in completion_ids):
        completion_ids = [ids if len(ids) <= left else [*ids[: left - 1], ids[-1]] for ids in completion_ids]
        shortened = True
    return Encoded(prompt_ids, completion_ids, shortened)


def length_limit(model: Any, max_length: int) -> int:
    """`max_length`, or fewer tokens where the model has fewer positions."""
    return min(max_length, position_limit(model) or max_length)


def _render(tokenizer: Any, messages: Messages, completions: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    prompt_ids = render(tokenizer, messages)
    return prompt_ids, [_completion_ids(tokenizer, messages, prompt_ids, text) for text in completions]


def _completion_ids(tokenizer: Any, messages: Messages, prompt_ids: list[int], text: str) -> list[int]:
    """What follows the prompt when the template renders the answered conversation, up to its end-of-turn token.

    A template that renders the conversation differently once it is answered has the text tokenized by itself.
    """
    answered = [*messages, {"role": "assistant", "content": text}]
    whole = render(tokenizer, answered, add_generation_prompt=False)
    if whole[: len(prompt_ids)] == prompt_ids:
        ids = whole[len(prompt_ids) :]
    else:
        ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    control = {place for place, token in tokenizer.added_tokens_decoder.items() if token.special}
    while ids and ids[-1] not in control and not tokenizer.decode(ids[-1:]).strip():
        ids = ids[:-1]  # templates may put a newline after the end of the turn
    return ids if ids and ids[-1] in control else [*ids, tokenizer.eos_token_id]
