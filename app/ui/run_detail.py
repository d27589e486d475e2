"""Everything about one run: why, what it learned from, its curves, guards, the gate's reasons, where it led."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.runs import RunView
from app.ui.actions import Payload, bind, text_of
from app.ui.charts import Series, run_figures
from app.ui.gate_chart import gate_chart
from app.ui.guards_chart import guards_chart
from app.ui.html import percent, render
from app.ui.plan_facts import plan_facts
from app.ui.reward_chart import reward_charts
from storage.checkpoints import get_checkpoint, lineage
from storage.errors import NotFound
from storage.tables import CheckpointKind, Deployment, Outcome, RunStatus
from trainer.score_file import Scores

if TYPE_CHECKING:
    from app.main import Application

LOG_LINES = 30


class RunDetail:
    """What the Train tab shows instead of its lists while the address names a run: #train/dpo-0007."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_id="run-detail", elem_classes="card"):
            detail = gr.HTML(elem_id="run-detail-text", apply_default_css=False)
            with gr.Row(elem_classes="curves"):
                loss = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                margin = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
            meant = gr.HTML(elem_id="reward-told", apply_default_css=False)
            with gr.Row(elem_classes="curves", elem_id="reward-charts"):
                by_kl = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                by_step = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
            held = gr.HTML(elem_id="guards-told", apply_default_css=False)
            guards = gr.Plot(
                show_label=False, visible=False, container=False, elem_id="guards-chart", elem_classes="chart"
            )
            told = gr.HTML(elem_id="gate-told", apply_default_css=False)
            gate = gr.Plot(show_label=False, visible=False, container=False, elem_id="gate-chart", elem_classes="chart")
        bind("run-detail", self.show, [detail, loss, margin, meant, by_kl, by_step, held, guards, told, gate])

    def show(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return (gr.skip(),) * 10
        run_id = text_of(payload, "run")
        try:
            view = self._application.runs.get(run_id)
        except NotFound:  # an address typed or kept; asked again every two seconds, so no toast
            return render("detail.html", run=None, asked=run_id), *_curves({}, {}), *gate_chart(None, {})
        facts, servable = self._facts(view.run.checkpoint_id)
        serving = self._application.promotion.serving()
        served = serving is not None and serving.checkpoint.id == view.run.checkpoint_id
        plan = self._plan(view)
        html = render(
            "detail.html",
            run=run_values(view),
            decision=view.decision,
            plan=plan_facts(plan) if plan else [],
            rolled_back=self._rolled_back(view.run.checkpoint_id),
            passed=view.decision is not None and view.decision.outcome is Outcome.promote,
            can_promote=servable and not served and view.run.finished_at is not None,
            facts=[("Learned from", view.run.dataset_note or "not read yet"), *facts],
            config=list(view.run.config.items()),
            lines=self._application.runs.log_lines(view.run.id, last=LOG_LINES),
        )
        return (
            html,
            *_curves(self._application.runs.metrics(view.run.id), view.run.config),
            *gate_chart(plan, self._scores(view)),
        )

    def _plan(self, view: RunView) -> dict[str, Any] | None:
        """Of the decision, or of a gate that is still at work; None before there is one."""
        decided = view.decision.figures.get("plan") if view.decision else None
        return decided or self._application.runs.plan(view.run.id)

    def _scores(self, view: RunView) -> Scores:
        """Likewise; empty before the first look."""
        decided = view.decision.figures.get("scores") if view.decision else None
        return decided or self._application.runs.gate_scores(view.run.id)

    def _rolled_back(self, checkpoint_id: str | None) -> Deployment | None:
        return self._application.promotion.rolled_back(checkpoint_id) if checkpoint_id else None

    def _facts(self, checkpoint_id: str | None) -> tuple[list[tuple[str, str]], bool]:
        """Lineage of the checkpoint it made, and whether that can be served."""
        if checkpoint_id is None:
            return [], False
        with self._application.database.read() as session:
            checkpoint = get_checkpoint(session, checkpoint_id)
            made_of = lineage(session, checkpoint)
        learned = made_of["preference_ids"]
        facts = [
            ("Base", made_of["base_id"] or "none"),
            ("Started from", made_of["started_from_id"] or "the initial model"),
            ("Preferences", f"{len(learned)}, ids {learned[0]} to {learned[-1]}" if learned else "none recorded"),
            ("Dataset", (made_of["dataset_digest"] or "")[:12]),
            *trained_share(checkpoint.metrics),
            ("Weights", f"{checkpoint.kind}, SHA-256 {checkpoint.digest[:12]}"),
        ]
        return facts, checkpoint.kind is not CheckpointKind.reward_model


def trained_share(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """How many parameters the run trained; nothing of runs that did not say."""
    trained, total = metrics.get("parameters/trainable"), metrics.get("parameters/all")
    if not trained or not total:
        return []
    return [("Trained", f"{trained:,.0f} of {total:,.0f} parameters ({trained / total:.2%})")]


def _curves(metrics: Series, config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Everything that is drawn of a run's own metrics."""
    return *run_figures(metrics), *reward_charts(metrics, config), *guards_chart(metrics)


def run_values(view: RunView) -> dict[str, Any]:
    """What the templates show of a run."""
    run = view.run
    return {
        "id": run.id,
        "outcome": view.outcome,
        "because": run.started_because,
        "dataset_note": run.dataset_note.rstrip("."),
        "stage": run.stage,
        "step": run.step,
        "total_steps": run.total_steps,
        "share": min(1.0, run.step / run.total_steps) if run.total_steps else 0.0,
        "elapsed_s": view.elapsed_s,
        "left_s": view.left_s,
        "stopping": run.cancel_requested,
        "waits": run.status in (RunStatus.queued, RunStatus.interrupted),
        "active": run.status in (RunStatus.running, RunStatus.evaluating),
        "pairs": run.pairs,
        "at": run.created_at,
        "error": run.error,
        "checkpoint_id": run.checkpoint_id,
        "why": _why(view),
    }


def _why(view: RunView) -> str:
    """The shortest account of how a run came out."""
    if view.run.error:
        return view.run.error
    if view.decision is None:
        return view.run.stage if view.run.finished_at is None else ""
    rate = view.decision.figures.get("win_rate")
    if view.decision.outcome == "promote" and rate:
        interval = rate["interval"]
        return f"{percent(rate['rate'])} ({percent(interval['low'])} to {percent(interval['high'])}), n {rate['n']}"
    return " ".join(view.decision.deciding)
