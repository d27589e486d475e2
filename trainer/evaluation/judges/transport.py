"""One HTTP call that is tried again: exponential backoff with jitter, Retry-After, a deadline. Free of torch.

Refusals that no second try mends (wrong key, no such model) end the evaluation; a request that the server finds wrong
(too long, filtered) fails by itself. Leaves out what is sent and what a reply means (endpoint.py).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
NEVER = frozenset({401, 402, 403, 404, 405})
SHOWN = 300  # characters of a server's own words in an error
LONGEST_BODY = 4 * 2**20  # bytes; a verdict is smaller


class JudgeRefused(Exception):
    """The server will not judge at all; the message says why and what to change."""


@dataclass(frozen=True)
class Patience:
    """Seconds: for one try, for a call with all its tries, and the backoff's first and longest wait."""

    timeout_s: float = 60.0
    deadline_s: float = 300.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0


@dataclass(frozen=True)
class Answer:
    """What came of a call: the JSON object of a success, else why there is none.

    `billed` says whether the server may have computed something; `status` is the last one, 0 without any.
    """

    body: dict[str, Any] | None
    problem: str = ""
    billed: int = 0
    status: int = 0


def call(
    client: httpx.Client,
    url: str,
    payload: dict[str, Any],
    *,
    patience: Patience,
    should_stop: Callable[[], bool],
    may_try: Callable[[], bool] = lambda: True,
) -> Answer:
    """POST until there is an answer. `may_try` is asked before each further try that the server may bill.

    Raises JudgeRefused. Answer.billed counts tries without a usable answer that may have been computed all the same.
    """
    ends = time.monotonic() + patience.deadline_s
    tries, billed = 0, 0
    while True:
        tries += 1
        wait: float | None = None
        paid = False
        left = ends - time.monotonic()
        try:
            answer = _once(client, url, payload, min(patience.timeout_s, max(left, 0.01)))
        except _Again as again:
            answer, wait = Answer(None, again.problem, status=again.status), again.wait_s
            paid = again.billed
            billed += paid
        if answer.body is not None or answer.status not in (0, *AGAIN, 200):
            return Answer(answer.body, answer.problem, billed, answer.status)
        backoff = min(patience.longest_wait_s, patience.first_wait_s * 2 ** min(tries - 1, 30))
        pause = max(wait or 0.0, backoff * random.uniform(0.5, 1.0))
        if time.monotonic() + pause >= ends or should_stop() or (paid and not may_try()):
            return Answer(None, f"{answer.problem} ({tries} tries)", billed, answer.status)
        _sleep(pause, should_stop)


class _Again(Exception):
    def __init__(self, problem: str, *, status: int = 0, wait_s: float | None = None, billed: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.status, self.wait_s, self.billed = problem, status, wait_s, billed


def _once(client: httpx.Client, url: str, payload: dict[str, Any], timeout_s: float) -> Answer:
    try:
        status, headers, body = _post(client, url, payload, timeout_s)
    except httpx.TimeoutException as error:
        raise _Again(f"no reply within {timeout_s:.0f} s", billed=True) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise JudgeRefused(f"{url} is no address that can be asked ({error}); give http://HOST:PORT/v1.") from error
    except httpx.ConnectError as error:
        raise _Again(f"nothing answers at {url} ({error})") from error
    except httpx.HTTPError as error:
        raise _Again(f"the connection broke ({type(error).__name__}: {error})", billed=True) from error
    said = _without_key(client, " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split()))[:SHOWN]
    if status in NEVER:
        raise JudgeRefused(
            f"{url} answers {status}: {said}. Check the address, the model's name and PREFLOOP_JUDGE_KEY."
        )
    if status in AGAIN or status >= 500:
        wait_s = retry_after(headers.get("retry-after"))
        raise _Again(f"the server answers {status}: {said}", status=min(status, 500), wait_s=wait_s)
    if status != 200:
        return Answer(None, f"the server answers {status}: {said}", status=status)
    try:
        value = httpx.Response(200, content=body).json()
    except (ValueError, RecursionError) as error:
        raise _Again(f"the reply is not JSON: {said!r}", status=200, billed=True) from error
    if not isinstance(value, dict):
        raise _Again(f"the reply is not a JSON object: {said!r}", status=200, billed=True)
    return Answer(value, status=200)


def _without_key(client: httpx.Client, text: str) -> str:
    """Servers quote a wrong key in their refusal, which is logged and stored."""
    key = client.headers.get("authorization", "").removeprefix("Bearer ")
    return text.replace(key, "[key]") if key else text


def _post(
    client: httpx.Client, url: str, payload: dict[str, Any], timeout_s: float
) -> tuple[int, httpx.Headers, bytes]:
    """Reads at most LONGEST_BODY within timeout_s in all: a server that drips a byte a second does not hold us up."""
    ends, parts, size = time.monotonic() + timeout_s, list[bytes](), 0
    with client.stream("POST", url, json=payload, timeout=timeout_s) as response:
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > LONGEST_BODY or time.monotonic() > ends:
                raise httpx.ReadTimeout(f"{size} bytes and no end")
    return response.status_code, response.headers, b"".join(parts)


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, given in seconds or as a date; None where there is none to be read."""
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if float(value) < float("inf") else None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _sleep(seconds: float, should_stop: Callable[[], bool]) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not should_stop():
        time.sleep(min(left, 0.2))
