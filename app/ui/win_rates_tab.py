"""The Win rates tab: each checkpoint against the initial or the previous one, all against all, and the texts behind."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.leaderboard import leaderboard, pair_matrix, sources
from app.ui.actions import Payload, bind, text_of
from app.ui.charts import MOST_CHECKPOINTS, newest, win_rate_figure
from app.ui.evaluate_form import EvaluateForm
from app.ui.html import loading, render
from app.ui.verdicts_page import VerdictsPage
from app.verdicts import item_of
from app.win_rates import PEOPLE, Measured, WinRateRow, points
from storage.checkpoints import INITIAL

if TYPE_CHECKING:
    from app.main import Application

AGAINST = {"initial": "the initial model", "previous": "the one served before it", "texts": "chosen or given texts"}
LENGTHS = {"raw": "as they are", "equal": "held equal"}


class WinRatesTab:
    """The selectors' state lives in the page: each call says which baseline, judge and lengths it shows."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-win-rates", elem_classes="page"):
            with gr.Column(elem_classes="card listing"):
                head = gr.HTML(elem_id="win-rates-head", apply_default_css=False)
                plot = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                table = gr.HTML(elem_id="win-rates-table", apply_default_css=False)
            EvaluateForm(self._application).build()
            board = gr.HTML(elem_id="leaderboard", elem_classes="card listing", apply_default_css=False)
            bind("refresh-win-rates", self.refresh, [head, plot, table, board])
            bind("pick-baseline", self.show, [head, plot, table])
            bind("pick-board", self.board, [board])
            VerdictsPage(self._application).build()

    def refresh(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        return *self.show(payload, request), self.board(payload, request)

    def show(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), gr.skip(), gr.skip()
        measured = self._application.win_rates.read()
        judges = [source for source in sources(measured) if source != PEOPLE]
        against, lengths = _one_of(AGAINST, payload, "against"), _one_of(LENGTHS, payload, "lengths")
        judge = text_of(payload, "judge")
        judge = judge if judge in judges else measured.main_judge()
        rows = [r for r in points(measured) if r.against == against and r.source in (judge, PEOPLE)]
        rows, missing = self._at_equal_length(measured, rows) if lengths == "equal" else (rows, [])
        head = render(
            "win_rates_head.html",
            picked={"against": against, "judge": judge, "lengths": lengths},
            baselines=AGAINST,
            judges={source: measured.source_name(source) for source in judges},
            lengths=LENGTHS,
            empty=not rows and not missing,
        )
        told = " at equal length" if lengths == "equal" else ""
        chart = win_rate_figure(rows, names=measured.judges, told=told) if rows else None
        table = _table(measured, rows, missing, told)
        return head, gr.update(value=chart, visible=bool(rows)), table

    def board(self, payload: Payload, request: gr.Request) -> str:
        """The leaderboard of one source, with the matrix of the newest pairs."""
        if not self._application.ready:
            return ""
        measured = self._application.win_rates.read()
        known = sources(measured)
        picked = text_of(payload, "board")
        source = picked if picked in known else PEOPLE if known == [PEOPLE] else measured.main_judge()
        ranks = leaderboard(measured, source)
        rated = {rank.checkpoint_id for rank in ranks}
        others = [name for name in measured.checkpoints if name in rated and name != INITIAL]
        shown = [INITIAL] * (INITIAL in rated) + others[1 - MOST_CHECKPOINTS :]
        return render(
            "leaderboard.html",
            source=source,
            sources={name: measured.source_name(name) for name in known},
            ranks=ranks,
            matrix=pair_matrix(measured, source, shown),
        )

    def _at_equal_length(self, measured: Measured, rows: list[WinRateRow]) -> tuple[list[WinRateRow], list[str]]:
        """The newest rows at equal length, and a sentence for each that cannot be had so."""
        found = [(row, self._application.equal_length.of(row)) for row in newest(rows)]
        missing = [
            f"{row.checkpoint} against {row.baseline} by {measured.source_name(row.source)}: {why}"
            for row, why in found
            if isinstance(why, str)
        ]
        return [fitted for _, fitted in found if isinstance(fitted, WinRateRow)], missing


def _table(measured: Measured, rows: list[WinRateRow], missing: list[str], told: str) -> str:
    shown = [(row, measured.source_name(row.source), item_of(row)) for row in reversed(rows)]
    return render("win_rates_table.html", rows=shown, people=PEOPLE, missing=missing, told=told)


def _one_of(known: dict[str, str], payload: Payload, name: str) -> str:
    given = text_of(payload, name)
    return given if given in known else next(iter(known))
