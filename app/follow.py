"""Long work from the command line: a run followed to its end, two checkpoints compared, or judged."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from sqlmodel import Session

from app.judged_texts import CHOSEN, build_cases, chosen_texts, texts_of_file
from app.judging import JudgeOptions, judge_and_record, opened
from app.runs import Runs, RunView
from app.settings import Settings
from storage.checkpoints import INITIAL, get_checkpoint
from storage.database import Database
from storage.errors import Invalid
from storage.tables import FINAL, CheckpointKind
from trainer.launcher import Launcher, TrainerProcess


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
    from trainer.policy import load_policy

    initial = Side(INITIAL, load_policy(settings.model_source, device=settings.device))
    with database.read() as session:
        sides = [_side(session, settings, i, initial) for i in (candidate, baseline)]
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
    database: Database, settings: Settings, options: JudgeOptions, *, candidate: str, baseline: str, prompts: int
) -> dict[str, Any]:
    """A judge's verdicts on one unselected sample a side and held-out prompt, as plain data.

    The baseline is a checkpoint id, "initial", "chosen" for the data's chosen texts, or a file of outputs.
    """
    from trainer.evaluation.compare import Side, heldout_prompts
    from trainer.evaluation.samples import SAMPLES, sample
    from trainer.policy import load_policy

    with (
        opened(settings.data_dir, options, device=settings.device, base=settings.model_source) as bench,
        Progress(console=Console(stderr=True)) as progress,
    ):
        initial = Side(INITIAL, load_policy(settings.model_source, device=settings.device))
        chosen = heldout_prompts(database, initial.policy, count=prompts)
        bar = progress.add_task("loading", total=None)

        def tell(stage: str, step: int, total: int) -> None:
            progress.update(bar, description=stage, completed=step, total=total)

        def texts_of(checkpoint_id: str) -> dict[int, str]:
            with database.read() as session:
                side = _side(session, settings, checkpoint_id, initial)
            made = sample(
                side.policy,
                chosen,
                folder=settings.data_dir / "samples",
                on_progress=lambda step, total: tell(f"sampling {checkpoint_id}", step, total),
                should_stop=lambda: False,
            )
            return {prompt.id: made[i * SAMPLES].text for i, prompt in enumerate(chosen)}

        ours, file = texts_of(candidate), Path(baseline)
        if baseline == CHOSEN:
            theirs = chosen_texts(database)
        elif file.is_file():
            theirs = texts_of_file(file, {_asked(p.messages): p.id for p in chosen})
        else:
            theirs = texts_of(baseline)
        return judge_and_record(
            database,
            bench,
            build_cases(database, ours, theirs),
            candidate=candidate,
            baseline=f"file:{file.name}" if file.is_file() else baseline,
            tell=tell,
        )


def _asked(messages: Sequence[dict[str, str]]) -> str:
    """What a file of outputs calls a prompt: its last user turn."""
    return next((m["content"].strip() for m in reversed(messages) if m["role"] == "user"), "")


def _side(session: Session, settings: Settings, checkpoint_id: str, initial: Any) -> Any:
    from trainer.evaluation.compare import Side
    from trainer.policy import load_policy

    if checkpoint_id == INITIAL:
        return initial
    row = get_checkpoint(session, checkpoint_id)
    if row.kind is CheckpointKind.reward_model:
        raise Invalid(f"{checkpoint_id} is a reward model; it writes nothing that could be compared.")
    folder = settings.data_dir / row.source
    return Side(checkpoint_id, load_policy(folder, device=settings.device, base=settings.model_source))
