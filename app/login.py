"""Logging in with the token: signed sessions, the slow-down after wrong tokens, and the two small pages.

A session is a cookie signed with the token, so it outlives a restart and ends when the token is changed. Leaves out
where it is asked for (`app/security.py`), and ending the sessions of one browser from another.
"""

import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

SESSION_COOKIE = "prefloop_session"
SESSION_LIFE_S = 30 * 24 * 3600
FREE_FAILURES = 4
LONGEST_WAIT_S = 60.0
ADDRESSES_KEPT = 10_000


def same(given: str, secret: str) -> bool:
    """Whether they are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode("utf-8", "replace"))


class Sessions:
    """Makes and checks session cookies: '<expiry, seconds since the epoch>.<nonce>.<HMAC-SHA256 of both>'."""

    def __init__(self, token: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"prefloop session\0" + token.encode("utf-8", "replace")).digest()
        self._clock = clock

    def new(self) -> str:
        payload = f"{int(self._clock()) + SESSION_LIFE_S}.{secrets.token_hex(8)}"
        return f"{payload}.{self._signature(payload)}"

    def valid(self, cookie: str) -> bool:
        payload, _, signature = cookie.rpartition(".")
        if not payload or not same(signature, self._signature(payload)):
            return False
        return int(payload.partition(".")[0]) > self._clock()

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


@dataclass
class _Failures:
    count: int = 0
    until: float = 0.0


class Attempts:
    """Wrong tokens per address. After the fourth in a row an address waits 1, 2, 4 ... 60 s; meanwhile nothing it
    sends is looked at, so that many requests at once gain nothing."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Whole seconds until the next attempt is looked at; 0: now."""
        known = self._failures.get(address)
        return max(0, math.ceil(known.until - self._clock())) if known else 0

    def failed(self, address: str) -> None:
        known = self._failures.setdefault(address, _Failures())
        self._failures.move_to_end(address)
        known.count += 1
        if known.count >= FREE_FAILURES:
            known.until = self._clock() + min(2.0 ** min(known.count - FREE_FAILURES, 16), LONGEST_WAIT_S)
        if len(self._failures) > ADDRESSES_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._failures.pop(address, None)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - PrefLoop</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ display: grid; place-items: center; min-height: 100vh; margin: 0; }}
main {{ width: min(22rem, calc(100vw - 2rem)); }}
input, button {{ box-sizing: border-box; width: 100%; padding: .6rem; margin-top: .6rem; font: inherit; }}
</style></head><body><main><h1>PrefLoop</h1>{content}</main></body></html>"""

_FORM = """<form method="post" action="/login"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus{told}>
<input type="hidden" name="next" value="{target}">{error}<button type="submit">Log in</button></form>
<p>The token is the value PREFLOOP_TOKEN had when this was started.</p>"""


def login_page(*, target: str, error: str = "") -> str:
    """The page that asks for the token and then goes on to `target`, a path on this server."""
    told = ' aria-describedby="error" aria-invalid="true"' if error else ""
    shown = f'<p id="error" role="alert">{escape(error)}</p>' if error else ""
    form = _FORM.format(target=escape(target, quote=True), error=shown, told=told)
    return _PAGE.format(title="Log in", content=form)


def logout_page() -> str:
    """A page with one button: a link alone could be followed from another site."""
    form = '<form method="post" action="/logout"><button type="submit">Log out</button></form>'
    return _PAGE.format(title="Log out", content=form)
