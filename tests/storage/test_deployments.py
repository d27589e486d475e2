"""The ledger: append-only, what is wanted, where a roll back goes."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from storage.database import Database
from storage.deployments import (
    current_deployment,
    ledger,
    previously_served,
    record_deployment,
    record_event,
    served_checkpoints,
)
from storage.errors import Conflict, NotFound
from storage.tables import CheckpointKind, Deployment, DeploymentReason


@pytest.fixture
def deploy(database: Database, checkpoint: Callable[..., str]) -> Callable[..., int]:
    """Promotes a checkpoint (made if new) and records how it went; gives the deployment's id."""
    made: set[str] = set()

    def act(name: str, event: str = "serving") -> int:
        if name not in made:
            made.add(checkpoint(name))
        with database.write() as session:
            deployment, _ = record_deployment(session, checkpoint_id=name, reason=DeploymentReason.person, by="ann")
            assert deployment.id is not None
            if event:
                record_event(session, deployment_id=deployment.id, event=event)
            return deployment.id

    return act


def wanted(database: Database) -> str | None:
    with database.read() as session:
        current = current_deployment(session)
        return current.checkpoint_id if current else None


def roll_back_target(database: Database) -> str | None:
    with database.read() as session:
        return previously_served(session)


def test_every_promotion_appends_and_nothing_is_rewritten(database: Database, deploy: Callable[..., int]) -> None:
    for name in ("a", "b", "a"):
        deploy(name)
    with database.read() as session:
        rows = session.exec(select(Deployment).order_by(Deployment.id)).all()
    assert [(d.checkpoint_id, d.previous_id) for d in rows] == [("a", None), ("b", "a"), ("a", "b")]


def test_promoting_what_is_served_makes_no_row(database: Database, deploy: Callable[..., int]) -> None:
    first = deploy("a")
    with database.write() as session:
        again, is_new = record_deployment(session, checkpoint_id="a", reason=DeploymentReason.gate, by="prefloop")
    assert (again.id, is_new) == (first, False)


def test_a_roll_back_goes_to_what_was_really_served_before(database: Database, deploy: Callable[..., int]) -> None:
    deploy("a")
    deploy("b", "failed")
    deploy("c")
    assert roll_back_target(database) == "a"


def test_rolling_back_twice_goes_back_and_forth(database: Database, deploy: Callable[..., int]) -> None:
    for name in ("a", "b", "a"):
        deploy(name)
    assert roll_back_target(database) == "b"


def test_the_first_deployment_has_nothing_to_roll_back_to(database: Database, deploy: Callable[..., int]) -> None:
    deploy("a")
    assert roll_back_target(database) is None


def test_a_failed_deployment_leaves_the_old_one_current(database: Database, deploy: Callable[..., int]) -> None:
    deploy("a")
    deploy("b", "failed")
    assert wanted(database) == "a"


def test_a_checkpoint_that_failed_may_be_promoted_again(database: Database, deploy: Callable[..., int]) -> None:
    deploy("a")
    first = deploy("b", "failed")
    assert deploy("b") != first
    assert wanted(database) == "b"


def test_a_drained_old_model_does_not_end_the_serving_state(database: Database, deploy: Callable[..., int]) -> None:
    number = deploy("a")
    with database.write() as session:
        record_event(session, deployment_id=number, event="drained")
    with database.read() as session:
        assert [entry.state for entry in ledger(session)] == ["serving"]


def test_served_checkpoints_are_those_that_served_in_order_of_their_first_time(
    database: Database, deploy: Callable[..., int]
) -> None:
    for name, event in (("a", "serving"), ("b", "failed"), ("c", "serving"), ("a", "serving"), ("d", "")):
        deploy(name, event)
    with database.read() as session:
        assert served_checkpoints(session) == ["a", "c"]


def test_a_reward_model_is_never_served(database: Database, checkpoint: Callable[..., str]) -> None:
    checkpoint("reward_model-0001", CheckpointKind.reward_model)
    with database.write() as session, pytest.raises(Conflict, match="reward model"):
        record_deployment(session, checkpoint_id="reward_model-0001", reason=DeploymentReason.person, by="ann")


def test_an_unknown_checkpoint_is_not_found(database: Database) -> None:
    with database.write() as session, pytest.raises(NotFound):
        record_deployment(session, checkpoint_id="dpo-9999", reason=DeploymentReason.person, by="ann")
