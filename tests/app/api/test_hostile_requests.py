"""Requests made to lead out of the project or to break the reading of them: paths in names, nesting, characters."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hostile import NUL, texts

PATHS = (
    "../../secret",
    "..%2f..%2fsecret",
    "..\\..\\secret",
    "/etc/passwd",
    "....//....//secret",
    "secret\0.toml",
    "~/secret",
    "file:///etc/passwd",
    "%2e%2e",
    "data/../../secret",
)
SECRET = "nobody may read this"


@pytest.fixture
def secret(parts: Any, tmp_path: Path) -> str:
    """Files with secrets beside the data directory and in it, of the kinds that are read by name."""
    for folder in (tmp_path, parts.data_dir, parts.data_dir / "rubrics"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("secret", "secret.toml", "plan.json", "log"):
            (folder / name).write_text(SECRET)
    return SECRET


@pytest.mark.parametrize(
    "route",
    [
        "/api/v1/checkpoints/{}",
        "/api/v1/training-runs/{}",
        "/api/v1/training-runs/{}/metrics",
        "/api/v1/rubrics/{}",
        "/api/v1/rubrics/helpful/versions/{}",
        "/api/v1/rubrics/{}/versions/00000000",
        "/v1/models/{}",
    ],
)
def test_no_name_in_an_address_is_a_path(client: Any, secret: str, route: str) -> None:
    for spelled in (spelled for name in PATHS for spelled in (quote(name, safe=""), quote(quote(name, safe="")))):
        answer = client.get(route.format(spelled))
        assert answer.status_code in (404, 405, 422), answer.text  # 405: dots are taken out before it is sent
        assert secret not in answer.text and "root:" not in answer.text


def test_no_name_in_a_body_is_a_path(client: Any, secret: str) -> None:
    for path, body in (asked for name in PATHS for asked in bodies_with(name)):
        answer = client.post(path, json=body)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert secret not in answer.text and "root:" not in answer.text


def bodies_with(name: str) -> tuple[tuple[str, Any], ...]:
    return (
        ("/api/v1/deployments", {"checkpoint_id": name}),
        ("/api/v1/evaluations", {"candidate": name, "baseline": "initial", "judge": "people"}),
        ("/api/v1/evaluations", {"candidate": "initial", "baseline": name, "judge": "people"}),
        ("/api/v1/evaluations", {"candidate": "initial", "baseline": "initial", "judge": name}),
        ("/api/v1/training-runs", {"algorithm": name}),
        ("/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "x"}]}),
        ("/api/v1/imports?format=" + quote(name, safe=""), None),
    )


def test_the_name_of_an_uploaded_file_is_a_name_only(client: Any, tmp_path: Path) -> None:
    def there() -> set[Path]:
        return {path for path in tmp_path.rglob("*") if "sqlite-" not in path.name}

    before = there()
    for name in PATHS:
        row = json.dumps({"prompt": name, "chosen": "b", "rejected": "c"}).encode()
        row = row.replace(b"\\u0000", b"")
        answer = client.post("/api/v1/imports", files={"file": (name, row)}, data={"format": "trl"})
        assert answer.status_code == 200 and answer.json()["added"] == 1, answer.text
    assert there() == before


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/training-runs", '{"algorithm": "dpo", "config": %s}'),
        ("PUT", "/api/v1/schedule", '{"config": %s}'),
        ("POST", "/api/v1/prompts", '{"messages": %s}'),
        ("POST", "/v1/chat/completions", '{"n": 99, "messages": [{"role": "user", "content": "x", "more": %s}]}'),
        ("POST", "/v1/chat/completions", '{"n": 99, "messages": [{"role": "user", "content": "x"}], "metadata": %s}'),
    ],
)
def test_a_deeply_nested_body_is_refused(client: Any, method: str, path: str, body: str) -> None:
    for depth in (300, 600, 900, 3000, 100_000):
        content, kind = body % nested(depth), {"Content-Type": "application/json"}
        answer = client.request(method, path, content=content, headers=kind)
        assert 400 <= answer.status_code < 500 and answer.json()["error"]["message"], answer.text[:300]


def test_a_prompt_may_hold_any_characters_but_nul(client: Any) -> None:
    for name, text in texts(long=False, nul=False).items():
        body = {"messages": [{"role": "user", "content": f"{name} {text}"}], "tags": [text], "reference": text}
        answer = client.post("/api/v1/prompts", json=body)
        assert answer.status_code == 201, name
        assert answer.json()["messages"][0]["content"] == f"{name} {text}" and answer.json()["tags"] == [text]
    for body in (
        {"messages": [{"role": "user", "content": NUL["NUL"]}]},
        {"messages": [{"role": "user", "content": "x"}], "tags": [NUL["NUL"]]},
    ):
        answer = client.post("/api/v1/prompts", json=body)
        assert answer.status_code == 422 and "NUL" in answer.json()["error"]["message"]


def test_a_role_is_one_of_three_whoever_asks(client: Any) -> None:
    for role in ("tool", "System", "user<end>", "\u202eresu", "", "developer"):
        body = {"messages": [{"role": role, "content": "x"}, {"role": "user", "content": "y"}]}
        assert client.post("/api/v1/prompts", json=body).status_code == 422
        assert client.post("/api/v1/comparisons/next", json=body).status_code == 422
