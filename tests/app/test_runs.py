"""Runs as a person meets them: queued by hand, by choices or by the clock; the schedule; what is told of them."""

from pathlib import Path

import pytest
from labelled import record_choices

from app import runs as module
from app.runs import Runs
from storage.checkpoints import record_project
from storage.database import Database
from storage.errors import Conflict, Invalid
from storage.settings import record_setting
from storage.tables import RunStatus


@pytest.fixture
def runs(database: Database, tmp_path: Path) -> Runs:
    return Runs(database, data_dir=tmp_path, auto_train=True, starter=True)


def test_enough_new_choices_queue_one_run_and_not_two(runs: Runs, database: Database) -> None:
    runs.set_schedule({"new_preferences": 10})
    record_choices(database, count=9)
    assert runs.queue_due() is None
    assert runs.choices_until_next() == 1
    record_choices(database, count=1, seed=1)
    run = runs.queue_due()
    assert run is not None and run.started_because == "started by 10 new choices"
    assert runs.queue_due() is None
    assert runs.choices_until_next() == 10


def test_with_auto_train_off_nothing_queues_a_run_by_itself(database: Database, tmp_path: Path) -> None:
    runs = Runs(database, data_dir=tmp_path, auto_train=False, starter=True)
    record_choices(database, count=100)
    assert runs.queue_due() is None and runs.queue_due(clock_struck=True) is None
    assert runs.choices_until_next() is None


def test_the_clock_starts_a_run_only_when_there_is_something_new(runs: Runs, database: Database) -> None:
    assert runs.queue_due(clock_struck=True) is None
    record_choices(database, count=1)
    assert runs.queue_due(clock_struck=True) is not None


def test_the_schedule_survives_a_restart(runs: Runs, database: Database, tmp_path: Path) -> None:
    runs.set_schedule({"cron": "0 3 * * *", "config": {"beta": 0.2}})
    again = Runs(database, data_dir=tmp_path, auto_train=True, starter=True).schedule()
    assert (again.cron, again.config, again.new_preferences) == ("0 3 * * *", {"beta": 0.2}, 40)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"cron": "every day"}, "'every day' is not a cron line"),
        ({"new_preferences": -1}, "new_preferences"),
        ({"algorithm": "magic"}, "no algorithm 'magic'"),
        ({"config": {"beta": -1}}, "beta"),
        ({"after_gate": "pray"}, "after_gate"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_value_and_changes_nothing(
    runs: Runs, values: dict[str, object], told: str
) -> None:
    before = runs.schedule()
    with pytest.raises(Invalid, match=told):
        runs.set_schedule(values)
    assert runs.schedule() == before


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"cron": "every night"}, "'every night'"),
        ({"algorithm": "magic"}, "'magic'"),
        ({"config": {"learning_rate": "fast"}}, "fast"),
        ({"config": {"no_longer_there": 1}}, "no_longer_there"),
        ({"new_preferences": "many"}, "'many'"),
    ],
)
def test_a_stored_schedule_that_cannot_be_used_is_told_starts_nothing_and_can_be_set_anew(
    runs: Runs, database: Database, stored: dict[str, object], told: str
) -> None:
    with database.write() as session:
        record_setting(session, "schedule", stored)
    record_choices(database, count=41)
    found = runs.schedule()
    assert told in found.problem and "set anew" in found.problem
    assert runs.queue_due() is None and runs.queue_due(clock_struck=True) is None
    assert runs.choices_until_next() is None
    assert runs.start(algorithm="dpo").id == "dpo-0001"
    runs.set_schedule({"cron": "0 3 * * *"})
    assert (runs.schedule().problem, runs.schedule().cron, runs.schedule().algorithm) == ("", "0 3 * * *", "dpo")


def test_another_model_than_the_starter_asks_a_person_by_default(database: Database, tmp_path: Path) -> None:
    assert Runs(database, data_dir=tmp_path, auto_train=True, starter=False).schedule().after_gate == "ask"


def test_another_model_is_served_by_itself_once_100_evaluation_choices_watch_over_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(database, data_dir=tmp_path, auto_train=True, starter=False)
    runs.set_schedule({"new_preferences": 60})  # says nothing about what happens after the gate
    for choices, expected in ((99, "ask"), (100, "automatic")):
        monkeypatch.setattr(module, "count_evaluation_choices", lambda session, choices=choices: choices)
        assert runs.schedule().after_gate == expected
    runs.set_schedule({"after_gate": "ask"})
    assert (runs.schedule().after_gate, runs.schedule().new_preferences) == ("ask", 60)


def test_a_run_by_hand_carries_its_whole_config_and_why(runs: Runs) -> None:
    run = runs.start(algorithm="dpo", config={"beta": 0.2}, by="ana")
    assert (run.config["beta"], run.config["rank"], run.started_because) == (0.2, 4, "started by ana")


def test_every_problem_of_a_config_is_told_at_once(runs: Runs) -> None:
    with pytest.raises(Invalid) as told:
        runs.start(algorithm="dpo", config={"beta": -1, "colour": "red"})
    assert "beta" in str(told.value) and "colour" in str(told.value)


def test_a_waiting_run_is_cancelled_at_once_and_only_once(runs: Runs) -> None:
    run = runs.start(algorithm="dpo")
    assert runs.cancel(run.id).status is RunStatus.cancelled
    with pytest.raises(Conflict, match="already cancelled"):
        runs.cancel(run.id)


def test_imported_choices_do_not_start_a_run(runs: Runs, database: Database) -> None:
    from sqlmodel import select

    from storage.tables import Preference

    record_choices(database, count=50)
    with database.write() as session:
        for preference in session.exec(select(Preference)):
            preference.imported = True
            session.add(preference)
    assert runs.queue_due() is None


@pytest.mark.parametrize(
    "term",
    [
        {"kind": "classifier", "model": "someone/model-with-code"},
        {"kind": "classifier", "model": "/etc"},
        {"kind": "similarity", "model": "../../elsewhere"},
        {"kind": "reward_model", "checkpoint": "../../elsewhere"},
        {"kind": "judge", "judge": "http://127.0.0.1/v1#m"},
        {"kind": "judge", "rubric": "../../etc/passwd"},
    ],
)
@pytest.mark.parametrize("field", ["rewards", "gold"])
def test_a_model_or_a_rubric_that_nobody_listed_is_no_reward(
    database: Database, tmp_path: Path, term: dict[str, str], field: str
) -> None:
    runs = Runs(database, data_dir=tmp_path, auto_train=True, starter=True, reward_models=("/models/listed",))
    with pytest.raises(Invalid, match=r"is not known here|is no name"):
        runs.start(algorithm="ppo", config={field: [term]})
    with pytest.raises(Invalid, match=r"is not known here|is no name"):
        runs.set_schedule({"algorithm": "ppo", "config": {field: [term]}})


@pytest.mark.parametrize(
    "term",
    [
        {"kind": "classifier", "model": "/models/listed"},
        {"kind": "similarity"},
        {"kind": "judge", "judge": "starter", "rubric": "helpful"},
        {"kind": "reward_model", "checkpoint": "initial"},
    ],
)
def test_what_the_operator_listed_or_the_project_has_is_a_reward(
    database: Database, tmp_path: Path, term: dict[str, str]
) -> None:
    with database.write() as session:
        record_project(session, initial_model="m", name="m", digest="d")
    runs = Runs(database, data_dir=tmp_path, auto_train=True, starter=True, reward_models=("/models/listed",))
    assert runs.start(algorithm="ppo", config={"rewards": [term]}).config["rewards"][0]["kind"] == term["kind"]
