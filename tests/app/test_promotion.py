"""Promotion: what is served follows the ledger, whatever fails; the gate's word, people's word and the canary's."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSlot
from labelled import record_choices

from app import project
from app import promotion as module
from app.promotion import Promotion
from app.runs import Runs
from storage import tables
from storage.checkpoints import record_checkpoint
from storage.comparisons import record_comparison
from storage.database import Database
from storage.deployments import ledger
from storage.errors import Conflict, NotFound
from storage.evaluations import record_gate_decision
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.runs import queue_run
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Choice,
    ComparisonState,
    Completion,
    DeploymentReason,
    GateDecisionRow,
    Outcome,
    Purpose,
    RunStatus,
    Split,
)
from trainer.policy import Policy

CHOICES = 15


@pytest.fixture
def slot() -> FakeSlot:
    return FakeSlot()


@pytest.fixture
def promotion(database: Database, slot: FakeSlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promotion:
    model: Any = None
    monkeypatch.setattr(module, "load_policy", lambda *_, **__: Policy(model, model, "digest"))
    monkeypatch.setattr(module, "in_memory", lambda policy: policy)
    monkeypatch.setattr(project, "source_digest", lambda _: "digest")
    runs = Runs(database, data_dir=tmp_path, auto_train=True, starter=True)
    made = Promotion(
        database,
        slot,  # type: ignore[arg-type]
        runs,
        data_dir=tmp_path,
        initial_model="starter",
        model_source="starter",
        device="cpu",
    )
    made.bind()
    made.open()
    return made


def finish_run(database: Database, outcome: Outcome, baseline: str = "initial", deployment: int | None = None) -> str:
    """A succeeded run with its checkpoint and the gate's decision; its id."""
    with database.write() as session:
        run = queue_run(session, algorithm="dpo", config={}, trigger="person", started_because="test", automatic=False)
        run.status, run.checkpoint_id = RunStatus.succeeded, run.id
        checkpoint = Checkpoint(
            id=run.id, name=run.id, kind=CheckpointKind.adapter, source=f"checkpoints/{run.id}", digest="digest"
        )
        record_checkpoint(session, checkpoint=checkpoint, preference_ids=[])
        record_gate_decision(
            session,
            GateDecisionRow(
                run_id=run.id,
                checkpoint_id=run.id,
                baseline_id=baseline,
                outcome=outcome,
                reasons=["because"],
                guards=[],
                figures={} if deployment is None else {"deployment": deployment},
            ),
        )
        return run.id


def reasons(database: Database) -> list[DeploymentReason]:
    with database.read() as session:
        return [entry.deployment.reason for entry in reversed(ledger(session))]


def test_the_first_start_serves_the_initial_model(promotion: Promotion, slot: FakeSlot, database: Database) -> None:
    assert slot.current_id == "initial"
    assert reasons(database) == [DeploymentReason.initial]


def test_a_checkpoint_that_passed_the_gate_takes_over_by_itself(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    assert promotion.adopt_decisions() is not None
    assert slot.current_id == made
    assert promotion.adopt_decisions() is None


@pytest.mark.parametrize("outcome", [Outcome.reject, Outcome.inconclusive])
def test_what_did_not_pass_is_not_served(
    promotion: Promotion, slot: FakeSlot, database: Database, outcome: Outcome
) -> None:
    finish_run(database, outcome)
    assert promotion.adopt_decisions() is None
    assert slot.current_id == "initial"


def test_with_ask_a_passed_checkpoint_waits_for_a_person(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    promotion._runs.set_schedule({"after_gate": "ask"})
    made = finish_run(database, Outcome.promote)
    assert promotion.adopt_decisions() is None
    assert promotion.waiting_for_person() == made
    promotion.promote(made, by="ana")
    assert slot.current_id == made
    assert reasons(database)[-1] is DeploymentReason.person


def test_promoting_a_refused_checkpoint_is_recorded_as_an_override(promotion: Promotion, database: Database) -> None:
    made = finish_run(database, Outcome.reject)
    promotion.promote(made, by="ana")
    assert reasons(database)[-1] is DeploymentReason.override


def test_promoting_what_is_served_adds_nothing(promotion: Promotion, database: Database) -> None:
    _, created = promotion.promote("initial", by="ana")
    assert not created and len(reasons(database)) == 1


def test_an_unknown_checkpoint_is_not_found(promotion: Promotion) -> None:
    with pytest.raises(NotFound, match="'dpo-9999'"):
        promotion.promote("dpo-9999", by="ana")


def test_a_checkpoint_that_cannot_be_loaded_leaves_the_old_one_serving(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    slot.broken = {made}
    promotion.adopt_decisions()
    assert slot.current_id == "initial"
    entry = promotion.ledger()[0]
    assert (entry.state, entry.events[-1].detail) == ("failed", f"{made} is broken")


def test_roll_back_serves_what_was_served_before(promotion: Promotion, slot: FakeSlot, database: Database) -> None:
    finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    promotion.roll_back(by="ana")
    assert slot.current_id == "initial"
    assert reasons(database)[-1] is DeploymentReason.rollback


def test_a_checkpoint_that_was_rolled_back_is_not_promoted_again_by_itself(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    promotion.roll_back(by="ana")
    assert promotion.adopt_decisions() is None
    assert slot.current_id == "initial"


def test_there_is_nothing_to_roll_back_to_at_first(promotion: Promotion) -> None:
    with pytest.raises(Conflict, match="Nothing was served before"):
        promotion.roll_back(by="ana")


def test_a_decision_against_another_baseline_is_stale(promotion: Promotion, database: Database) -> None:
    first = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    finish_run(database, Outcome.promote, baseline="initial")
    assert promotion.adopt_decisions() is None
    assert promotion.serving() is not None and promotion.serving().checkpoint.id == first  # type: ignore[union-attr]


def test_a_decision_made_after_the_clock_was_set_back_is_not_stale(
    promotion: Promotion, slot: FakeSlot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = tables.now() - timedelta(hours=1)
    monkeypatch.setattr(tables.GateDecisionRow.model_fields["created_at"], "default_factory", lambda: earlier)
    made = finish_run(database, Outcome.promote, deployment=1)
    assert promotion.adopt_decisions() is not None
    assert slot.current_id == made


def test_a_decision_of_before_a_roll_back_is_stale(promotion: Promotion, database: Database) -> None:
    finish_run(database, Outcome.reject)
    promotion.promote("dpo-0001", by="ana")
    promotion.roll_back(by="ana")
    finish_run(database, Outcome.promote, deployment=1)
    assert promotion.adopt_decisions() is None


def test_a_restart_serves_what_the_ledger_says(
    promotion: Promotion, database: Database, tmp_path: Path, slot: FakeSlot
) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    slot.current_id = None
    promotion.open()
    assert slot.current_id == made


def test_a_directory_of_another_model_is_refused(promotion: Promotion, database: Database) -> None:
    promotion._initial_model = "other/model"
    with pytest.raises(Conflict, match="begun with 'starter', not 'other/model'"):
        promotion.bind()


def choose_in_evaluation(database: Database, served: str, *, wins: bool, count: int) -> None:
    with database.write() as session:
        for number in range(count):
            prompt = record_prompt(
                session,
                messages=[{"role": "user", "content": f"Held out {number}?"}],
                source="test",
                split=Split.heldout,
            )
            assert prompt.id is not None
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, checkpoint_id=served, text="a"),
                right=Completion(prompt_id=prompt.id, checkpoint_id="initial", text="b"),
                purpose=Purpose.evaluate,
                state=ComparisonState.leased,
            )
            record_preference(
                session,
                comparison_id=comparison.id,
                labeller_id="ana",
                choice=Choice.left if wins else Choice.right,
                client_id=f"{served}-{number}",
            )


def test_the_canary_rolls_back_what_people_find_worse_and_pauses(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=False, count=CHOICES)
    promotion.watch_canary()
    assert slot.current_id == "initial"
    assert reasons(database)[-1] is DeploymentReason.canary
    assert promotion.paused_for() == 30
    finish_run(database, Outcome.promote)
    assert promotion.adopt_decisions() is None


def test_the_canary_leaves_what_people_like(promotion: Promotion, slot: FakeSlot, database: Database) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=True, count=CHOICES)
    assert promotion.watch_canary() is None
    assert slot.current_id == made


def test_the_canary_leaves_what_a_person_has_put_there_meanwhile(
    promotion: Promotion, slot: FakeSlot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    better = finish_run(database, Outcome.promote, baseline=worse)
    choose_in_evaluation(database, worse, wins=False, count=CHOICES)
    test = module.shown_worse

    def while_it_tests(*scores: Any) -> Any:
        promotion.promote(better, by="ana")
        return test(*scores)

    monkeypatch.setattr(module, "shown_worse", while_it_tests)
    assert promotion.watch_canary() is None
    assert slot.current_id == better


def test_the_canary_waits_until_the_choices_show_it(promotion: Promotion, slot: FakeSlot, database: Database) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=False, count=6)
    assert promotion.watch_canary() is None
    assert slot.current_id == made


def test_the_canary_says_what_it_did_on_the_ledger_and_for_the_runs_page(
    promotion: Promotion, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=False, count=CHOICES)
    promotion.watch_canary()
    note = promotion.ledger()[0].deployment.note
    assert f"{made} scores 0% on {CHOICES} evaluation prompts" in note and "until 30 more choices" in note
    rolled_back = promotion.rolled_back(made)
    assert rolled_back is not None and rolled_back.note == note
    assert promotion.rolled_back("initial") is None


def test_a_person_who_promotes_it_again_is_not_overruled_by_the_old_choices(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=False, count=CHOICES)
    promotion.watch_canary()
    promotion.promote(made, by="ana")
    assert promotion.watch_canary() is None
    assert slot.current_id == made


def test_promotion_is_automatic_again_after_30_more_choices(
    promotion: Promotion, slot: FakeSlot, database: Database
) -> None:
    made = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    choose_in_evaluation(database, made, wins=False, count=CHOICES)
    promotion.watch_canary()
    record_choices(database, count=30)
    assert promotion.paused_for() == 0
    better = finish_run(database, Outcome.promote)
    promotion.adopt_decisions()
    assert slot.current_id == better
