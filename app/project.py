"""One data directory is one project: its database, and the one initial model it is bound to.

Shared by the app and the commands, so it is free of torch.
"""

from pathlib import Path

from app.settings import Settings
from storage.checkpoints import record_project
from storage.database import Database
from storage.errors import Invalid
from trainer.sources import source_digest


def open_database(settings: Settings, *, begun: bool = False) -> Database:
    """The project's database, brought up to date; `begun` refuses a directory that has none yet."""
    if begun and not settings.database_url and not settings.database_file.exists():
        raise Invalid(
            f"There is no project in {settings.data_dir}.",
            hint="Name its folder with --data-dir, or begin one with `prefloop serve`.",
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url)
    database.migrate()
    return database


def bind_model(database: Database, *, initial_model: str, model_source: str) -> None:
    """Bind the project to its initial model, made its first checkpoint.

    Raises Conflict when it belongs to another one, Invalid when the model is not to be had.
    """
    try:
        digest = source_digest(model_source)
    except (OSError, ValueError) as error:
        raise Invalid(f"The model {initial_model!r} cannot be used: {error}.") from error
    name = Path(initial_model.rstrip("/")).name or initial_model
    with database.write() as session:
        record_project(session, initial_model=initial_model, name=name, digest=digest)
