"""Behind a point of the chart: slices, prompts with both texts and the judge's replies, and what readers think of them;
and the page about agreement. Shown instead of the tab's lists while the address names one."""

from typing import TYPE_CHECKING

import gradio as gr

from app.agreement import agreement_report
from app.security import labeller_of
from app.ui.actions import Payload, bind, int_of, labeller, text_of
from app.ui.html import render
from app.verdicts import find_point, slices, verdict_rows
from storage.verdict_choices import record_verdict_choice

if TYPE_CHECKING:
    from app.main import Application

AGREEMENT = "agreement"
MOST = 40  # texts of one point
MOST_SLICES = 15
OPINIONS = {"yes": True, "no": False, "": None}


class VerdictsPage:
    """One view; each call says which point it shows and whether only disputed verdicts are wanted."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        verdicts = gr.HTML(elem_id="verdicts", elem_classes="card", apply_default_css=False)
        bind("verdicts", self.show, [verdicts])
        bind("judge-verdict", self.record, [verdicts])

    def show(self, payload: Payload, request: gr.Request) -> str:
        item, only = text_of(payload, "evaluation"), text_of(payload, "only")
        if item == AGREEMENT:
            return self._agreement()
        with self._application.database.read() as session:
            point = find_point(session, item)
            if point is None:
                return render("verdicts.html", asked=item, point=None)
            rows = verdict_rows(
                session, point, labeller_id=labeller_of(request), disputed=only == "disputed", limit=MOST
            )
            found = slices(session, point)
        return render(
            "verdicts.html",
            asked=item,
            point=point,
            rows=rows,
            only=only,
            most=MOST,
            slices=found[:MOST_SLICES],
            more_slices=len(found[MOST_SLICES:]),
        )

    def _agreement(self) -> str:
        measured = self._application.win_rates.read()
        with self._application.database.read() as session:
            return render("agreement.html", report=agreement_report(session, measured))

    def record(self, payload: Payload, request: gr.Request) -> str:
        """Agree or disagree with a verdict; saying the same again takes it back."""
        with self._application.database.write() as session:
            record_verdict_choice(
                session,
                evaluation_id=int_of(payload, "evaluation"),
                prompt_id=int_of(payload, "prompt"),
                labeller_id=labeller(request),
                agrees=OPINIONS.get(text_of(payload, "agrees")),
            )
        return self.show(payload, request)
