"""The Settings tab: what can be changed here, what is decided before the start, and when each takes effect.

Leaves out the rubrics, which have a page each (rubrics_page.py).
"""

from typing import TYPE_CHECKING

import gradio as gr

from app.ui.actions import Payload, bind, text_of
from app.ui.html import loading, render
from app.ui.rubrics_page import RubricsPage
from app.ui.train_tab import schedule_html

if TYPE_CHECKING:
    from app.main import Application

HIDDEN = {"token", "judge_key"}


class SettingsTab:
    """The schedule can be changed; the rest is read from the environment and told with its sentence."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-settings", elem_classes="page"):
            with gr.Row(elem_classes="split even listing"):
                schedule = gr.HTML(elem_id="settings-schedule", elem_classes="card", apply_default_css=False)
                facts = gr.HTML(elem_id="facts", elem_classes="card", apply_default_css=False)
            RubricsPage(self._application).build()
            started = gr.HTML(elem_id="started", elem_classes="card listing", apply_default_css=False)
            bind("refresh-settings", self.refresh, [schedule, facts, started])
            bind("set-schedule-here", self.set_schedule, [schedule])

    def refresh(self, _: Payload, request: gr.Request) -> tuple[str, str, str]:
        if not self._application.ready:
            return loading(self._application), "", ""
        settings = self._application.settings
        rows = [
            (f"PREFLOOP_{name.upper()}", _value(name, getattr(settings, name)), field.description)
            for name, field in type(settings).model_fields.items()
        ]
        facts = render("facts.html", settings=settings, token=bool(settings.token))
        return self._schedule(), facts, render("started.html", rows=rows)

    def set_schedule(self, payload: Payload, request: gr.Request) -> str:
        given = {name: text_of(payload, name) for name in ("new_preferences", "cron", "after_gate")}
        self._application.runs.set_schedule(given)
        gr.Info("The schedule is saved and in effect.")
        return self._schedule()

    def _schedule(self) -> str:
        return schedule_html(self._application, where="settings")


def _value(name: str, value: object) -> str:
    if name in HIDDEN:
        return "set" if value else "not set"
    return (
        {True: "on", False: "off"}.get(value, str(value) or "empty") if isinstance(value, bool) else str(value) or "–"
    )
