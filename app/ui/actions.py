"""What a person does on the page, brought to a handler: clicks and forms of the templates, and the page's own polling.

An element with data-action="NAME" (assets/keys.js) becomes one call of the handler bound here under that name, with
the element's data-* values and form fields as a dictionary. What comes from the browser is never an identity: who
it was is read from the request's cookie.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from app.errors import toast
from app.security import labeller_of
from app.ui.html import plain
from storage.errors import PrefLoopError, Refused
from storage.texts import fault
from trainer.prompting import PromptError

Payload = dict[str, Any]
EXPECTED = (PrefLoopError, PromptError)


def bind(
    name: str,
    handler: Callable[..., Any],
    outputs: Sequence[Component],
    *,
    cancels: Sequence[Dependency] = (),
) -> Dependency:
    """Call `handler(payload, request)` whenever the page sends `name`; it returns one value per output."""
    trigger = gr.Button(elem_id=f"on-{name}", visible="hidden")
    payload = gr.JSON(visible=False)
    event = trigger.click(
        told(handler),
        [payload],
        list(outputs),
        js=f"() => prefloop.take('{name}')",
        show_progress="hidden",
        api_visibility="private",
        concurrency_limit=None,
        cancels=list(cancels) or None,
        queue=True,
    )
    event.then(None, js=f"() => {{ prefloop.settled('{name}'); }}", api_visibility="private", show_progress="hidden")
    return event


def told(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, with expected errors told as a toast instead of raised; then nothing on the page changes."""
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def streaming(payload: Payload, request: gr.Request) -> AsyncIterator[Any]:
            try:
                _check(payload)
                async for value in handler(payload, request):
                    yield value
            except EXPECTED as error:
                gr.Warning(plain(toast(error)))
                yield gr.skip()

        return _typed(streaming)

    @functools.wraps(handler)
    def once(payload: Payload, request: gr.Request) -> Any:
        try:
            _check(payload)
            return handler(payload, request)
        except EXPECTED as error:
            gr.Warning(plain(toast(error)))
            return gr.skip()

    return _typed(once)


def _typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gradio passes the request by annotation and follows __wrapped__ to another module's names."""
    del function.__wrapped__  # type: ignore[attr-defined]
    function.__annotations__ = {"payload": dict, "request": gr.Request}
    return function


def _check(payload: Payload) -> None:
    """Raises Refused for what could not be stored; no field of the page can hold it."""
    if found := fault(payload):
        raise Refused(f"What was sent holds {found}.", hint="Leave it out.")


def labeller(request: gr.Request) -> str:
    """Who asks. Raises Refused for a browser that keeps no cookies."""
    found = labeller_of(request)
    if found is None:
        raise Refused(
            "Your browser sent no cookie, so your choices could not be told from others'.",
            hint="Allow cookies for this address and reload the page.",
        )
    return found


def text_of(payload: Payload, name: str) -> str:
    """A field as text; empty where the page did not send it."""
    value = payload.get(name)
    return value.strip() if isinstance(value, str) else ""


def int_of(payload: Payload, name: str) -> int:
    """A field as a whole number; 0 where there is none. Raises Refused for anything else."""
    value = text_of(payload, name) or "0"
    try:
        return int(value)
    except ValueError as error:
        raise Refused(f"{name} is {value!r}, not a whole number.") from error
