"""`prefloop checkpoints`: what there is and what the gate said; `export` writes one for the world outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.settings import Settings

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="This project's folder; default PREFLOOP_DATA_DIR.")]


def checkpoints_command(settings_of: Callable[..., Settings]) -> typer.Typer:
    """The commands; `settings_of` makes settings of what was given on the command line."""
    checkpoints = typer.Typer(invoke_without_command=True, help="List checkpoints, or export one.")

    @checkpoints.callback()
    def list_all(context: typer.Context, data_dir: DataDir = None) -> None:
        """List checkpoints with their gate's outcome; the served one is marked. `export` writes one elsewhere."""
        context.obj = data_dir
        if context.invoked_subcommand is None:
            _list(settings_of(data_dir=data_dir))

    @checkpoints.command("export")
    def export(
        context: typer.Context,
        checkpoint: Annotated[str, typer.Argument(help="Its id, as the list has it, or initial.")],
        folder: Annotated[Path, typer.Argument(help="The folder to write, which must not be there yet.")],
        data_dir: DataDir = None,
    ) -> None:
        """Write a checkpoint, its adapter merged, as a folder that transformers loads, with a model card.

        For example: prefloop checkpoints export dpo-0001 ./my-model
        """
        from app.checkpoint_export import export_checkpoint
        from app.project import open_database

        settings = settings_of(data_dir=data_dir or context.obj)
        export_checkpoint(
            open_database(settings, begun=True),
            checkpoint,
            folder,
            data_dir=settings.data_dir,
            model_source=settings.model_source,
            device=settings.device,
        )
        typer.echo(f"{checkpoint} in {folder}; AutoModelForCausalLM.from_pretrained({str(folder)!r}) loads it")

    return checkpoints


def _list(settings: Settings) -> None:
    from app.project import open_database
    from storage.checkpoints import count_learned, list_checkpoints
    from storage.deployments import current_deployment
    from storage.evaluations import gate_decision_of

    table = Table("", "id", "kind", "from", "preferences", "gate", "made")
    with open_database(settings, begun=True).read() as session:
        served = current_deployment(session)
        for row in list_checkpoints(session):
            decision = gate_decision_of(session, row.id)
            table.add_row(
                "served" if served and served.checkpoint_id == row.id else "",
                row.id,
                row.kind,
                row.started_from_id or row.source,
                str(count_learned(session, row.id)),
                decision.outcome if decision else "",
                f"{row.created_at:%Y-%m-%d %H:%M}",
            )
    Console().print(table)
