"""Hidden repeats as a labeller meets them: none at first, then the share that was set, and nothing to tell them by."""

import uuid

import pytest
from fakes import FakeEngine
from labelled import record_prompts

from app.comparisons import ComparisonMaker
from app.labelling import Labelling, ShownComparison
from app.repeats import FIRST_CHOICES
from storage.checkpoints import record_project
from storage.comparisons import get_comparison
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.tables import Choice, DeploymentReason, Purpose
from trainer.sampling import Sampling


@pytest.fixture
def prompted(database: Database) -> Database:
    record_prompts(database, train=200, heldout=0)
    with database.write() as session:
        record_project(session, initial_model="m", name="starter", digest="d")
        served, _ = record_deployment(session, checkpoint_id="initial", reason=DeploymentReason.initial, by="test")
        assert served.id is not None
        record_event(session, deployment_id=served.id, event="serving")
    return database


def labelling(database: Database, *, share: float) -> Labelling:
    maker = ComparisonMaker(database, FakeEngine(), ahead=2, sampling=Sampling(max_new_tokens=8))  # type: ignore[arg-type]
    return Labelling(database, maker, repeat_share=share)


def label(app: Labelling, database: Database, *, count: int) -> list[tuple[ShownComparison, bool]]:
    """What "ana" is shown, choosing the left each time, and whether it was a repeat."""
    seen = []
    for _ in range(count):
        app.refill()
        shown = app.next_comparison(labeller_id="ana")
        assert shown is not None and shown == app.next_comparison(labeller_id="ana")  # a reload draws no second lot
        with database.read() as session:
            seen.append((shown, get_comparison(session, shown.id).purpose is Purpose.repeat))
        app.record_choice(comparison_id=shown.id, labeller_id="ana", choice=Choice.left, client_id=uuid.uuid4().hex)
    return seen


def test_the_first_choices_are_spared_and_the_share_holds_after_them(prompted: Database) -> None:
    repeats = [again for _, again in label(labelling(prompted, share=0.25), prompted, count=80)]
    assert not any(repeats[:FIRST_CHOICES])
    assert 5 <= sum(repeats[FIRST_CHOICES:]) <= 25  # of 60: three standard deviations about 15


def test_a_repeat_is_an_earlier_comparison_with_its_texts_changed_over(prompted: Database) -> None:
    seen = label(labelling(prompted, share=0.5), prompted, count=30)
    at, again = next((at, shown) for at, (shown, is_repeat) in enumerate(seen) if is_repeat)
    earlier = [(shown.prompt_id, shown.right, shown.left) for shown, _ in seen[:at]]
    assert earlier.index((again.prompt_id, again.left, again.right)) < at - 9
    assert again.id not in {shown.id for shown, _ in seen[:at]}


def test_a_share_of_nothing_shows_none(prompted: Database) -> None:
    assert not any(again for _, again in label(labelling(prompted, share=0.0), prompted, count=40))


def test_the_counters_move_with_a_repeat_as_with_any_choice(prompted: Database) -> None:
    app = labelling(prompted, share=0.5)
    assert any(again for _, again in label(app, prompted, count=30))
    assert app.choices_today(labeller_id="ana") == 30
