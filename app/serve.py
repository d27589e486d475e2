"""The server process: its socket, its log, and Ctrl-C. What it serves is in `app/main.py`."""

import asyncio
import logging
import socket
import sys
from contextlib import suppress

from app.settings import Settings
from storage.directory import take_directory
from storage.errors import Invalid

GRACE_S = 1  # for answers under way at Ctrl-C; open pages hold event streams, which never end by themselves


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises Refused, Invalid or Conflict before anything listens."""
    settings.check()
    listener = take_socket(settings)
    lock = take_directory(settings.data_dir)
    import uvicorn

    from app.main import create_app

    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    for noisy in ("httpx", "apscheduler", "alembic"):  # a refill that takes longer than its tick is no news
        logging.getLogger(noisy).setLevel(logging.ERROR)
    app = create_app(settings)
    app.state.application.bind()
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    where = f"http://{name}:{listener.getsockname()[1]}"
    sys.stdout.write(f"PrefLoop: {where}  (data in {settings.data_dir.resolve()})\n")
    sys.stdout.flush()
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=GRACE_S, log_level="warning"))
    logging.getLogger("uvicorn.error").addFilter(is_news)
    with suppress(KeyboardInterrupt):  # Ctrl-C, repeated by the server once it has shut down
        server.run(sockets=[listener])
    lock.close()


def take_socket(settings: Settings) -> socket.socket:
    """The socket to serve on, taken before the project is touched: another app may be serving it."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Invalid(
            f"Nothing can be served at {settings.host}, port {settings.port}: {error.strerror}.",
            hint="Choose others with --host and --port.",
        ) from error
    return listener


def is_news(record: logging.LogRecord) -> bool:
    """Not that the streams of open pages were cut off at Ctrl-C, each with its traceback."""
    cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and "timeout graceful shutdown exceeded" not in record.getMessage()
