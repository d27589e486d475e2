"""What a request may send, and how slowly: a limit in bytes, and a pace that whoever means it keeps.

A body is counted as it comes, so that one without Content-Length has the same limit. Leaves out what a body must say
(the routes), and slow headers, which cost a socket and nothing else.
"""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

TEXT_LIMIT = 8 * 2**20  # bytes; a prompt of a megabyte is welcome, and JSON takes several times its size in memory
FILE_PATHS = ("/api/v1/imports", "/gradio_api/upload")
GRACE_S = 30.0  # of waiting for a body, whatever its pace
SLOWEST = 1024  # bytes per second that more waiting must bring


class BodyRefused(HTTPException):
    """A body that is too large (413) or too slow (408). The app's own handlers render it as any HTTPException."""


def limit_of(path: str, *, file_limit: int) -> int:
    """The most bytes that a body may have on this path."""
    return file_limit if path.rstrip("/") in FILE_PATHS else TEXT_LIMIT


def check_announced(headers: Headers, limit: int) -> None:
    """Raises BodyRefused where Content-Length says more than `limit`: then nothing of it is read."""
    announced = headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise _too_large(limit)


def limited(scope: Scope, receive: Receive, limit: int, *, grace_s: float = GRACE_S) -> Receive:
    """`receive` that raises BodyRefused for a body beyond `limit` bytes, or slower than SLOWEST after `grace_s`.

    Only waiting counts, not the time that a route takes with what came. After its end it waits for ever, as before.
    """
    if scope["type"] != "http":
        return receive
    received, waited, whole = 0, 0.0, False

    async def counted() -> Message:
        nonlocal received, waited, whole
        if whole:
            return await receive()
        begun = time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), grace_s + received / SLOWEST - waited)
        except TimeoutError as error:
            raise BodyRefused(408, f"After {received} bytes the rest of the body did not come.") from error
        waited += time.monotonic() - begun
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return counted


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, f"The body is larger than {limit / 2**20:.0f} MiB, the most that is read here.")
