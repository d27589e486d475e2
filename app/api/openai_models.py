"""OpenAI's answers: whole and in chunks, and the list of models. `checkpoint_id` is ours in each."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from trainer.sampling import Generated


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, *, prompt: int, completion: int) -> Self:
        return cls(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


class ReplyMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ReplyChoice(BaseModel):
    index: int
    message: ReplyMessage
    logprobs: None = None
    finish_reason: str = Field(description="stop or length")


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="seconds since the epoch")
    model: str = Field(description="as it was asked for")
    checkpoint_id: str = Field(description="the checkpoint that wrote this")
    system_fingerprint: str = Field(description="the checkpoint id again, where OpenAI's clients look for it")
    choices: list[ReplyChoice]
    usage: Usage


class Model(BaseModel):
    id: str = Field(description="served, or a checkpoint id")
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["prefloop"] = "prefloop"
    checkpoint_id: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


@dataclass(frozen=True)
class Answer:
    """What all chunks of one answer have in common."""

    id: str
    created: int
    model: str
    checkpoint_id: str

    def whole(self, rows: list[Generated], usage: Usage) -> dict[str, Any]:
        choices = [
            ReplyChoice(index=index, message=ReplyMessage(content=row.text), finish_reason=row.finish_reason)
            for index, row in enumerate(rows)
        ]
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            checkpoint_id=self.checkpoint_id,
            system_fingerprint=self.checkpoint_id,
            choices=choices,
            usage=usage,
        ).model_dump()

    def chunk(self, index: int, delta: dict[str, str], *, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk([choice])

    def last_chunk(self, usage: Usage) -> dict[str, Any]:
        """The one that has no choices, only the usage."""
        return self._chunk([]) | {"usage": usage.model_dump()}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "checkpoint_id": self.checkpoint_id,
            "system_fingerprint": self.checkpoint_id,
            "choices": choices,
        }
