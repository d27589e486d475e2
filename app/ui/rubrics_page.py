"""Rubrics in the Settings tab: the list, and one of them to read, edit, check and save, or an earlier version of it.

What is typed is checked as it is typed, with a preview of the messages that a judge would get. The text stays in the
page's own field; what is around it is drawn anew. Leaves out what a rubric must be and where it lies (app/rubrics.py).
"""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import gradio as gr

from app.rubrics import FORMS, Checked, RubricView
from app.ui.actions import Payload, bind, text_of
from app.ui.html import render
from storage.errors import NotFound

if TYPE_CHECKING:
    from app.main import Application

FORM = "json"  # the preview's, until another one is picked


class RubricsPage:
    """Handlers of the list and of one rubric; nothing of it is kept between two calls."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        listed = gr.HTML(elem_id="rubrics", elem_classes="card listing", apply_default_css=False)
        with gr.Column(elem_id="rubric", elem_classes="card"):
            head = gr.HTML(elem_id="rubric-head", apply_default_css=False)
            form = gr.HTML(elem_id="rubric-form", apply_default_css=False)
            checked = gr.HTML(elem_id="rubric-check", apply_default_css=False)
        bind("show-settings", self.show_list, [listed])
        bind("rubric", self.show, [head, form, checked])
        bind("check-rubric", self.check, [checked])
        bind("save-rubric", self.save, [head, checked])

    def show_list(self, _: Payload, request: gr.Request) -> str:
        gate = self._application.settings.gate_rubric
        return render("rubrics.html", rubrics=self._application.rubrics.list(), gate=gate)

    def show(self, payload: Payload, request: gr.Request) -> tuple[str, str, str]:
        """NAME, or NAME@HASH for an earlier version."""
        name, _, digest = text_of(payload, "rubric").partition("@")
        try:
            view = self._application.rubrics.get(name)
            shown = self._application.rubrics.version(name, digest) if digest else None
        except NotFound as error:
            return render("rubric_head.html", view=None, problem=str(error)), "", ""
        text = shown.text if shown else view.text
        found = self._application.rubrics.check(text, form=FORM)
        return (
            self._head(view, shown.rubric.digest if shown else ""),
            # another one each time: keys.js takes it for the sign to put this text in the place of what was typed
            render("rubric_form.html", text=text, forms=FORMS, form=FORM, drawn=uuid4().hex),
            _checked(found),
        )

    def check(self, payload: Payload, request: gr.Request) -> str:
        return _checked(self._application.rubrics.check(text_of(payload, "text"), form=_form(payload)))

    def save(self, payload: Payload, request: gr.Request) -> tuple[Any, str]:
        """Faults are shown where they stand; another name makes another rubric, which must not be there yet."""
        rubrics, text = self._application.rubrics, text_of(payload, "text")
        found = rubrics.check(text, form=_form(payload))
        if found.rubric is None:
            gr.Warning("It is not saved: the lines that are wrong are named below the text.")
            return gr.skip(), _checked(found)
        edited = text_of(payload, "edited")
        view, new = rubrics.save(text, replaces=text_of(payload, "replaces") if edited == found.rubric.name else "")
        gr.Info(f"The rubric {view.name} is {'new and ' if new else ''}saved: {view.digest[:8]}.")
        return self._head(view), _checked(found)

    def _head(self, view: RubricView, shown: str = "") -> str:
        """`shown` is the digest of the version in the field, where that is not simply the one in use."""
        return render(
            "rubric_head.html",
            view=view,
            problem="",
            shown=shown if shown != view.digest else "",
            versions=self._application.rubrics.versions(view.name),
            gate=self._application.settings.gate_rubric,
        )


def _form(payload: Payload) -> str:
    return text_of(payload, "form") or FORM


def _checked(found: Checked) -> str:
    return render("rubric_check.html", rubric=found.rubric, faults=found.faults, messages=found.messages)
