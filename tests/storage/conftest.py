"""Rows that several tests need: a prompt, two completions, a comparison, a choice."""

from collections.abc import Callable

import pytest

from storage.checkpoints import record_checkpoint
from storage.comparisons import record_comparison
from storage.database import Database
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.tables import Checkpoint, CheckpointKind, Choice, Completion, Purpose, Split

Compare = Callable[..., str]


@pytest.fixture
def compare(database: Database) -> Compare:
    """Makes a comparison of two texts; gives its id."""

    def make(
        question: str = "Name a colour.",
        left: str = "Blue.",
        right: str = "Colours are many.",
        *,
        split: Split = Split.train,
        purpose: Purpose = Purpose.train,
        checkpoints: tuple[str | None, str | None] = (None, None),
        generation: int = 0,
        system: str = "",
    ) -> str:
        messages = [{"role": "system", "content": system}] if system else []
        with database.write() as session:
            prompt = record_prompt(
                session, messages=[*messages, {"role": "user", "content": question}], source="starter", split=split
            )
            assert prompt.id is not None
            return record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, text=left, checkpoint_id=checkpoints[0]),
                right=Completion(prompt_id=prompt.id, text=right, checkpoint_id=checkpoints[1]),
                purpose=purpose,
                generation=generation,
            ).id

    return make


@pytest.fixture
def choose(database: Database) -> Callable[..., int]:
    """Records a choice; gives the preference's id."""

    def record(comparison_id: str, choice: Choice = Choice.left, *, labeller: str = "ann", client_id: str = "") -> int:
        with database.write() as session:
            preference, _ = record_preference(
                session,
                comparison_id=comparison_id,
                labeller_id=labeller,
                choice=choice,
                client_id=client_id or f"{labeller}-{comparison_id}-{choice}",
            )
            assert preference.id is not None
            return preference.id

    return record


@pytest.fixture
def chosen_here(compare: Compare, choose: Callable[..., int]) -> None:
    choose(compare(system="Be brief."))


@pytest.fixture
def checkpoint(database: Database) -> Callable[..., str]:
    """Makes a checkpoint; gives its id."""

    def make(name: str, kind: CheckpointKind = CheckpointKind.adapter) -> str:
        with database.write() as session:
            row = Checkpoint(id=name, name=name, kind=kind, source=f"checkpoints/{name}", digest="0" * 64)
            return record_checkpoint(session, checkpoint=row, preference_ids=()).id

    return make
