"""The `prefloop` command. Each command is a thin reader of its arguments; the work is in the modules it calls."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

# before torch is loaded by any command: one steady thread beside the trainer's, no look-ups of ours on the network
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from app import checkpoints_command, starter_command, statistics, win_rates_command
from app.backup_command import add_backup_commands
from app.checkpoints_command import DataDir
from app.doctor_command import add_doctor_command
from app.judged_table import print_judged
from app.settings import Settings
from storage.errors import Invalid, PrefLoopError

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Label, train, gate, serve: one loop.")
cli.add_typer(starter_command.starter, name="starter")
cli.command()(statistics.statistics)
cli.command("win-rates")(win_rates_command.win_rates)

Model = Annotated[str | None, typer.Option(help="Hub id or folder of the initial model; default: the starter.")]


def main() -> None:
    """Entry point: an expected failure is one line on stderr and status 1."""
    try:
        cli()
    except PrefLoopError as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(1)


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = [(str(e["loc"][0]), e["input"], e["msg"]) for e in error.errors()]
        told = "; ".join(f"{name} (PREFLOOP_{name.upper()}) is {value!r}: {why}" for name, value, why in wrong)
        raise Invalid(f"The settings cannot be used: {told}.") from error


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default PREFLOOP_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default PREFLOOP_PORT or 7860.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Serve the web app: label, chat, train, win rates."""
    from app.serve import serve as run

    run(_settings(host=host, port=port, data_dir=data_dir, model=model))


@cli.command()
def train(
    algorithm: Annotated[str, typer.Argument(help="Its name in docs/algorithms.md, as dpo; a wrong one lists all.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="field=value of its config; repeatable.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Queue a run and train it here, unless a running app takes it first; follows it to its end."""
    from app.follow import follow_run
    from app.project import bind_model, open_database
    from app.runs import Runs
    from trainer.launcher import Launcher

    settings = _settings(data_dir=data_dir, model=model)
    database = open_database(settings)
    bind_model(database, initial_model=settings.initial_model, model_source=settings.model_source)
    runs = Runs(
        database,
        data_dir=settings.data_dir,
        auto_train=settings.auto_train,
        starter=settings.serves_starter,
        reward_models=settings.listed_reward_models,
    )
    run = runs.start(algorithm=algorithm, config=_fields(set_ or []), by="prefloop train")
    launcher = Launcher(
        data_dir=settings.data_dir,
        database_url=settings.url,
        model_source=settings.model_source,
        device=settings.device,
        gate_prompts=settings.gate_prompts,
        gate=settings.gate,
        reward_functions=settings.allowed_rewards,
        processes=settings.trainer_processes,
    )
    ended = follow_run(runs, launcher, run.id)
    sys.exit(0 if ended == "succeeded" else 1)


@cli.command()
def evaluate(
    candidate: Annotated[str, typer.Argument(help="Checkpoint id, as in `prefloop checkpoints`.")],
    baseline: Annotated[
        str,
        typer.Option(
            help="Another checkpoint id, or initial; with --judge chosen, outside:MODEL, or a file of outputs too."
        ),
    ] = "initial",
    prompts: Annotated[int, typer.Option(min=8, max=300, help="How many held-out prompts.")] = 300,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="starter, similarity, a folder, a hub id or http://HOST/v1#MODEL; repeatable: a panel."),
    ] = None,
    rubric: Annotated[str, typer.Option(help="Its rubric: a name of the project's, NAME@HASH, or a file.")] = "helpful",
    way: Annotated[
        str, typer.Option(help="auto; local: word, reasons; server: json, choice, logprobs, text.")
    ] = "auto",
    rule: Annotated[str, typer.Option(help="A panel's rule: majority, mean or unanimous.")] = "majority",
    orders: Annotated[str, typer.Option(help="both, or one: half the calls, with the position bias left in.")] = "both",
    price: Annotated[tuple[float, float], typer.Option(help="What a million tokens cost, read and written.")] = (
        0.0,
        0.0,
    ),
    budget: Annotated[float | None, typer.Option(min=0, help="Stop before more than this is spent.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls to a server at once.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Compare two checkpoints on held-out prompts: guards, and the preference model of all choices so far.

    With --judge, its verdicts instead, each pair shown in both orders (docs/judges.md).
    """
    from app.follow import evaluate_checkpoint, judge_checkpoint
    from app.project import bind_model, open_database

    settings = _settings(data_dir=data_dir, model=model)
    database = open_database(settings, begun=True)
    bind_model(database, initial_model=settings.initial_model, model_source=settings.model_source)
    if judge:
        from trainer.evaluation.judges.opening import JudgeOptions

        key = settings.judge_key
        options = JudgeOptions(judge, rubric, way, rule, orders, price, budget, concurrency, key)  # type: ignore[arg-type]
        print_judged(
            judge_checkpoint(database, settings, options, candidate=candidate, baseline=baseline, prompts=prompts),
            as_json=as_json,
        )
        return
    compared = evaluate_checkpoint(database, settings, candidate=candidate, baseline=baseline, prompts=prompts)
    if as_json:
        print(json.dumps(compared, indent=1))
        return
    table = Table("guard", "holds", "what was seen", title=f"{candidate} against {baseline}")
    for guard in compared["guards"]:
        table.add_row(guard["name"], "yes" if guard["passed"] else "NO", guard["reason"])
    Console().print(table)
    for reason in compared["reasons"]:
        print(reason)


@cli.command()
def simulate(
    rule: Annotated[str, typer.Option(help="A named rule, not-RULE, or package.module:function.")],
    labels: Annotated[int, typer.Option(min=1, help="How many comparisons to label.")] = 100,
    url: Annotated[str, typer.Option(help="Where PrefLoop is served.")] = "",
    completions: Annotated[int, typer.Option(min=1, help="How many to measure on, before and after.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the measured completions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Label over the REST API by a rule, wait for the run it triggers, print what changed."""
    from app.simulation import Simulation
    from trainer.starter.check import find_rule

    try:
        found = find_rule(rule)
    except (ValueError, LookupError) as error:
        raise Invalid(str(error)) from error
    settings = _settings()
    simulation = Simulation(
        url or f"http://{settings.host}:{settings.port}",
        token=settings.token,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    result = simulation.run(found, labels=labels, completions=completions, seed=seed)
    if as_json:
        print(json.dumps(result.as_dict(), indent=1))
        return
    table = Table("", "before", "after", title=f"{rule}: {labels} labels, {result.decided} decided")
    b, a = result.before, result.after
    table.add_row("checkpoint", b.checkpoint_id, a.checkpoint_id)
    table.add_row(f"satisfy the rule (n {b.n})", f"{b.share:.1%}", f"{a.share:.1%}")
    if b.right is not None and a.right is not None:
        table.add_row(f"right (n {b.right_n})", f"{b.right:.1%}", f"{a.right:.1%}")
    table.add_row("well-formed", f"{b.well_formed:.1%}", f"{a.well_formed:.1%}")
    table.add_row("mean length, characters", f"{b.mean_length:.0f}", f"{a.mean_length:.0f}")
    Console().print(table)
    gate = result.run["gate"] or {"outcome": "no decision", "reasons": []}
    print(f"{result.run['id']}: {gate['outcome']} after {result.seconds:.0f} s")
    for reason in gate["reasons"]:
        print(f"  {reason}")


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file; .gz is read as it is.")],
    format: Annotated[str, typer.Option(help="prompts, trl, hh-rlhf or alpaca-eval (outputs of another model).")],
    split: Annotated[str | None, typer.Option(help="train, validation or heldout; default: by group.")] = None,
    offered: Annotated[bool, typer.Option("--offered", help="Put its prompts before people too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file whole for one bad row.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Import prompts, preferences, or another model's outputs. Bad rows are told with their line and left out."""
    from app.project import open_database
    from storage.outside import outside_baseline
    from storage.tables import Split
    from storage.transfer import import_file

    report = import_file(
        open_database(_settings(data_dir=data_dir)),
        path_or_stream=file,
        format=format,
        name=file.name,
        split=_split(split, Split),
        strict=strict,
        offered=offered,
    )
    for skipped in report.skipped:
        print(f"line {skipped.line}: skipped: {skipped.reason}")
    print(f"{report.rows} rows: {report.added} added, {len(report.skipped)} skipped")
    for model, prompts in report.models.items():
        print(f"{model}: texts for {prompts} held-out prompts, --baseline {shlex.quote(outside_baseline(model))}")


def _split(name: str | None, kind: Any) -> Any:
    if name is not None and name not in set(kind):
        raise Invalid(f"There is no split {name!r}.", hint=f"Use one of {', '.join(kind)}.")
    return None if name is None else kind(name)


@cli.command()
def export(
    format: Annotated[str, typer.Option(help="prompts, trl or hh-rlhf.")],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    data_dir: DataDir = None,
) -> None:
    """Export prompts or preferences as JSONL."""
    from app.project import open_database
    from storage.transfer import export as export_rows

    partial = output.with_name(output.name + ".part")
    rows = 0
    with open_database(_settings(data_dir=data_dir), begun=True).read() as session:
        lines = export_rows(session, format=format)
        try:
            with partial.open("wb") as file:
                for line in lines:
                    file.write(line)
                    rows += line.count(b"\n")
            partial.replace(output)
        except OSError as error:
            raise Invalid(f"{output} cannot be written: {error.strerror}.") from error
        finally:
            partial.unlink(missing_ok=True)
    print(f"{rows} rows in {output}")


def _fields(given: list[str]) -> dict[str, Any]:
    """`beta=0.2` as {"beta": 0.2}: values are JSON where they parse as it, else text."""
    values: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise Invalid(f"{item!r} is not field=value.", hint="For example --set beta=0.2.")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


cli.add_typer(checkpoints_command.checkpoints_command(_settings), name="checkpoints")
add_backup_commands(cli, _settings)
add_doctor_command(cli, _settings)
