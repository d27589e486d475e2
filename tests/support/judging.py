"""A judge by a rule, and a server that answers as told: well, badly, late, or not at all."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trainer.evaluation.judges.base import Ask, Comparison, OnReply, Reading, Reply, Usage
from trainer.evaluation.judges.parsing import parse_marked


def longer(one: Comparison) -> str:
    """The longer text wins."""
    a, b = len(one.first), len(one.second)
    return "[[tie]]" if a == b else "[[A]]" if a > b else "[[B]]"


@dataclass
class RuleJudge:
    """Replies what `rule` says of a comparison; `asked` remembers every call."""

    rule: Callable[[Comparison], str] = longer
    name: str = "rule"
    revision: str = "1"
    sees_order: bool = True
    reminders: int = 0
    chunk: int = 4
    kind: str = "rule"
    model: str = ""
    asked: list[Ask] = field(default_factory=list)

    def request(self, ask: Ask) -> dict[str, Any]:
        return ask.comparison.plain()

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        for index, ask in enumerate(asks):
            if should_stop():
                return
            self.asked.append(ask)
            text = self.rule(ask.comparison)
            failure = text.removeprefix("failed: ") if text.startswith("failed: ") else ""
            on_reply(index, Reply("" if failure else text, failure=failure, model=self.model, usage=Usage(10, 1)))

    def read(self, reply: Reply) -> Reading:
        return parse_marked(reply.text)


@dataclass
class Said:
    """One answer of the fake server: status, body (a dict is sent as JSON), headers, and a wait before it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0


def reply(text: str, **more: Any) -> Said:
    """A chat completion with this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, **more.pop("choice", {})}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return Said(body={"model": "judge-1", "system_fingerprint": "f", "usage": usage, "choices": [choice], **more})


@dataclass
class FakeServer:
    """`script` is used up first, then `rule` answers each request; `seen` holds every payload."""

    url: str = ""
    rule: Callable[[dict[str, Any]], Said] = lambda payload: reply("[[A]]")
    script: list[Said] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, payload: dict[str, Any], headers: dict[str, str]) -> Said:
        with self._lock:
            self.seen.append(payload)
            self.headers.append(headers)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            said = self.script.pop(0) if self.script else None
        said = said or self.rule(payload)
        time.sleep(said.wait_s)
        with self._lock:
            self._now -= 1
        return said


@contextmanager
def serving(**settings: Any) -> Iterator[FakeServer]:
    """A fake server on a free port of loopback, ended with the block."""
    fake = FakeServer(**settings)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            self._send(fake.answer(json.loads(self.rfile.read(size)), dict(self.headers)))

        def do_GET(self) -> None:
            self._send(Said(body={"data": [{"id": "only-model"}]}))

        def _send(self, said: Said) -> None:
            body = said.body.encode() if isinstance(said.body, str) else json.dumps(said.body).encode()
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the caller did not wait
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
