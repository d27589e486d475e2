"""The Train tab: the run under way, the next one, every run so far with its reasons, and what was served when.

The page asks again every two seconds while this tab is shown; equal HTML and equal charts change nothing in the
browser, so nothing flickers and what a person has scrolled or typed stays. A run's details are in run_detail.py.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.overview import checkpoint_names
from app.ui import run_form
from app.ui.actions import Payload, bind, labeller, text_of
from app.ui.charts import run_figures
from app.ui.html import loading, render
from app.ui.run_detail import RunDetail, run_values
from storage.deployments import LedgerEntry
from storage.tables import DeploymentReason, RunStatus
from storage.transfer.exporting import labeller_name
from trainer.configs import ALGORITHMS

if TYPE_CHECKING:
    from app.main import Application

LOG_LINES = 6


class TrainTab:
    """Handlers of the tab; what they show is worked out in run_detail.py and run_form.py."""

    def __init__(self, application: "Application") -> None:
        self._application = application
        self._detail = RunDetail(application)

    def build(self) -> None:
        with gr.Column(elem_id="page-train", elem_classes="page"):
            self._detail.build()
            with gr.Row(elem_classes="split wide-left listing"):
                with gr.Column(elem_classes="stack"):
                    with gr.Column(elem_classes="card"):
                        running = gr.HTML(elem_id="running", apply_default_css=False)
                        with gr.Row(elem_classes="curves"):
                            loss = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                            margin = gr.Plot(show_label=False, visible=False, container=False, elem_classes="chart")
                        log = gr.HTML(elem_id="log", apply_default_css=False)
                    runs = gr.HTML(elem_id="runs", elem_classes="card", apply_default_css=False)
                    ledger = gr.HTML(elem_id="ledger", elem_classes="card", apply_default_css=False)
                with gr.Column(elem_classes="stack"):
                    form = gr.HTML(elem_id="next-run", elem_classes="card", apply_default_css=False)
                    schedule = gr.HTML(elem_id="schedule", elem_classes="card", apply_default_css=False)
            shown = [running, loss, margin, log, runs, ledger]
            bind("refresh-train", self.refresh, shown)
            bind("show-train", self.forms, [form, schedule])
            bind("pick-algorithm", self.pick, [form])
            bind("start-run", self.start, [*shown, form, schedule])
            bind("stop-run", self.stop, shown)
            bind("set-schedule", self.set_schedule, [schedule])
            bind("promote", self.promote, shown)
            bind("roll-back", self.roll_back, shown)

    def refresh(self, _: Payload, request: gr.Request) -> tuple[Any, ...]:
        if not self._application.ready:
            return loading(self._application), *[gr.skip()] * 5
        return self._shown()

    def forms(self, _: Payload, request: gr.Request) -> tuple[str, str]:
        if not self._application.ready:
            state = loading(self._application)
            return state, state
        return self._form(self._application.runs.schedule().algorithm), self._schedule()

    def pick(self, payload: Payload, request: gr.Request) -> str:
        return self._form(text_of(payload, "algorithm"))

    def start(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        """Queue a run with the settings typed, or keep them for scheduled runs; bad ones are told at their fields."""
        algorithm, runs = text_of(payload, "algorithm"), self._application.runs
        runs.check(algorithm, None)
        config = run_form.typed(algorithm, payload)
        problems = run_form.problems(algorithm, config)
        if problems:
            return *[gr.skip()] * 6, self._form(algorithm, config, problems), gr.skip()
        if text_of(payload, "do") == "schedule":
            runs.set_schedule({"algorithm": algorithm, "config": config})
            gr.Info(f"Scheduled runs now train {algorithm} with these settings.")
        else:
            run = runs.start(algorithm=algorithm, config=config, by=labeller_name(labeller(request)))
            gr.Info(f"{run.id} is queued.")
        return *self._shown(), self._form(algorithm, config), self._schedule()

    def stop(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        self._application.runs.cancel(text_of(payload, "run"))
        return self._shown()

    def set_schedule(self, payload: Payload, request: gr.Request) -> str:
        given = {name: text_of(payload, name) for name in ("new_preferences", "cron", "after_gate")}
        self._application.runs.set_schedule(given)
        gr.Info("The schedule is saved and in effect.")
        return self._schedule()

    def promote(self, payload: Payload, request: gr.Request) -> tuple[Any, ...]:
        checkpoint = text_of(payload, "checkpoint")
        _, new = self._application.promotion.promote(checkpoint, by=labeller_name(labeller(request)))
        self._tell_served(checkpoint, new)
        return self._shown()

    def roll_back(self, _: Payload, request: gr.Request) -> tuple[Any, ...]:
        deployment = self._application.promotion.roll_back(by=labeller_name(labeller(request)))
        self._tell_served(deployment.checkpoint_id, True)
        return self._shown()

    def _tell_served(self, checkpoint: str, new: bool) -> None:
        serving = self._application.promotion.serving()
        if serving is not None and serving.checkpoint.id == checkpoint:
            gr.Info(f"{checkpoint} is served{'' if new else ' already'}.")
        else:
            gr.Warning(f"{checkpoint} could not be served; the reason stands under Served so far.")

    def _shown(self) -> tuple[Any, ...]:
        application = self._application
        listed = application.runs.list()
        active = application.runs.active()
        queued = next((v.run.id for v in listed if v.run.status is RunStatus.queued), None)
        running = render(
            "running.html",
            run=run_values(active) if active else None,
            queued=queued,
            left=application.runs.choices_until_next(),
        )
        charts = run_figures(application.runs.metrics(active.run.id) if active else {})
        lines = application.runs.log_lines(active.run.id, last=LOG_LINES) if active else []
        waiting = application.promotion.waiting_for_person()
        asks = application.runs.schedule().after_gate == "ask"
        runs = render("runs.html", runs=[run_values(v) for v in listed], waiting=waiting if asks else None, current="")
        return running, *charts, render("log.html", lines=lines), runs, self._ledger()

    def _form(
        self, algorithm: str, typed: dict[str, Any] | None = None, problems: Mapping[str, str] | None = None
    ) -> str:
        """The form with what was typed, or else with the settings of scheduled runs."""
        schedule = self._application.runs.schedule()
        self._application.runs.check(algorithm, None)
        scheduled = schedule.config if algorithm == schedule.algorithm else {}
        problems = problems or {}
        main, more = run_form.fields(algorithm, scheduled if typed is None else typed, problems)
        placed = {field.name for field in (*main, *more)}
        return render(
            "next_run.html",
            algorithms=list(ALGORITHMS),
            algorithm=algorithm,
            about=run_form.about(algorithm),
            main=main,
            more=more,
            others=[told for name, told in problems.items() if name not in placed],
        )

    def _schedule(self) -> str:
        return schedule_html(self._application, where="train")

    def _ledger(self) -> str:
        promotion = self._application.promotion
        ledger = promotion.ledger(limit=20)
        serving = next((e.deployment.id for e in ledger if e.state == "serving"), None)
        with self._application.database.read() as session:
            names = checkpoint_names(session)
        entries = [
            {
                "name": names[e.deployment.checkpoint_id],
                "reason": e.deployment.reason,
                "by": e.deployment.by,
                "at": e.deployment.created_at,
                "state": "served" if e.state == "serving" and e.deployment.id != serving else e.state,
                "detail": _detail(e),
            }
            for e in ledger
        ]
        return render("ledger.html", entries=entries, back=promotion.roll_back_target())


def _detail(entry: LedgerEntry) -> str:
    """Why it failed, or why nobody was asked before it was rolled back."""
    failed = next((event.detail for event in reversed(entry.events) if event.event == "failed"), "")
    return failed or (entry.deployment.note if entry.deployment.reason is DeploymentReason.canary else "")


def schedule_html(application: "Application", *, where: str) -> str:
    """The schedule's form; `where` tells the ids of its two places on the page apart."""
    schedule = application.runs.schedule()
    changed = ", ".join(f"{name} {value}" for name, value in schedule.config.items())
    return render(
        "schedule.html",
        schedule=schedule,
        changed=changed,
        auto_train=application.settings.auto_train,
        where=where,
    )
