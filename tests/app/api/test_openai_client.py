"""The real OpenAI client over a real server and the real engine, on a tiny model that never ends by itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest
import torch
import uvicorn
from fastapi import FastAPI

from app import errors, security
from app.api import install_routes
from app.serving.engine import Engine
from app.serving.slot import Slot
from app.settings import Settings
from storage.checkpoints import record_project
from storage.database import Database
from trainer.policy import load_policy

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
TOKEN = "a long random word"
STEP_S = 0.02


@pytest.fixture(scope="module")
def served(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served")
    database = Database.in_directory(folder)
    database.migrate()
    with database.write() as session:
        record_project(session, initial_model="tiny", name="tiny", digest="d")
    policy = load_policy(tiny_model_dir)
    slow = threading.Event()
    policy.model.register_forward_pre_hook(lambda *_: time.sleep(STEP_S) if slow.is_set() else None)
    policy.model.lm_head.register_forward_hook(_without_end)
    slot = Slot()
    slot.swap("initial", lambda: policy)
    with Engine(slot) as engine, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(data_dir=folder, token=TOKEN)
        none = SimpleNamespace()
        parts = SimpleNamespace(
            settings=settings, database=database, slot=slot, engine=engine, promotion=none, labelling=none, runs=none
        )
        app = FastAPI()
        errors.install(app)
        security.install(app, settings)
        install_routes(app, parts)  # type: ignore[arg-type]
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [free]}, daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        yield SimpleNamespace(url=f"http://127.0.0.1:{free.getsockname()[1]}", engine=engine, slow=slow, slot=slot)
        server.should_exit = True
        thread.join(10)
    database.close()


def _without_end(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
    logits[..., :5] = -1e4  # no end of text, so that a row is as long as a test asks for
    return logits


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def client(served: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client
    served.slow.clear()
    wait_for(lambda: served.engine.live_rows == 0)


def test_a_completion_is_read_by_the_client(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="served", messages=HELLO, max_tokens=8, seed=3)
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length" and answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert answer.checkpoint_id == "initial"  # type: ignore[attr-defined]


def test_a_stream_is_read_by_the_client(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="served", messages=HELLO, max_tokens=8, seed=3)
    stream = client.chat.completions.create(
        model="served", messages=HELLO, max_tokens=8, seed=3, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None and chunks[-1].usage == whole.usage
    assert {chunk.checkpoint_id for chunk in chunks} == {"initial"}  # type: ignore[attr-defined]


def test_the_text_comes_while_it_is_made(client: openai.OpenAI, served: Any) -> None:
    served.slow.set()
    with client.chat.completions.create(model="served", messages=HELLO, max_tokens=150, stream=True) as stream:
        while not next(stream).choices[0].delta.content:
            pass
        assert served.engine.live_rows == 1  # the first words are here, the last ones are not written yet


def test_a_client_that_leaves_a_stream_stops_the_generation(client: openai.OpenAI, served: Any) -> None:
    served.slow.set()
    begun = time.monotonic()
    with client.chat.completions.create(model="served", messages=HELLO, max_tokens=200, stream=True, n=2) as stream:
        next(stream)
        wait_for(lambda: served.engine.live_rows == 2)
    wait_for(lambda: served.engine.live_rows == 0 and served.slot.leases("initial") == 0)
    assert time.monotonic() - begun < 200 * STEP_S


def test_a_client_that_leaves_before_the_whole_answer_stops_the_generation(client: openai.OpenAI, served: Any) -> None:
    served.slow.set()
    begun = time.monotonic()
    impatient = client.with_options(timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(model="served", messages=HELLO, max_tokens=200)
    wait_for(lambda: served.engine.live_rows == 0 and served.slot.leases("initial") == 0)
    assert time.monotonic() - begun < 200 * STEP_S


def test_the_clients_own_errors_are_raised(client: openai.OpenAI, served: Any) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert missing.value.code == "model_not_found" and missing.value.param == "model"
    with pytest.raises(openai.BadRequestError, match="tools"):
        tool: Any = {"type": "function", "function": {"name": "f"}}
        client.chat.completions.create(model="served", messages=HELLO, tools=[tool])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0).models.list()


def test_a_failure_in_the_middle_of_a_stream_is_raised_by_the_client(
    client: openai.OpenAI, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.decoding import DecodingBatch

    step, taken = DecodingBatch.step, []

    def breaks(batch: DecodingBatch) -> Any:
        taken.append(1)
        if len(taken) > 3:
            raise RuntimeError("out of memory")
        return step(batch)

    monkeypatch.setattr(DecodingBatch, "step", breaks)
    with pytest.raises(openai.APIError, match="out of memory"):
        list(client.chat.completions.create(model="served", messages=HELLO, max_tokens=20, stream=True))


def test_models_are_listed_by_the_client(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["served", "initial"]


def test_the_server_answers_others_while_one_generates(client: openai.OpenAI, served: Any) -> None:
    served.slow.set()
    with client.chat.completions.create(model="served", messages=HELLO, max_tokens=200, stream=True) as stream:
        next(stream)
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        # the first chunk names the role and may come before the row is admitted
        deadline = time.monotonic() + 10
        while served.engine.live_rows == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert served.engine.live_rows == 1
