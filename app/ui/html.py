"""HTML of the page from the templates in assets/: every value is escaped unless a template made it.

Generated text is data. It reaches the page through autoescaping templates only, so that markup in it is shown, never
interpreted. Leaves out what is shown where (the tab files) and how it looks (assets/style.css).
"""

import html
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

if TYPE_CHECKING:
    from app.main import Application
from markupsafe import Markup

MINUTE, HOUR, DAY = 60, 3600, 86400
CELL_LENGTH = 100
LISTED = 10_000  # characters of one text in a list; an imported one may have millions, and a page shows dozens


def asset(name: str) -> str:
    """The text of a file in assets/."""
    return (files("app.ui") / "assets" / name).read_text(encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """The template with these values, escaped. Raises jinja2.UndefinedError for a value that is missing."""
    return _environment().get_template(template).render(**values)


def plain(text: object) -> str:
    """Text for places that interpret HTML and take no template: toasts, chart labels."""
    return html.escape(str(text))


def ago(moment: datetime | None) -> Markup:
    """'2 min ago', with the exact time on hover."""
    if moment is None:
        return Markup("")
    told = relative((datetime.now(UTC) - moment).total_seconds())
    exact = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.isoformat(timespec="seconds"), exact.strftime("%Y-%m-%d %H:%M:%S UTC"), told
    )


def relative(seconds: float) -> str:
    if seconds < MINUTE:
        return "just now"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    raise AssertionError(seconds)


def duration(seconds: float | None) -> str:
    """Seconds as people say them: '17 s', '3 min', '1 h 5 min'."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if minutes < 5 and rest else f"{minutes} min"
    hours, rest = divmod(whole, HOUR)
    return f"{hours} h {rest // MINUTE} min"


def loading(application: "Application") -> str:
    """What a tab shows while there is no model: that it loads, or why it could not be loaded."""
    return render("loading.html", failure=application.failure)


def percent(share: float) -> str:
    return f"{share:.0%}"


def number(value: float) -> str:
    """A figure at three significant digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def long(text: str) -> bool:
    """Whether a table's cell of four lines may cut it."""
    return len(text) > CELL_LENGTH or text.count("\n") > 3


def cut(text: str) -> str:
    """As much of a text as a list shows."""
    return text[:LISTED]


def left_out(text: str) -> str:
    """How many characters `cut` leaves out; empty where none."""
    return f"{len(text) - LISTED:,}" if len(text) > LISTED else ""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["long"] = long
    environment.filters |= {
        "ago": ago,
        "duration": duration,
        "percent": percent,
        "number": number,
        "cut": cut,
        "left_out": left_out,
    }
    return environment
