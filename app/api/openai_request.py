"""What POST /v1/chat/completions understands of OpenAI's request, and what it refuses.

A parameter that would change the text and is not supported is refused by its name; ignoring it would give something
else than was asked for. Parameters that change nothing here are ignored.
"""

import hashlib
import secrets
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.openai_errors import BadParameter
from storage.errors import Invalid
from storage.prompts import Messages, check_messages
from trainer.sampling import Sampling

MAX_CHOICES = 16
MAX_TOKENS = 131_072
SEED_RANGE = 2**63

# what these say changes nothing about the text
IGNORED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
# harmless with one of these values, refused with any other
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]


class StreamOptions(BaseModel):
    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(None, description="ignored: nothing is padded")


class ChatRequest(BaseModel):
    """OpenAI's request. Other parameters of theirs are refused by name, or ignored where they change nothing."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str = Field("served", description="served, or the id of a checkpoint")
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2, description="0 is greedy; default 1")
    top_p: float | None = Field(None, gt=0, le=1, description="default 1")
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="goes before max_tokens")
    stop: str | list[str] | None = Field(None, description="the text ends before the first of these")
    seed: int | None = Field(None, ge=-SEED_RANGE, lt=SEED_RANGE, description="the same seed gives the same text")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def check(self) -> None:
        """Raises BadParameter for what is not supported and would change the text."""
        for name, value in (self.model_extra or {}).items():
            # bool is an int in Python, but true is not 1 here
            neutral = any((value == v and type(value) is not bool) or value is v for v in NEUTRAL.get(name, ()))
            if value is not None and name not in IGNORED and not neutral:
                raise BadParameter(
                    name,
                    f"The parameter {name!r} is not supported.",
                    hint="Leave it out.",
                    code="unsupported_parameter",
                )
        for message in self.messages:
            for name in ("tool_calls", "function_call", "tool_call_id", "audio"):
                if (message.model_extra or {}).get(name):
                    raise BadParameter(
                        "messages",
                        f"A message has {name!r}; only text is understood.",
                        hint="Leave it out.",
                        code="unsupported_parameter",
                    )

    def plain_messages(self) -> Messages:
        """Role and text of each. Raises BadParameter where there is nothing to reply to."""
        plain = [
            {
                "role": "system" if m.role == "developer" else m.role,
                "content": m.content if isinstance(m.content, str) else "".join(part.text for part in m.content),
            }
            for m in self.messages
        ]
        try:
            return check_messages(plain)
        except Invalid as error:
            raise BadParameter("messages", error.message, hint=error.hint) from error

    def sampling(self, *, default_max_tokens: int) -> Sampling:
        """Raises BadParameter for an empty stop string."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if not all(stop):
            raise BadParameter("stop", "A stop string is empty.", hint="Leave it out.")
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            max_new_tokens=self.max_completion_tokens or self.max_tokens or default_max_tokens,
            stop=tuple(stop),
        )

    def seeds(self) -> list[int]:
        """One per choice. The first is the seed given, the others are derived from it; random ones without it."""
        seed = secrets.randbelow(2**31) if self.seed is None else self.seed
        return [seed] + [_derived(seed, choice) for choice in range(1, self.n or 1)]


def _derived(seed: int, choice: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{choice}".encode()).digest()[:7], "big")
