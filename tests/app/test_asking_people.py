"""An evaluation by people in the Label tab: one in five, blinded, and a point of people at the end."""

import uuid
from collections import Counter

import pytest
from fakes import FakeEngine
from labelled import record_prompts

from app.comparisons import ComparisonMaker
from app.labelling import Labelling, ShownComparison
from app.win_rates import PEOPLE, WinRates
from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import get_comparison
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.evaluation_queue import claim_evaluation, queue_evaluation
from storage.people_evaluations import people_progress, put_before_people
from storage.prompts import offered_prompts
from storage.tables import Checkpoint, CheckpointKind, Choice, Completion, DeploymentReason, Purpose, Split
from trainer.sampling import Sampling

SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)


def serve(database: Database, checkpoint_id: str) -> None:
    with database.write() as session:
        served, _ = record_deployment(session, checkpoint_id=checkpoint_id, reason=DeploymentReason.person, by="test")
        assert served.id is not None
        record_event(session, deployment_id=served.id, event="serving")


def choose(labelling: Labelling, comparison_id: str, choice: Choice = Choice.left) -> None:
    labelling.record_choice(comparison_id=comparison_id, labeller_id="ana", choice=choice, client_id=uuid.uuid4().hex)


@pytest.fixture
def labelling(database: Database) -> Labelling:
    """Only the initial model is served; people were asked to compare two others on ten held-out prompts."""
    record_prompts(database, train=60, heldout=10)
    with database.write() as session:
        record_project(session, initial_model="m", name="starter", digest="d")
    serve(database, "initial")
    with database.write() as session:
        for name in ("dpo-0001", "dpo-0002"):
            made = Checkpoint(id=name, name=name, kind=CheckpointKind.adapter, source="checkpoints/x", digest="d")
            record_checkpoint(session, checkpoint=made, preference_ids=[])
        config = {"asked": {"judge": PEOPLE, "prompts": 10}}
        evaluation, _ = queue_evaluation(session, candidate_id="dpo-0002", baseline="dpo-0001", config=config)
        owned = claim_evaluation(session, evaluation.id or 0, pid=1, process_started_at=1.0)
        pairs = []
        for prompt in offered_prompts(session, splits=[Split.heldout]):
            assert prompt.id is not None
            new, old = (
                Completion(prompt_id=prompt.id, text=f"{name} says so.", checkpoint_id=name)
                for name in ("dpo-0002", "dpo-0001")
            )
            pairs.append((prompt.id, new, old))
        put_before_people(session, owned, pairs)
    return Labelling(database, ComparisonMaker(database, FakeEngine(), ahead=5, sampling=SAMPLING))  # type: ignore[arg-type]


def next_shown(labelling: Labelling) -> ShownComparison:
    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert shown is not None
    return shown


def test_one_comparison_in_five_is_of_the_evaluation_until_all_are_through(
    labelling: Labelling, database: Database
) -> None:
    asked: list[bool] = []
    for _ in range(55):
        shown = next_shown(labelling)
        with database.read() as session:
            comparison = get_comparison(session, shown.id)
            asked.append(comparison.evaluation_id is not None)
            assert asked[-1] == (comparison.purpose is Purpose.evaluate)
        choose(labelling, shown.id)
    assert [sum(asked[start : start + 5]) for start in range(0, 50, 5)] == [1] * 10
    assert not any(asked[50:])


def test_what_is_chosen_is_a_point_of_people_against_the_baseline_that_was_asked_for(
    labelling: Labelling, database: Database
) -> None:
    for _ in range(20):
        shown = next_shown(labelling)
        choose(labelling, shown.id, Choice.left if shown.left.startswith("dpo-0002") else Choice.right)
    (point,) = WinRates(database).points()
    assert (point.checkpoint_id, point.baseline_id, point.source) == ("dpo-0002", "dpo-0001", PEOPLE)
    assert (point.n, point.wins) == (4, 4)


def test_the_ordinary_evaluation_comparisons_keep_their_share(labelling: Labelling, database: Database) -> None:
    serve(database, "dpo-0001")
    labelling._maker._engine.served = "dpo-0001"  # type: ignore[attr-defined]
    seen: Counter[str] = Counter()
    for _ in range(25):
        shown = next_shown(labelling)
        with database.read() as session:
            comparison = get_comparison(session, shown.id)
        seen["asked" if comparison.evaluation_id else str(comparison.purpose)] += 1
        choose(labelling, shown.id)
    assert seen == {"train": 15, "evaluate": 5, "asked": 5}


def test_without_prompts_for_training_the_evaluation_goes_on(labelling: Labelling, database: Database) -> None:
    with database.write() as session:
        for prompt in offered_prompts(session, splits=[Split.train]):
            prompt.offered = False
            session.add(prompt)
    for _ in range(10):
        choose(labelling, next_shown(labelling).id)
    assert labelling.next_comparison(labeller_id="ana", wait_s=0) is None
    with database.read() as session:
        assert people_progress(session, 1).chosen == 10


def test_what_a_person_sees_before_the_choice_tells_nothing_of_the_evaluation(labelling: Labelling) -> None:
    shown = next(one for one in (_chosen(labelling) for _ in range(5)) if "says so" in one.left)
    assert set(vars(shown)) == {"id", "prompt_id", "messages", "tags", "left", "right"}


def _chosen(labelling: Labelling) -> ShownComparison:
    shown = next_shown(labelling)
    choose(labelling, shown.id, Choice.tie)
    return shown
