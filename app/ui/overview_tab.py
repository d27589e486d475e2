"""The Overview tab: the loop as four cards, each a number, a state and the way on, with the win-rate chart beneath."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.overview import checkpoint_names, newest_decision, totals
from app.ui.actions import Payload, bind, labeller
from app.ui.charts import win_rate_figure
from app.ui.html import loading, render
from app.ui.run_detail import run_values
from app.win_rates import PEOPLE, points
from storage.checkpoints import INITIAL
from storage.tables import DeploymentReason, GateDecisionRow

if TYPE_CHECKING:
    from app.main import Application

OUTCOMES = {"promote": "promoted", "reject": "refused", "inconclusive": "inconclusive"}
NO_POINTS = "No checkpoint has been compared yet. The first run's point appears here when the gate has judged it."
NOTE = "95% intervals · judge and people are never pooled"


class OverviewTab:
    """Reads only, but for the roll back, which the Train tab binds."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="page-overview", elem_classes="page"):
            cards = gr.HTML(elem_id="cards", apply_default_css=False)
            with gr.Column(elem_classes="card"):
                head = gr.HTML(apply_default_css=False)
                plot = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
            bind("refresh-overview", self.refresh, [cards, head, plot])

    def refresh(self, _: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), gr.skip(), gr.skip()
        measured = self._application.win_rates.read()
        judge = measured.main_judge()
        shown = [r for r in points(measured) if r.against == "initial" and r.source in (judge, PEOPLE)]
        title = f"Win rate against {measured.name(INITIAL)}"
        head = render("chart_head.html", title=title, note=NOTE, empty="" if shown else NO_POINTS)
        chart = win_rate_figure(shown, names=measured.judges) if shown else None
        return self._cards(labeller(request)), head, gr.update(value=chart, visible=bool(shown))

    def _cards(self, who: str) -> str:
        application = self._application
        with application.database.read() as session:
            gathered, decision, names = totals(session), newest_decision(session), checkpoint_names(session)
        left = application.runs.choices_until_next()
        needed = application.runs.schedule().new_preferences
        newest = application.runs.list(limit=1)
        return render(
            "overview.html",
            totals=gathered,
            today=application.labelling.choices_today(labeller_id=who),
            left=left,
            share=0.0 if left is None or not needed else (needed - left) / needed,
            active=self._active(),
            run=run_values(newest[0]) if newest else None,
            gate=self._gate(decision, names) if decision else None,
            served=self._served(),
            back=application.promotion.roll_back_target(),
            paused=application.promotion.paused_for(),
        )

    def _active(self) -> dict[str, Any] | None:
        view = self._application.runs.active()
        if view is None:
            return None
        metrics = self._application.runs.metrics(view.run.id)
        named = {"margin": "rewards/margins", "accuracy": "rewards/accuracies", "loss": "loss"}
        told = " · ".join(f"{word} {metrics[name][-1][1]:.2f}" for word, name in named.items() if metrics.get(name))
        return {**run_values(view), "status": view.run.status, "told": told}

    def _gate(self, decision: GateDecisionRow, names: dict[str, str]) -> dict[str, Any]:
        rate = decision.figures.get("win_rate") or {}
        interval = rate.get("interval") or {}
        waiting = self._application.promotion.waiting_for_person()
        return {
            "run_id": decision.run_id,
            "checkpoint": decision.checkpoint_id,
            "baseline": names[decision.baseline_id],
            "outcome": OUTCOMES[decision.outcome] if waiting != decision.checkpoint_id else "passed",
            "rate": rate.get("rate"),
            "low": interval.get("low"),
            "high": interval.get("high"),
            "n": rate.get("n"),
            "guards": len(decision.guards),
            "failed": sum(not guard["passed"] for guard in decision.guards),
            "waiting": waiting == decision.checkpoint_id and self._application.runs.schedule().after_gate == "ask",
        }

    def _served(self) -> dict[str, Any] | None:
        serving = self._application.promotion.serving()
        if serving is None:
            return None
        deployment = serving.deployment
        by_itself = deployment.reason is DeploymentReason.canary
        return {
            "name": serving.checkpoint.name,
            "since": deployment.created_at,
            "reason": deployment.reason,
            "note": deployment.note if by_itself else "",
        }
