"""Messages made into a prompt that fits: the model's chat template, and what to leave out of a long conversation.

Leaves out: the templates themselves, which come with the tokenizer (`trainer/policy.py`), and completions to learn
from (`trainer/examples.py`). Free of torch.
"""

from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Messages = list[dict[str, str]]


class PromptError(ValueError):
    """A prompt that cannot be given to the model: `message` says why, `hint` what to do, `code` is for programs."""

    code = "prompt_refused"

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.message, self.hint = message, hint


class PromptRefused(PromptError):
    """The messages cannot be written in the model's chat template."""


class PromptTooLong(PromptError):
    """The prompt has `value` tokens where at most `limit` are possible."""

    code = "prompt_too_long"

    def __init__(self, value: int, limit: int, remedy: str) -> None:
        super().__init__(f"The prompt has {value} tokens; at most {limit} fit.", hint=remedy)
        self.value, self.limit = value, limit


def position_limit(model: "PreTrainedModel") -> int | None:
    """How many tokens, prompt and completion together, the model has positions for; None where it has no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def fit_messages(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Messages,
    *,
    max_positions: int | None,
    max_new_tokens: int,
) -> list[int]:
    """The prompt's token ids: the chat template with its generation prompt, leaving room for `max_new_tokens`.

    Of a conversation that is too long the oldest exchanges (a user turn and its replies) are dropped, never a system
    message and never the last user turn. Control tokens that somebody typed into a message are encoded as text.
    Raises PromptTooLong where even the last turn does not fit, PromptRefused where the template refuses.
    """
    if not messages:
        raise PromptRefused("The list of messages is empty.", hint="Give at least one user message.")
    whole = render(tokenizer, messages)
    if max_positions is None or len(whole) + max_new_tokens <= max_positions:
        return whole
    limit = max_positions - max_new_tokens
    if limit < 1:
        raise PromptTooLong(
            len(whole),
            max(limit, 0),
            f"max_new_tokens is {max_new_tokens} of the model's {max_positions} positions; lower it.",
        )
    return _drop_oldest(tokenizer, messages, limit=limit)


def _drop_oldest(tokenizer: "PreTrainedTokenizerBase", messages: Messages, *, limit: int) -> list[int]:
    """The prompt of `messages`, which do not fit as they are, less the fewest exchanges."""
    candidates = [messages, *less_oldest(messages)]
    best = render(tokenizer, candidates[-1])
    if len(best) > limit:
        raise PromptTooLong(
            len(best), limit, "Shorten the last message or the system message, or lower max_new_tokens."
        )
    # by bisection: a long conversation must not be rendered once per turn
    fits, too_long = len(candidates) - 1, 0
    while fits - too_long > 1:
        middle = (fits + too_long) // 2
        ids = render(tokenizer, candidates[middle])
        if len(ids) <= limit:
            fits, best = middle, ids
        else:
            too_long = middle
    return best


def less_oldest(messages: Messages) -> list[Messages]:
    """`messages` less their oldest exchange (a user turn and its replies), less their two oldest, and so on until only
    the last user turn is left with its replies. System messages stay in all."""
    system = [message for message in messages if message["role"] == "system"]
    turns = [message for message in messages if message["role"] != "system"]
    starts = [place for place, message in enumerate(turns) if place and message["role"] == "user"]
    return [system + turns[start:] for start in starts]


def render(
    tokenizer: "PreTrainedTokenizerBase", messages: Messages, *, add_generation_prompt: bool = True
) -> list[int]:
    """Token ids of the messages in the chat template. Control tokens that somebody typed are encoded as text.

    Raises PromptRefused where the template refuses.
    """
    try:
        ids: Any = tokenizer.apply_chat_template(
            messages,
            add_generation_prompt=add_generation_prompt,
            return_dict=False,
            sanitize_control_tokens=True,
        )
    except (TemplateError, KeyError, TypeError, ValueError) as error:  # ValueError: a token that cannot be made text
        raise PromptRefused(
            f"The model's chat template refuses these messages ({error}).",
            hint="Most templates want user and assistant messages in turn, beginning with the user.",
        ) from error
    return list(ids)
