"""The Win rates tab's form for a judge, or people: two sides, a judge, its rubric, how many prompts; what it takes; how
it goes.

The button starts exactly what the estimate above it was made for: it carries those values, not what the fields hold by
then. While one waits or runs, the page asks every second; the progress is a component of its own, so that the list with
its Stop stays as it is and keeps the focus. Leaves out the rules (app/evaluations.py).
"""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.baselines import baseline_name, writes_itself
from app.evaluations import LEAST_PROMPTS, EvaluationView
from app.overview import checkpoint_names
from app.ui.actions import Payload, bind, int_of, text_of
from app.ui.html import loading, render
from storage.checkpoints import INITIAL
from storage.errors import Invalid, NotFound
from storage.tables import RunStatus
from trainer.evaluation.judged_texts import CHOSEN, MOST_PROMPTS
from trainer.evaluation.judges.opening import RUBRIC

if TYPE_CHECKING:
    from app.main import Application

SHOWN = 4  # evaluations, newest first
WAITING = (RunStatus.queued, RunStatus.running)


class EvaluateForm:
    """Handlers of the form; nothing of it is kept between two calls."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def build(self) -> None:
        with gr.Column(elem_classes="card listing"):
            form = gr.HTML(elem_id="evaluate-form", apply_default_css=False)
            plan = gr.HTML(elem_id="evaluate-plan", apply_default_css=False)
            progress = gr.HTML(elem_id="evaluation-progress", apply_default_css=False)
            states = gr.HTML(elem_id="evaluations", apply_default_css=False)
            bind("show-win-rates", self.show, [form, plan, progress, states])
            bind("plan-evaluation", self.plan, [plan])
            bind("start-evaluation", self.start, [plan, progress, states])
            bind("stop-evaluation", self.stop, [progress, states])
            bind("refresh-evaluations", self.refresh, [progress, states])

    def show(self, _: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), "", "", ""
        evaluations = self._application.evaluations
        sides, judges = evaluations.sides(), evaluations.judges()
        form = render(
            "evaluate_form.html",
            sides=sides,
            outside=[one for one in evaluations.baselines() if one.kind == "outside"],
            judges=judges,
            rubrics=[one.name for one in self._application.rubrics.list() if one.rubric],
            rubric=RUBRIC,
            least=LEAST_PROMPTS,
            most=MOST_PROMPTS,
            chosen=CHOSEN,
        )
        first = {"candidate": sides[0].id, "baseline": CHOSEN if sides[0].id == INITIAL else INITIAL}
        if len(evaluations.baselines()) == 1:  # nothing to hold it against yet, which is nobody's mistake
            return form, render("evaluate_plan.html", plan=None, asked={}, problem="", alone=True), *self._states()
        return form, self._plan({**first, "judge": judges[0].name, "prompts": str(MOST_PROMPTS)}), *self._states()

    def plan(self, payload: Payload, request: gr.Request) -> str:
        return self._plan(payload)

    def start(self, payload: Payload, request: gr.Request) -> tuple[str, str, str]:
        view, new = self._application.evaluations.start(**self._asked(payload))
        gr.Info("The evaluation is queued." if new else f"This evaluation is {view.evaluation.status} already.")
        return self._plan(payload), *self._states()

    def stop(self, payload: Payload, request: gr.Request) -> tuple[str, str]:
        self._application.evaluations.cancel(int_of(payload, "evaluation"))
        return self._states()

    def refresh(self, _: Payload, request: gr.Request) -> tuple[str, str]:
        return self._states()

    def _plan(self, payload: Payload) -> str:
        """What it takes, with the button that starts it; or why it cannot be started, and no button."""
        try:
            asked = self._asked(payload)
            plan = self._application.evaluations.plan(**asked)
        except (Invalid, NotFound) as error:
            return render("evaluate_plan.html", plan=None, asked={}, problem=str(error), alone=False)
        pin = plan.rubric.pin if plan.rubric else ""  # the button starts this version, whoever edits it meanwhile
        return render("evaluate_plan.html", plan=plan, asked=asked | {"rubric": pin}, problem="", alone=False)

    def _asked(self, payload: Payload) -> dict[str, Any]:
        """Of the form: texts as they are, the number checked by app/evaluations.py; the rubric only for a judge that
        goes by one, because the field always says something. Raises Invalid for no number."""
        given = text_of(payload, "prompts")
        if not given.isdecimal():
            raise Invalid(f"{given!r} is no number of prompts.", hint=f"Take {LEAST_PROMPTS} to {MOST_PROMPTS}.")
        asked = {name: text_of(payload, name) for name in ("candidate", "baseline", "judge")}
        by_rubric = any(one.name == asked["judge"] and one.by_rubric for one in self._application.evaluations.judges())
        rubric = text_of(payload, "rubric") or None if by_rubric else None
        return {**asked, "prompts": int(given), "rubric": rubric}

    def _states(self) -> tuple[str, str]:
        """(progress of the running one, all of them)."""
        with self._application.database.read() as session:
            names = checkpoint_names(session)
        found = [_values(view, names) for view in self._application.evaluations.newest(limit=SHOWN)]
        running = next((one for one in found if one["status"] is RunStatus.running), None)
        listed = render("evaluations.html", evaluations=found, live=any(one["waiting"] for one in found))
        return render("evaluation_progress.html", e=running), listed


def _values(view: EvaluationView, names: dict[str, str]) -> dict[str, Any]:
    """What a line of the list says."""
    one = view.evaluation
    total = one.total_steps
    return {
        "id": one.id,
        "title": f"{names.get(one.candidate_id, one.candidate_id)} against {baseline_name(one.baseline, names)}",
        "judge": view.judge,
        "rubric": view.rubric,
        "status": one.status,
        "waiting": one.status in WAITING,
        "before_people": one.status is RunStatus.evaluating,
        "people": view.people,
        "item": f"{one.candidate_id}:{one.baseline}",
        "charted": one.candidate_id != INITIAL,
        "stopping": one.cancel_requested and one.status in WAITING,
        "stage": one.stage,
        "step": one.step,
        "total": total,
        "share": one.step / total if total else 0.0,
        "left_s": view.left_s,
        "estimate": one.config.get("estimate"),
        "rate": view.rate,
        "verdicts": view.verdicts,
        "prompts": sum(view.verdicts.values()),
        "alarms": one.config.get("alarms", []),
        "stored": one.config.get("calls", {}).get("stored"),
        "error": one.error,
        "against": _against(one.baseline),
        "judge_id": one.judge_id,
        "at": one.finished_at or one.created_at,
    }


def _against(baseline: str) -> str:
    """On which of the chart's views its point is."""
    if baseline == INITIAL:
        return "initial"
    file = baseline.startswith("file:")  # of the command line
    return "previous" if writes_itself(baseline) and not file else "texts"
