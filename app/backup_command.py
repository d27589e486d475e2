"""`prefloop backup` and `prefloop restore`: one file for a whole project. The work is in storage/backups.py."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.checkpoints_command import DataDir
from app.settings import Settings
from storage.errors import Invalid


def add_backup_commands(cli: typer.Typer, settings_of: Callable[..., Settings]) -> None:
    """Add both to `cli`; `settings_of` makes settings of what was given on the command line."""

    @cli.command()
    def backup(
        file: Annotated[Path, typer.Argument(help="The file to write, which must not be there yet.")],
        data_dir: DataDir = None,
    ) -> None:
        """Write the whole project to one file, also while the app runs.

        For example: prefloop backup monday.tar
        """
        from storage.backups import back_up

        settings = settings_of(data_dir=data_dir)
        if settings.database_url:
            raise Invalid(
                "The choices are in the database of PREFLOOP_DATABASE_URL, which this does not copy.",
                hint=f"Use pg_dump for it, and copy {settings.data_dir}.",
            )
        with _progress("backing up") as told:
            count = back_up(settings.data_dir, file, on_progress=told)
        typer.echo(f"{count} files in {file}, {file.stat().st_size / 1e6:.1f} MB")

    @cli.command()
    def restore(
        file: Annotated[Path, typer.Argument(help="What `prefloop backup` wrote.")],
        data_dir: DataDir = None,
    ) -> None:
        """Make a project of a backup, in a folder that is empty or not there yet.

        For example: prefloop restore monday.tar --data-dir restored
        """
        from storage.backups import restore as restore_file

        settings = settings_of(data_dir=data_dir)
        with _progress("restoring") as told:
            count = restore_file(file, settings.data_dir, on_progress=told)
        typer.echo(
            f"{count} files in {settings.data_dir}; start it with: prefloop serve --data-dir {settings.data_dir}"
        )


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, where there is one."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)
