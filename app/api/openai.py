"""/v1: the served model, or any checkpoint, to clients of OpenAI's protocol.

Each answer is written by one checkpoint, whose id is an extra field of the response and of every chunk. A client that
goes away stops its generation. Nothing of these conversations is stored.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Send

from app.api.openai_errors import OpenAIErrorShape, OpenAIRoute, body_of
from app.api.openai_models import Answer, ChatCompletion, Model, ModelList, Usage
from app.api.openai_request import ChatRequest
from app.api.traffic import Traffic
from app.serving.engine import RowFinished, TextPiece, Ticket
from storage.checkpoints import list_checkpoints
from storage.errors import NotFound, PrefLoopError
from storage.tables import Checkpoint, CheckpointKind
from trainer.sampling import Generated

if TYPE_CHECKING:
    from app.main import Application

SERVED = "served"
CLIENT_CLOSED_REQUEST = 499  # nginx's number; nobody is left to read it


class UnknownModel(NotFound):
    code = "model_not_found"
    param = "model"


def routes(application: "Application", traffic: Traffic) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=OpenAIRoute)
    failures: dict[int | str, dict[str, Any]] = {
        "4XX": {
            "model": OpenAIErrorShape,
            "description": "400: the request cannot be used; 401: no token; 404: there is no such model",
        },
        503: {"model": OpenAIErrorShape, "description": "no model is served yet, or too many requests wait"},
    }

    def models() -> list[Checkpoint]:
        with application.database.read() as session:
            return [c for c in list_checkpoints(session) if c.kind is not CheckpointKind.reward_model]

    def checkpoint_of(model: str) -> str | None:
        """The id to lease; None for whatever is served. Raises UnknownModel."""
        if model == SERVED or any(c.id == model for c in models()):
            return None if model == SERVED else model
        raise UnknownModel(f"The model {model[:200]!r} does not exist.", hint="GET /v1/models lists those there are.")

    @router.post(
        "/chat/completions",
        summary="Complete a conversation",
        response_model=ChatCompletion,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "whole, or in chunks with `stream`"},
            **failures,
        },
    )
    async def complete(body: ChatRequest, request: Request) -> Response:
        """`model` is `served` or a checkpoint id. The same seed, settings and checkpoint give the same text."""
        body.check()
        messages, seeds = body.plain_messages(), body.seeds()
        submit = partial(
            application.engine.submit,
            [messages] * len(seeds),
            sampling=body.sampling(default_max_tokens=application.settings.max_new_tokens),
            seeds=seeds,
            checkpoint_id=await to_thread.run_sync(checkpoint_of, body.model),
        )
        # in a thread: a checkpoint that is not loaded takes seconds
        ticket = await to_thread.run_sync(submit)
        answer = Answer(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), body.model, ticket.checkpoint_id)
        if body.stream:
            with_usage = bool(body.stream_options and body.stream_options.include_usage)
            return EventStream(ticket, events(ticket, answer, traffic, with_usage=with_usage))
        rows = await _result(ticket, request)
        if rows is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return JSONResponse(answer.whole(rows, _usage(ticket, rows, traffic)))

    @router.get("/models", summary="List models", response_model=ModelList, responses={"4XX": failures["4XX"]})
    def list_models() -> ModelList:
        """`served` follows every promotion; the ids of checkpoints stay what they are."""
        known = {c.id: _model(c.id, c) for c in models()}
        served = application.slot.current_id
        first = [known[served].model_copy(update={"id": SERVED})] if served in known else []
        return ModelList(data=[*first, *known.values()])

    @router.get(
        "/models/{model}",
        summary="One model",
        response_model=Model,
        responses={"4XX": failures["4XX"]},
    )
    def get_model(model: str) -> Model:
        for found in list_models().data:
            if found.id == model:
                return found
        raise UnknownModel(f"The model {model[:200]!r} does not exist.", hint="GET /v1/models lists those there are.")

    return router


def _model(id: str, checkpoint: Checkpoint) -> Model:
    return Model(id=id, created=int(checkpoint.created_at.timestamp()), checkpoint_id=checkpoint.id)


def _usage(ticket: Ticket, rows: list[Generated], traffic: Traffic) -> Usage:
    """The prompt is counted once, however many choices there are."""
    usage = Usage.of(prompt=ticket.prompt_tokens[0], completion=sum(row.tokens for row in rows))
    traffic.count_tokens(prompt=usage.prompt_tokens, completion=usage.completion_tokens)
    return usage


async def _result(ticket: Ticket, request: Request) -> list[Generated] | None:
    """The finished rows; None, and the generation stopped, when the client went away first."""
    finished = asyncio.ensure_future(ticket.wait())
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({finished, gone}, return_when=asyncio.FIRST_COMPLETED)
        return finished.result() if finished.done() else None
    finally:
        ticket.cancel()
        finished.cancel()
        gone.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def events(ticket: Ticket, answer: Answer, traffic: Traffic, *, with_usage: bool) -> AsyncGenerator[str, None]:
    """Server-sent events. A failure in the middle is an event too, and the stream then ends without [DONE]."""
    rows: list[Generated] = []
    extra = {"usage": None} if with_usage else {}
    try:
        for index in range(len(ticket.prompt_tokens)):
            yield _event(answer.chunk(index, {"role": "assistant", "content": ""}) | extra)
        async for event in ticket:
            if isinstance(event, TextPiece):
                yield _event(answer.chunk(event.row, {"content": event.text}) | extra)
            elif isinstance(event, RowFinished):
                rows.append(event.generated)
                yield _event(answer.chunk(event.row, {}, finish_reason=event.generated.finish_reason) | extra)
        usage = _usage(ticket, rows, traffic)
        if with_usage:
            yield _event(answer.last_chunk(usage))
        yield "data: [DONE]\n\n"
    except PrefLoopError as error:
        yield _event(body_of(error)[1])


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"


class EventStream(StreamingResponse):
    """Ends its request and its generator as soon as the client is gone, which may be before the first chunk."""

    media_type = "text/event-stream"

    def __init__(self, ticket: Ticket, chunks: AsyncGenerator[str, None]) -> None:
        super().__init__(chunks, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._ticket = ticket
        self._chunks = chunks

    async def stream_response(self, send: Send) -> None:
        try:
            async with aclosing(self._chunks):
                await super().stream_response(send)
        finally:
            self._ticket.cancel()
