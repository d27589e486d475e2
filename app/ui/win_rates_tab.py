"""The Win rates tab: each checkpoint against the initial or the previous one, as a chart, a table and the texts."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.overview import evaluation_names, verdict_rows
from app.ui.actions import Payload, bind, int_of, text_of
from app.ui.charts import SOURCES, win_rate_figure
from app.ui.html import loading, render
from app.win_rates import win_rates

if TYPE_CHECKING:
    from app.main import Application

MOST = 40  # texts of one evaluation
AGAINST = {"initial": "the initial model", "previous": "the one served before"}


class WinRatesTab:
    """The selector's state lives in the page: each call says which baseline it shows."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-win-rates", elem_classes="page"):
            with gr.Column(elem_classes="card listing"):
                head = gr.HTML(elem_id="win-rates-head", apply_default_css=False)
                plot = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                table = gr.HTML(elem_id="win-rates-table", apply_default_css=False)
            verdicts = gr.HTML(elem_id="verdicts", elem_classes="card", apply_default_css=False)
            bind("refresh-win-rates", self.show, [head, plot, table])
            bind("pick-baseline", self.show, [head, plot, table])
            bind("verdicts", self.verdicts, [verdicts])

    def show(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), gr.skip(), gr.skip()
        against = text_of(payload, "against")
        against = against if against in AGAINST else "initial"
        with self._application.database.read() as session:
            rows = [r for r in win_rates(session) if r.against == against]
        head = render("win_rates_head.html", against=against, baselines=AGAINST, empty=not rows)
        chart = win_rate_figure(rows, against=against) if rows else None
        sources = {source: spec[0] for source, spec in SOURCES.items()}
        table = render("win_rates_table.html", rows=list(reversed(rows)), sources=sources)
        return head, gr.update(value=chart, visible=bool(rows)), table

    def verdicts(self, payload: Payload, request: gr.Request) -> str:
        evaluation = int_of(payload, "evaluation")
        with self._application.database.read() as session:
            names = evaluation_names(session, evaluation)
            rows = verdict_rows(session, evaluation, limit=MOST)
        return render("verdicts.html", asked=evaluation, names=names, rows=rows, most=MOST)
