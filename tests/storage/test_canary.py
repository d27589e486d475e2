"""What the canary reads: evaluation choices about what is served, in the order in which they were made."""

from datetime import timedelta

import pytest

from storage.canary import canary_roll_back, count_evaluation_choices, evaluation_scores
from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import record_comparison
from storage.database import Database
from storage.deployments import record_deployment
from storage.preferences import record_preference, withdraw_preference
from storage.prompts import record_prompt
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Choice,
    ComparisonState,
    Completion,
    DeploymentReason,
    Purpose,
    Split,
    now,
)

LONG_AGO = now() - timedelta(days=1)


@pytest.fixture(autouse=True)
def checkpoints(database: Database) -> None:
    with database.write() as session:
        record_project(session, initial_model="tiny", name="tiny", digest="digest")
        made = Checkpoint(id="new", name="new", kind=CheckpointKind.adapter, source="checkpoints/new", digest="d")
        record_checkpoint(session, checkpoint=made, preference_ids=[])


def choose(
    database: Database, number: int, choice: Choice, *, left: str = "new", purpose: Purpose = Purpose.evaluate
) -> int:
    """A choice on prompt `number` between the two checkpoints; its id."""
    with database.write() as session:
        prompt = record_prompt(
            session, messages=[{"role": "user", "content": f"Q{number}"}], source="test", split=Split.heldout
        )
        assert prompt.id is not None
        sides = ("new", "initial") if left == "new" else ("initial", "new")
        comparison = record_comparison(
            session,
            prompt_id=prompt.id,
            left=Completion(prompt_id=prompt.id, checkpoint_id=sides[0], text="a"),
            right=Completion(prompt_id=prompt.id, checkpoint_id=sides[1], text="b"),
            purpose=purpose,
            state=ComparisonState.leased,
        )
        made, _ = record_preference(
            session, comparison_id=comparison.id, labeller_id="ana", choice=choice, client_id=comparison.id
        )
        assert made.id is not None
        return made.id


def scores(database: Database, **more: object) -> list[float]:
    with database.read() as session:
        asked = {"candidate_id": "new", "baseline_id": "initial", "since": LONG_AGO} | more
        return evaluation_scores(session, **asked)  # type: ignore[arg-type]


def test_scores_come_in_the_order_of_the_choices_whatever_the_prompts(database: Database) -> None:
    for number, choice in ((3, Choice.left), (1, Choice.right), (2, Choice.tie)):
        choose(database, number, choice)
    assert scores(database) == [1.0, 0.0, 0.5]
    assert scores(database, candidate_id="initial", baseline_id="new") == [0.0, 1.0, 0.5]


def test_the_side_on_which_it_stood_is_taken_into_account(database: Database) -> None:
    choose(database, 1, Choice.left, left="initial")
    assert scores(database) == [0.0]


def test_a_prompt_counts_once_by_its_first_choice(database: Database) -> None:
    for choice in (Choice.left, Choice.right, Choice.right):
        choose(database, 1, choice)
    assert scores(database) == [1.0]


def test_skips_training_choices_and_withdrawn_ones_do_not_count(database: Database) -> None:
    choose(database, 1, Choice.skip)
    choose(database, 2, Choice.left, purpose=Purpose.train)
    undone = choose(database, 3, Choice.left)
    with database.write() as session:
        withdraw_preference(session, preference_id=undone)
    assert scores(database) == []
    with database.read() as session:
        assert count_evaluation_choices(session) == 0


def test_choices_from_before_it_was_served_do_not_count(database: Database) -> None:
    choose(database, 1, Choice.left)
    assert scores(database, since=now() + timedelta(seconds=1)) == []


def test_a_roll_back_is_found_by_what_it_took_out_of_service(database: Database) -> None:
    with database.write() as session:
        for checkpoint, reason in (("new", DeploymentReason.gate), ("initial", DeploymentReason.canary)):
            record_deployment(session, checkpoint_id=checkpoint, reason=reason, by="prefloop", note=f"to {checkpoint}")
    with database.read() as session:
        found = canary_roll_back(session, "new")
        assert found is not None and found.note == "to initial"
        assert canary_roll_back(session, "initial") is None
