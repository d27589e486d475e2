"""The project's one initial model, and what a checkpoint was made of."""

from collections.abc import Callable

import pytest

from storage.checkpoints import lineage, record_checkpoint, record_project
from storage.database import Database
from storage.errors import Conflict
from storage.tables import Checkpoint, CheckpointKind


def begin(database: Database, model: str = "starter", digest: str = "a" * 64) -> str:
    with database.write() as session:
        _, initial = record_project(session, initial_model=model, name="starter", digest=digest)
        return initial.id


def test_a_directory_keeps_its_initial_model_over_restarts(database: Database) -> None:
    assert begin(database) == begin(database) == "initial"


def test_another_initial_model_is_refused_with_the_remedy(database: Database) -> None:
    begin(database)
    with pytest.raises(Conflict, match="begun with 'starter', not 'other'") as error:
        begin(database, "other")
    assert "PREFLOOP_DATA_DIR" in error.value.hint


def test_changed_weights_under_the_same_name_are_refused(database: Database) -> None:
    begin(database)
    with pytest.raises(Conflict, match="weights at 'starter' have changed"):
        begin(database, digest="b" * 64)


def test_a_checkpoint_names_every_preference_it_learned_from_once(
    database: Database, compare: Callable[..., str], choose: Callable[..., int]
) -> None:
    numbers = [choose(compare(f"{n}?")) for n in range(3)]
    row = Checkpoint(id="dpo-0001", name="dpo-0001", kind=CheckpointKind.adapter, source="x", digest="c" * 64)
    with database.write() as session:
        made = record_checkpoint(session, checkpoint=row, preference_ids=[numbers[2], numbers[0], numbers[2]])
        assert lineage(session, made)["preference_ids"] == [numbers[0], numbers[2]]
