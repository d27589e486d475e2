"""`prefloop doctor`: the findings of app/doctor.py on the terminal, or as JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.checkpoints_command import DataDir
from app.settings import Settings

COLOURS = {"fine": "green", "worth knowing": "yellow", "wrong": "red"}


def add_doctor_command(cli: typer.Typer, settings_of: Callable[..., Settings]) -> None:
    """Add it to `cli`; `settings_of` makes settings of what was given on the command line."""

    @cli.command()
    def doctor(
        data_dir: DataDir = None,
        model: Annotated[str | None, typer.Option(help="Hub id or folder of the initial model.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Look for what could keep PrefLoop from working here, with remedies; status 1 where something is wrong."""
        from app.doctor import examine

        findings = list(examine(settings_of(data_dir=data_dir, model=model)))
        if as_json:
            typer.echo(json.dumps([asdict(one) for one in findings], indent=1))
        else:
            table = Table("check", "", "what was seen", "what to do")
            for one in findings:
                table.add_row(one.check, Text(one.state, style=COLOURS[one.state]), Text(one.seen), Text(one.remedy))
            Console().print(table)
        if any(one.state == "wrong" for one in findings):
            raise typer.Exit(1)
