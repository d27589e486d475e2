"""The Data tab: prompts and preferences to search and filter, import by drop, export by link."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.errors import toast
from app.overview import imported_files, preference_rows, prompt_rows, totals
from app.ui.actions import Payload, bind, int_of, text_of
from app.ui.html import loading, render
from storage.errors import Invalid, PrefLoopError
from storage.tables import Choice, Split
from storage.transfer import FORMATS, IMPORTS, ImportReport, import_file

if TYPE_CHECKING:
    from app.main import Application

PAGE = 25
CHOICES = {"left": "A was better", "right": "B was better", "tie": "tie", "both_bad": "both bad", "skip": "skipped"}


class DataTab:
    """Two lists a page at a time, and one file at a time in."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-data", elem_classes="page"):
            with gr.Row(elem_classes="split"):
                with gr.Column(elem_classes="card importer"):
                    gr.HTML(render("import_head.html"), apply_default_css=False)
                    kind = gr.Dropdown(list(IMPORTS), value=IMPORTS[0], label="Format", elem_id="import-format")
                    offered = gr.Checkbox(False, label="Let people label its prompts", elem_id="import-offered")
                    dropped = gr.File(label="File to import", show_label=False, elem_id="import-file", height=96)
                    report = gr.HTML(elem_id="import-report", apply_default_css=False)
                export = gr.HTML(elem_id="export", elem_classes="card", apply_default_css=False)
            preferences = gr.HTML(elem_id="preferences", elem_classes="card", apply_default_css=False)
            prompts = gr.HTML(elem_id="prompts", elem_classes="card", apply_default_css=False)
            shown = [export, preferences, prompts]
            bind("refresh-data", self.refresh, shown)
            bind("find-preferences", self.find_preferences, [preferences])
            bind("find-prompts", self.find_prompts, [prompts])
            dropped.upload(
                self.bring_in,
                [dropped, kind, offered],
                [dropped, report, *shown],
                api_visibility="private",
                show_progress="minimal",
            )

    def refresh(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), gr.skip(), gr.skip()
        return self._shown()

    def find_preferences(self, payload: Payload, request: gr.Request) -> str:
        search, choice = (
            text_of(payload, "search"),
            _one_of(Choice, text_of(payload, "choice") or text_of(payload, "filter")),
        )
        origin, before = text_of(payload, "origin"), int_of(payload, "before") or None
        imported = {"here": False, "imported": True}.get(origin)
        with self._application.database.read() as session:
            rows = preference_rows(
                session, search=search, choice=choice, imported=imported, before=before, limit=PAGE + 1
            )
        picked = {"search": search, "choice": choice or "", "origin": origin, "before": before or ""}
        more = rows[PAGE - 1].id if len(rows) > PAGE else None
        return render("preferences.html", rows=rows[:PAGE], picked=picked, choices=CHOICES, more=more)

    def find_prompts(self, payload: Payload, request: gr.Request) -> str:
        search, split, after = (
            text_of(payload, "search"),
            _one_of(Split, text_of(payload, "split")),
            int_of(payload, "after"),
        )
        with self._application.database.read() as session:
            rows = prompt_rows(session, search=search, split=split, after=after, limit=PAGE + 1)
        picked = {"search": search, "split": split or "", "after": after or ""}
        more = rows[PAGE - 1].id if len(rows) > PAGE else None
        return render("prompts.html", rows=rows[:PAGE], picked=picked, splits=list(Split), more=more)

    def bring_in(self, file: str | None, kind: str, offered: bool) -> tuple[Any, ...]:
        """Import the dropped file; rows that cannot be used are listed with their line and reason."""
        if file is None:
            return None, *[gr.skip()] * 4
        try:
            report = import_file(
                self._application.database, path_or_stream=file, format=kind, name=Path(file).name, offered=offered
            )
        except PrefLoopError as error:
            refused = render("import_report.html", name=Path(file).name, refused=toast(error))
            return None, refused, *[gr.skip()] * 3
        return None, _report(Path(file).name, report), *self._shown()

    def _shown(self) -> tuple[str, str, str]:
        with self._application.database.read() as session:
            export = render("export.html", totals=totals(session), files=imported_files(session), formats=list(FORMATS))
        nobody = gr.Request()
        return export, self.find_preferences({}, nobody), self.find_prompts({}, nobody)


def _report(name: str, report: ImportReport, *, most: int = 50) -> str:
    skipped: Sequence[Any] = report.skipped
    shown, hidden = skipped[:most], len(skipped[most:])
    return render("import_report.html", name=name, refused="", report=report, skipped=shown, hidden=hidden)


def _one_of(kind: Any, value: str) -> Any:
    """The member named, None for nothing. Raises Invalid for another value."""
    if not value:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise Invalid(f"{value!r} is none of {', '.join(kind)}.") from error
