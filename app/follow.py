"""Long work from the command line: a run followed to its end, two checkpoints compared, or judged."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn

from app.runs import Runs, RunView
from app.settings import Settings
from storage.checkpoints import INITIAL
from storage.database import Database
from storage.errors import Invalid, Unavailable
from storage.tables import FINAL, Evaluation, RunStatus
from trainer.launcher import Launcher, TrainerProcess
from trainer.reporter import Stopped

if TYPE_CHECKING:
    from trainer.evaluation.judges.budget import Estimate
    from trainer.evaluation.judges.opening import JudgeOptions


def follow_run(runs: Runs, launcher: Launcher, run_id: str) -> str:
    """Train the run in a child process (a running app may have taken it already) and show its progress.

    Returns its final status. Ctrl-C asks it to save and stop.
    """
    process: TrainerProcess | None = None
    columns = (TextColumn("{task.description}"), *Progress.get_default_columns()[1:3], TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("waiting", total=None)
        try:
            while (view := runs.get(run_id)).run.status not in FINAL:
                if process is None and view.run.pid is None and runs.active() is None:
                    process = launcher.launch(run_id)
                elif process is not None and not process.alive() and view.run.pid in (None, process.pid):
                    raise Invalid(f"The trainer of {run_id} {process.how_it_ended()}.", hint=_where(launcher, run_id))
                run = view.run
                progress.update(
                    bar, description=run.stage or run.status, completed=run.step, total=run.total_steps or None
                )
                time.sleep(0.5)
        except KeyboardInterrupt:
            runs.cancel(run_id)
            progress.console.print("stopping: it saves first")
            if process is not None:
                process.terminate()
                process.wait(timeout_s=60)
    _print_end(runs, view, launcher)
    return str(view.run.status)


def _where(launcher: Launcher, run_id: str) -> str:
    return f"Its log: {launcher.data_dir / 'runs' / run_id / 'log'}"


def _print_end(runs: Runs, view: RunView, launcher: Launcher) -> None:
    view = runs.get(view.run.id)
    print(f"{view.run.id}: {view.outcome}")
    if view.run.error:
        print(f"  {view.run.error} {_where(launcher, view.run.id)}")
    for reason in view.decision.reasons if view.decision else ():
        print(f"  {reason}")


def evaluate_checkpoint(
    database: Database, settings: Settings, *, candidate: str, baseline: str, prompts: int
) -> dict[str, Any]:
    """Guards and preference model of all choices so far, candidate against baseline, as plain data."""
    from trainer.dataset import all_choices
    from trainer.evaluation.compare import Comparer, Side, heldout_prompts
    from trainer.evaluation.judged_texts import load_side
    from trainer.policy import load_policy

    initial = Side(INITIAL, load_policy(settings.model_source, device=settings.device))
    sides = [
        load_side(
            database,
            checkpoint_id,
            initial,
            data_dir=settings.data_dir,
            model_source=settings.model_source,
            device=settings.device,
        )
        for checkpoint_id in (candidate, baseline)
    ]
    with database.read() as session:
        data = all_choices(session, initial.policy)
    with Progress() as progress:
        bar = progress.add_task("loading", total=None)
        comparer = Comparer(
            initial=initial,
            samples_folder=settings.data_dir / "samples",
            tell=lambda stage, step, total: progress.update(bar, description=stage, completed=step, total=total),
            should_stop=lambda: False,
        )
        chosen = heldout_prompts(database, initial.policy, count=prompts)
        compared = comparer.compare(*sides, data=data, prompts=chosen)
    decision = compared.decision
    return {
        "candidate": candidate,
        "baseline": baseline,
        "prompts": len(chosen),
        "outcome": str(decision.outcome),
        "reasons": decision.reasons,
        "guards": [asdict(g) for g in decision.guards],
        **compared.figures(),
    }


def judge_checkpoint(
    database: Database, settings: Settings, options: "JudgeOptions", *, candidate: str, baseline: str, prompts: int
) -> dict[str, Any]:
    """A judge's verdicts, stored as an evaluation, as plain data. Ctrl-C stores the calls under way first.

    Raises Unavailable where it was stopped; the same call goes on from there.
    """
    from trainer.evaluation.judged_rows import record_finished
    from trainer.evaluation.judging import Place, evaluate_by_judge

    place = Place(settings.data_dir, settings.model_source, settings.device)
    with Progress(console=Console(stderr=True)) as progress, _stopping() as stop:
        told = _OnTerminal(progress, stop, options.budget)
        try:
            finished = evaluate_by_judge(
                database, place, options, candidate=candidate, baseline=baseline, prompts=prompts, told=told
            )
        except Stopped as error:
            why = str(error).rstrip(".")
            raise Unavailable(f"Not finished: {why}.", hint="The same call goes on from there.") from error
    figures = finished.figures
    row = Evaluation(candidate_id=candidate, baseline=figures["baseline"], status=RunStatus.succeeded)
    with database.write() as session:
        return {**figures, "evaluation": record_finished(session, finished, row)}


class _OnTerminal:
    """An evaluation's progress as a bar, and its estimate as one line, both on stderr."""

    def __init__(self, progress: Progress, stop: Event, budget: float | None) -> None:
        self._progress, self._stop, self._budget = progress, stop, budget
        self._bar = progress.add_task("loading", total=None)

    def stage(self, stage: str, step: int, total: int) -> None:
        self._progress.update(self._bar, description=stage, completed=step, total=total or None)

    def estimated(self, prompts: int, left: "Estimate") -> None:
        line = f"{prompts} prompts, {left.calls} calls to make"
        if left.input_tokens:
            line += f": about {left.input_tokens} tokens to read, at most {left.output_tokens} to write"
        if left.most:
            line += f", about {left.cost:.2f} and at most {left.most:.2f} without retries"
            line += f"; the budget is {self._budget:g}" if self._budget is not None else "; no budget is set"
        print(line, file=sys.stderr, flush=True)

    def should_stop(self) -> bool:
        return self._stop.is_set()


@contextmanager
def _stopping() -> Iterator[Event]:
    """Ctrl-C sets the event, so that calls under way are still stored; the second one ends at once."""
    stop = Event()

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("stopping: replies under way are stored first", file=sys.stderr, flush=True)
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
