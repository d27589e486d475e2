"""What /v1 understands and refuses, over the real engine with a tiny model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api.openai import EventStream, events
from app.api.openai_models import Answer
from app.api.traffic import Traffic
from app.serving.engine import Engine
from app.serving.slot import Slot
from app.serving.ticket import Ticket
from storage.tables import CheckpointKind
from trainer.policy import Policy, load_policy

HELLO = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    return load_policy(tiny_model_dir)


@pytest.fixture
def v1(client: TestClient, parts: Any, policy: Policy) -> Iterator[TestClient]:
    slot = Slot()
    slot.swap("initial", lambda: policy)
    with Engine(slot) as engine:
        parts.slot, parts.engine = slot, engine
        yield client


def complete(client: TestClient, **values: Any) -> Any:
    return client.post("/v1/chat/completions", json={"model": "served", "messages": HELLO, "max_tokens": 6} | values)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def chunks_of(answer: Any) -> list[Any]:
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def test_an_answer_names_its_checkpoint_and_counts_its_tokens(v1: TestClient) -> None:
    told = complete(v1, seed=1).json()
    assert told["object"] == "chat.completion" and told["model"] == "served" and told["checkpoint_id"] == "initial"
    assert told["choices"][0]["finish_reason"] in ("stop", "length")
    usage = told["usage"]
    assert usage["prompt_tokens"] > 6 and 1 <= usage["completion_tokens"] <= 6
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_same_seed_gives_the_same_text_and_another_one_another(v1: TestClient) -> None:
    texts = [text_of(complete(v1, seed=seed, max_tokens=20)) for seed in (5, 5, -6)]
    assert texts[0] == texts[1] != texts[2]


def test_temperature_zero_needs_no_seed(v1: TestClient) -> None:
    assert text_of(complete(v1, temperature=0)) == text_of(complete(v1, temperature=0))


def test_several_choices_differ_and_the_first_is_the_one_of_the_seed(v1: TestClient) -> None:
    many = complete(v1, seed=5, n=3, max_tokens=20).json()
    texts = [choice["message"]["content"] for choice in many["choices"]]
    assert [choice["index"] for choice in many["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3 and texts[0] == text_of(complete(v1, seed=5, max_tokens=20))
    assert [c["message"]["content"] for c in complete(v1, seed=5, n=3, max_tokens=20).json()["choices"]] == texts


def test_max_completion_tokens_goes_before_max_tokens(v1: TestClient) -> None:
    told = complete(v1, seed=1, max_tokens=9, max_completion_tokens=2).json()
    assert told["usage"]["completion_tokens"] == 2 and told["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("as_list", [True, False])
def test_the_text_ends_before_a_stop_string(v1: TestClient, as_list: bool) -> None:
    whole = text_of(complete(v1, seed=5, max_tokens=20))
    stop = whole[4:6]
    cut = complete(v1, seed=5, max_tokens=20, stop=[stop] if as_list else stop)
    assert text_of(cut) == whole[: whole.index(stop)] and cut.json()["choices"][0]["finish_reason"] == "stop"


def test_text_parts_are_read_as_one_text(v1: TestClient) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?"}]}]
    assert text_of(complete(v1, seed=5, messages=parts)) == text_of(complete(v1, seed=5))


def test_a_developer_message_is_a_system_message(v1: TestClient) -> None:
    texts = [
        text_of(complete(v1, seed=5, messages=[{"role": role, "content": "Be brief."}, *HELLO], max_tokens=20))
        for role in ("developer", "system")
    ]
    assert texts[0] == texts[1]


def test_the_chunks_add_up_to_the_text_and_each_names_the_checkpoint(v1: TestClient) -> None:
    whole = text_of(complete(v1, seed=5, max_tokens=20))
    answer = complete(v1, seed=5, max_tokens=20, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = chunks_of(answer)
    assert {chunk["checkpoint_id"] for chunk in chunks} == {"initial"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == whole
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_comes_in_a_last_chunk_when_asked_for(v1: TestClient) -> None:
    chunks = chunks_of(complete(v1, seed=5, stream=True, n=2, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] >= 2
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    finished = [c["choices"][0]["index"] for c in chunks[:-1] if c["choices"][0]["finish_reason"]]
    assert sorted(finished) == [0, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{"type": "function"}]),
        ("functions", [{"name": "f"}]),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("frequency_penalty", 0.5),
        ("logit_bias", {"5": 1}),
        ("best_of_all", 1),
    ],
)
def test_a_parameter_that_would_change_the_text_is_refused_by_name(v1: TestClient, name: str, value: Any) -> None:
    answer = complete(v1, **{name: value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == name and name in error["message"] and error["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    "values",
    [
        {"user": "me", "metadata": {"a": "b"}, "store": False},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "top_logprobs": None},
        {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "logit_bias": {}},
    ],
)
def test_a_parameter_that_changes_nothing_is_ignored(v1: TestClient, values: dict[str, Any]) -> None:
    assert complete(v1, **values).status_code == 200


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("temperature", {"temperature": -1}),
        ("top_p", {"top_p": 0}),
        ("max_tokens", {"max_tokens": 0}),
        ("n", {"n": 0}),
        ("stop", {"stop": ["a", ""]}),
        ("messages", {"messages": []}),
        ("messages", {"messages": [{"role": "system", "content": "x"}]}),
        ("messages", {"messages": [{"role": "user", "content": "word " * 400}]}),
        ("messages", {"messages": [*HELLO, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]}),
        ("messages.0.role", {"messages": [{"role": "tool", "content": "x"}]}),
    ],
)
def test_a_value_that_cannot_be_used_is_a_400_that_names_it(v1: TestClient, param: str, values: dict[str, Any]) -> None:
    answer = complete(v1, **values)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
    assert answer.json()["error"]["param"] == param


def test_a_picture_is_refused(v1: TestClient) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    assert complete(v1, messages=[message]).status_code == 400


def test_half_a_surrogate_pair_is_refused(v1: TestClient) -> None:
    body = json.dumps({"model": "served", "messages": [{"role": "user", "content": "a\ud800"}]})
    answer = v1.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_prompt_that_does_not_fit_is_told_in_openais_word(v1: TestClient) -> None:
    answer = complete(v1, messages=[{"role": "user", "content": "word " * 400}])
    assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [True, False])
def test_an_unknown_model_is_a_404(v1: TestClient, stream: bool) -> None:
    answer = complete(v1, model="gpt-4", stream=stream)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found" and answer.json()["error"]["param"] == "model"


def test_any_checkpoint_can_be_asked_for_by_its_id(v1: TestClient, parts: Any, policy: Policy) -> None:
    parts.add_checkpoint("dpo-0001")
    parts.engine.resolve = lambda _: policy
    told = complete(v1, model="dpo-0001").json()
    assert told["model"] == told["checkpoint_id"] == "dpo-0001"
    assert parts.slot.current_id == "initial"


def test_no_model_yet_is_a_503_that_says_when_to_try_again(v1: TestClient, parts: Any) -> None:
    parts.slot.close()
    answer = complete(v1)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert answer.json()["error"]["type"] == "server_error"


def test_models_are_the_served_one_and_every_checkpoint_that_can_speak(v1: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    parts.add_checkpoint("reward_model-0002", kind=CheckpointKind.reward_model)
    models = v1.get("/v1/models").json()["data"]
    assert [(m["id"], m["checkpoint_id"]) for m in models] == [
        ("served", "initial"),
        ("initial", "initial"),
        ("dpo-0001", "dpo-0001"),
    ]
    assert v1.get("/v1/models/dpo-0001").json() == models[2]
    assert v1.get("/v1/models/reward_model-0002").status_code == 404


def test_tokens_are_counted(v1: TestClient) -> None:
    usage = complete(v1, seed=1).json()["usage"]
    lines = v1.get("/metrics").text.splitlines()
    assert f'prefloop_tokens_total{{kind="completion"}} {float(usage["completion_tokens"])}' in lines


async def test_a_client_gone_before_the_first_chunk_stops_the_generation() -> None:
    async def gone(_: Any) -> None:
        raise OSError("the client is gone")

    ticket = Ticket("initial", prompt_tokens=[1])
    answer = Answer("chatcmpl-1", 0, "served", "initial")
    with pytest.raises(OSError):
        await EventStream(ticket, events(ticket, answer, Traffic(), with_usage=False)).stream_response(gone)
    assert ticket.cancelled
