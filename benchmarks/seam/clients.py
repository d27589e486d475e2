"""The people of the benchmark: chats that stream without end, one who labels, and one who promotes; all over HTTP."""

import itertools
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

TIMEOUT_S = 120
MAX_TOKENS = 160


@dataclass
class Stream:
    """One streamed reply: by whom, what, and when each piece came (seconds since the epoch)."""

    prompt: str
    began: float
    checkpoint_id: str = ""
    text: str = ""
    pieces: list[float] = field(default_factory=list)
    ended: float = 0.0
    error: str = ""

    @property
    def longest_gap_s(self) -> float:
        return max((later - one for one, later in itertools.pairwise(self.pieces)), default=0.0)


@dataclass(frozen=True)
class Swap:
    """One promotion: when the new checkpoint was published, and how long loading and warming it took."""

    checkpoint_id: str
    published: float
    load_s: float
    warm_s: float


def stream(url: str, prompt: str) -> Stream:
    """Ask the served model at temperature 0 and read to the end; what goes wrong is kept in it."""
    one = Stream(prompt, time.time())
    try:
        with httpx.stream(
            "POST", f"{url}/v1/chat/completions", json=_body(prompt, "served", True), timeout=TIMEOUT_S
        ) as a:
            if a.status_code != 200:
                a.read()
                one.error = f"{a.status_code} {a.text[:200]}"
            done = any([_read(one, line) for line in a.iter_lines() if line.startswith("data: ")])
            one.error = one.error or ("" if done else "it ended without [DONE]")
    except httpx.HTTPError as error:
        one.error = f"{type(error).__name__}: {error}"
    one.ended = time.time()
    return one


def _read(one: Stream, line: str) -> bool:
    """Take in one event; whether it is the last."""
    told = line.removeprefix("data: ")
    if told == "[DONE]":
        return True
    chunk = json.loads(told)
    if "error" in chunk:
        one.error = str(chunk["error"])
        return False
    if one.checkpoint_id not in ("", chunk["checkpoint_id"]):
        one.error = f"it began by {one.checkpoint_id} and went on by {chunk['checkpoint_id']}"
    one.checkpoint_id = chunk["checkpoint_id"]
    if text := chunk["choices"][0]["delta"].get("content"):
        one.text += text
        one.pieces.append(time.time())
    return False


def solo(url: str, prompt: str, checkpoint_id: str) -> str:
    """What this checkpoint says when it is asked alone."""
    answer = httpx.post(f"{url}/v1/chat/completions", json=_body(prompt, checkpoint_id, False), timeout=TIMEOUT_S)
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def _body(prompt: str, model: str, streamed: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS, "stream": streamed}


class Streams:
    """`parallel` chats, each asking its next question as soon as the last one is answered, while in the context."""

    def __init__(self, url: str, prompts: Sequence[str], *, parallel: int) -> None:
        self.done: list[Stream] = []
        self._url, self._prompts, self._parallel = url, prompts, parallel
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(parallel)

    def __enter__(self) -> "Streams":
        for number in range(self._parallel):
            self._pool.submit(self._talk, number)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown(wait=True)

    def _talk(self, number: int) -> None:
        for turn in itertools.count(number):
            if self._over.is_set():
                return
            self.done.append(stream(self._url, self._prompts[turn % len(self._prompts)]))


class Labelling:
    """One who labels at a steady pace, from a queue that is warm; seconds of every call are kept."""

    def __init__(self, url: str, *, pace_s: float) -> None:
        self.next_s: list[float] = []
        self.choose_s: list[float] = []
        self.cold = 0  # comparisons that were not ready when asked for
        self._url, self._pace_s = url, pace_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._label, daemon=True)

    def __enter__(self) -> "Labelling":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(TIMEOUT_S)

    def _label(self) -> None:
        with httpx.Client(base_url=self._url, timeout=TIMEOUT_S) as client:
            while not self._over.wait(self._pace_s):
                warm = _waiting(client)
                asked = time.perf_counter()
                given = client.post("/api/v1/comparisons/next", json={})
                if given.status_code != 200:
                    self.cold += 1
                    continue
                shown = time.perf_counter()
                sides = given.json()
                choice = "left" if len(sides["left"]["text"]) >= len(sides["right"]["text"]) else "right"
                decided = time.perf_counter()
                told = client.post("/api/v1/preferences", json={"comparison_id": sides["id"], "choice": choice})
                if told.is_success:  # a swap in between may have dropped it
                    self.choose_s.append(time.perf_counter() - decided)
                if warm:
                    self.next_s.append(shown - asked)
                else:
                    self.cold += 1


def _waiting(client: httpx.Client) -> bool:
    """Whether a comparison is ready to be shown."""
    lines = client.get("/metrics").text.splitlines()
    return any(line.startswith("prefloop_comparisons_waiting{") and float(line.split()[-1]) > 0 for line in lines)


def promote(url: str, checkpoint_id: str) -> Swap:
    """Serve it; returns once it is served. Raises httpx.HTTPError, or RuntimeError where the ledger says otherwise."""
    answer = httpx.post(f"{url}/api/v1/deployments", json={"checkpoint_id": checkpoint_id}, timeout=TIMEOUT_S)
    row = answer.raise_for_status().json()
    if row["state"] != "serving":
        raise RuntimeError(f"{checkpoint_id} is {row['state']}: {row['events']}")
    at = {event["event"]: datetime.fromisoformat(event["created_at"]).timestamp() for event in row["events"]}
    return Swap(checkpoint_id, at["serving"], at["verified"] - at["loading"], at["warmed"] - at["verified"])
