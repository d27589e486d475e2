"""The Label tab: one blinded comparison at a time, one round trip per choice.

Keys, acknowledgement and the guard against double presses are in assets/keys.js; making and storing comparisons is in
app/labelling.py.
"""

import secrets
from typing import TYPE_CHECKING

import gradio as gr

from app.errors import toast
from app.labelling import Recorded, ShownComparison
from app.ui.actions import Payload, bind, labeller, text_of
from app.ui.html import loading, plain, render
from storage.errors import Conflict, Invalid, NotFound, Unavailable
from storage.tables import Choice, Strength

if TYPE_CHECKING:
    from app.main import Application

WAIT_S = 0.4  # for a comparison; the page asks again by itself
TOLD = {
    Choice.left: "A was better.",
    Choice.right: "B was better.",
    Choice.tie: "a tie.",
    Choice.both_bad: "both were bad.",
    Choice.skip: "skipped.",
}
LOADING = ("The model is loading", "It takes a few seconds; the first pair appears here by itself.")
COLD = ("The model is writing the next pair", "It appears here by itself.")
EMPTY = (
    "No prompts are left",
    "Every prompt has been compared. Type one of your own below, or import prompts under Data.",
)


class LabelTab:
    """Handlers take what the page sent and return the whole tab; the page changes only what differs."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-label", elem_classes="page"):
            view = gr.HTML(elem_id="label-view", apply_default_css=False)
            gr.HTML(render("own_prompt.html"), elem_id="own-view", apply_default_css=False)
            bind("refresh-label", self.refresh, [view])
            bind("choose", self.choose, [view])
            bind("undo", self.undo, [view])
            bind("own-prompt", self.own_prompt, [view])

    def refresh(self, _: Payload, request: gr.Request) -> str:
        return self._next(labeller(request))

    def choose(self, payload: Payload, request: gr.Request) -> str:
        """Record the choice and show the next comparison. One that can no longer be chosen is told and passed over."""
        who = labeller(request)
        try:
            self._application.labelling.record_choice(
                comparison_id=text_of(payload, "comparison"),
                labeller_id=who,
                choice=_choice(text_of(payload, "choice")),
                client_id=text_of(payload, "client"),
                strength=Strength.clearly if payload.get("strength") == "clearly" else None,
                reason=text_of(payload, "reason") or None,
            )
        except (Conflict, NotFound) as error:
            gr.Warning(plain(toast(error)))
        return self._next(who)

    def undo(self, _: Payload, request: gr.Request) -> str:
        who = labeller(request)
        return self._page(who, self._application.labelling.undo_last(labeller_id=who))

    def own_prompt(self, payload: Payload, request: gr.Request) -> str:
        text = text_of(payload, "text")
        if not text:
            raise Invalid("The prompt is empty.", hint="Type what you would ask.")
        who = labeller(request)
        messages = [{"role": "user", "content": text}]
        return self._page(who, self._application.labelling.next_comparison(labeller_id=who, messages=messages))

    def _next(self, who: str) -> str:
        if not self._application.ready:
            return self._state(LOADING, going=True) if not self._application.failure else loading(self._application)
        try:
            shown = self._application.labelling.next_comparison(labeller_id=who, wait_s=WAIT_S)
        except Unavailable:
            return self._page(who, None, state=COLD, going=True)
        return self._page(who, shown)

    def _page(
        self, who: str, shown: ShownComparison | None, *, state: tuple[str, str] = EMPTY, going: bool = False
    ) -> str:
        application = self._application
        left = application.runs.choices_until_next()
        last = application.labelling.last_choice(labeller_id=who)
        return render(
            "label.html",
            today=application.labelling.choices_today(labeller_id=who),
            left=left,
            share=_share(left, application.runs.schedule().new_preferences),
            pair=shown,
            nonce=secrets.token_hex(8),
            last=_last(last) if last else None,
            title=state[0],
            explanation=state[1],
            going=going,
        )

    def _state(self, state: tuple[str, str], *, going: bool) -> str:
        return render(
            "label.html",
            today=0,
            left=None,
            share=0.0,
            pair=None,
            nonce="",
            last=None,
            title=state[0],
            explanation=state[1],
            going=going,
        )


def _choice(value: str) -> Choice:
    try:
        return Choice(value)
    except ValueError as error:
        raise Invalid(f"{value!r} is no choice.", hint=f"There are {', '.join(Choice)}.") from error


def _last(recorded: Recorded) -> dict[str, object]:
    return {"told": TOLD[recorded.choice], "left": recorded.left, "right": recorded.right}


def _share(left: int | None, needed: int) -> float:
    """How far the choices are towards the next run, 0..1."""
    return 0.0 if left is None or needed == 0 else (needed - left) / needed
