"""Labelling: what is handed out, in what order, and what a choice reveals. With an engine that answers from a list."""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, FakeTicket
from labelled import record_prompts

from app.comparisons import ComparisonMaker
from app.labelling import Labelling
from app.selection import Judged
from app.serving.engine import CheckpointUnusable, EngineClosed
from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import get_comparison
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.errors import Invalid, NotFound, Unavailable
from storage.pairs import preference_pairs
from storage.prompts import get_prompt, record_prompt
from storage.tables import Checkpoint, CheckpointKind, Choice, DeploymentReason, Purpose, Split
from trainer.sampling import Sampling

SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)


def serve(database: Database, checkpoint_id: str) -> None:
    with database.write() as session:
        if checkpoint_id == "initial":
            record_project(session, initial_model="m", name="starter", digest="d")
        elif session.get(Checkpoint, checkpoint_id) is None:
            made = Checkpoint(
                id=checkpoint_id, name=checkpoint_id, kind=CheckpointKind.adapter, source="checkpoints/x", digest="d"
            )
            record_checkpoint(session, checkpoint=made, preference_ids=[])
        deployment, _ = record_deployment(
            session, checkpoint_id=checkpoint_id, reason=DeploymentReason.person, by="test"
        )
        assert deployment.id is not None
        record_event(session, deployment_id=deployment.id, event="serving")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def labelling(database: Database, engine: FakeEngine) -> Labelling:
    record_prompts(database, train=30, heldout=10)
    serve(database, "initial")
    return make_labelling(database, engine)


def make_labelling(database: Database, engine: FakeEngine) -> Labelling:
    return Labelling(database, ComparisonMaker(database, engine, ahead=5, sampling=SAMPLING))  # type: ignore[arg-type]


def choose(labelling: Labelling, comparison_id: str, choice: Choice = Choice.left, labeller: str = "ana") -> int:
    return labelling.record_choice(
        comparison_id=comparison_id, labeller_id=labeller, choice=choice, client_id=uuid.uuid4().hex
    ).preference_id


def test_comparisons_wait_before_anyone_asks(labelling: Labelling) -> None:
    assert labelling.refill() == 5
    assert labelling.refill() == 0


def test_a_refill_ends_when_the_app_does(labelling: Labelling) -> None:
    labelling.close()
    assert labelling.refill() == 0


def test_two_people_never_get_the_same_comparison(labelling: Labelling) -> None:
    labelling.refill()
    first = labelling.next_comparison(labeller_id="ana")
    second = labelling.next_comparison(labeller_id="ben")
    assert first is not None and second is not None and first.id != second.id


def test_a_reload_shows_the_same_comparison_again(labelling: Labelling) -> None:
    labelling.refill()
    assert labelling.next_comparison(labeller_id="ana") == labelling.next_comparison(labeller_id="ana")


def test_a_choice_reveals_which_checkpoint_wrote_which_side(labelling: Labelling) -> None:
    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert shown is not None
    told = labelling.record_choice(comparison_id=shown.id, labeller_id="ana", choice=Choice.right, client_id="once")
    assert (told.left.checkpoint, told.left.temperature, told.created) == ("starter", 1.0, True)


def test_undo_puts_the_comparison_before_the_same_labeller_again(labelling: Labelling) -> None:
    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert shown is not None
    choose(labelling, shown.id)
    assert labelling.undo_last(labeller_id="ana") == shown
    assert labelling.next_comparison(labeller_id="ana") == shown
    with pytest.raises(NotFound, match="no choice to undo"):
        labelling.undo_last(labeller_id="ana")


def test_identical_or_empty_completions_are_sampled_again(labelling: Labelling, engine: FakeEngine) -> None:
    engine.script = ["Same text.", "Same text.", "", "Fine text.", "One text.", "Another text."]
    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert shown is not None and {shown.left, shown.right} == {"One text.", "Another text."}


def test_the_selection_sees_the_different_sound_completions_and_its_two_are_shown(
    database: Database, engine: FakeEngine
) -> None:
    record_prompts(database, train=1, heldout=0)
    serve(database, "initial")
    engine.script = ["One text.", "", "One text.", "Another text.", "A third text."]
    seen: list[list[str]] = []

    def last_two(_: object, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
        seen.append(list(texts))
        return len(texts) - 2, len(texts) - 1

    maker = ComparisonMaker(database, engine, ahead=1, sampling=SAMPLING, samples=5, selection=last_two)  # type: ignore[arg-type]
    labelling = Labelling(database, maker)
    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert seen == [["One text.", "Another text.", "A third text."]]
    assert shown is not None and {shown.left, shown.right} == {"Another text.", "A third text."}


def test_the_selection_is_told_what_people_said_of_the_comparisons_before(
    database: Database, engine: FakeEngine
) -> None:
    record_prompts(database, train=5, heldout=0)
    serve(database, "initial")
    told: list[list[str | None]] = []

    def first_two(_: object, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
        told.append([j.preferred for j in judged])
        return 0, 1

    maker = ComparisonMaker(database, engine, ahead=1, sampling=SAMPLING, selection=first_two)  # type: ignore[arg-type]
    labelling = Labelling(database, maker)
    for choice in (Choice.left, Choice.both_bad, Choice.skip, Choice.right):
        labelling.refill()
        shown = labelling.next_comparison(labeller_id="ana")
        assert shown is not None
        choose(labelling, shown.id, choice)
    labelling.refill()
    assert told == [[], ["left"], [None, "left"], [None, "left"], ["right", None, "left"]]


def test_the_same_seed_makes_the_same_comparisons(tmp_path: Path) -> None:
    assert comparisons_of(tmp_path / "a", seed=1) == comparisons_of(tmp_path / "b", seed=1)


def test_another_seed_makes_other_comparisons(tmp_path: Path) -> None:
    assert comparisons_of(tmp_path / "a", seed=1) != comparisons_of(tmp_path / "b", seed=2)


def comparisons_of(folder: Path, *, seed: int) -> list[tuple[int, str]]:
    """(prompt, left text) of twelve comparisons in a new project."""
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'd.sqlite'}")
    database.migrate()
    record_prompts(database, train=40, heldout=0)
    serve(database, "initial")
    labelling = Labelling(database, ComparisonMaker(database, FakeEngine(), ahead=12, sampling=SAMPLING, seed=seed))  # type: ignore[arg-type]
    labelling.refill()
    shown = [labelling.next_comparison(labeller_id=str(n)) for n in range(12)]
    return sorted((s.prompt_id, s.left) for s in shown if s)


def test_a_prompt_that_only_gives_one_text_is_left_out_rather_than_asked_for_ever(
    database: Database, engine: FakeEngine
) -> None:
    record_prompts(database, train=1, heldout=0)
    serve(database, "initial")
    engine.script = ["Same."] * 100
    labelling = make_labelling(database, engine)
    labelling.refill()
    assert labelling.next_comparison(labeller_id="ana", wait_s=0) is None


def test_a_prompt_that_does_not_fit_the_model_is_left_out_and_the_others_go_on(
    labelling: Labelling, engine: FakeEngine
) -> None:
    engine.too_long = "Question 1"  # 1 and 10 to 19 of thirty
    seen = set()
    for _ in range(19):
        labelling.refill()
        shown = labelling.next_comparison(labeller_id="ana")
        assert shown is not None
        seen.add(shown.messages[0]["content"])
        choose(labelling, shown.id)
    assert len(seen) == 19 and not any("Question 1" in text for text in seen)


def test_a_cold_queue_is_unavailable_and_says_so(labelling: Labelling) -> None:
    with pytest.raises(Unavailable, match="No comparison was ready"):
        labelling.next_comparison(labeller_id="ana", wait_s=0)


def test_before_a_second_checkpoint_all_comparisons_are_for_training(labelling: Labelling, database: Database) -> None:
    assert purposes(labelling, database, count=15) == {Purpose.train: 15}


def test_once_a_second_checkpoint_is_served_one_in_five_is_for_evaluation(
    labelling: Labelling, database: Database, engine: FakeEngine
) -> None:
    serve(database, "dpo-0001")
    engine.served = "dpo-0001"
    assert purposes(labelling, database, count=25) == {Purpose.train: 20, Purpose.evaluate: 5}


def purposes(labelling: Labelling, database: Database, *, count: int) -> Counter[Purpose]:
    seen: Counter[Purpose] = Counter()
    for _ in range(count):
        labelling.refill()
        shown = labelling.next_comparison(labeller_id="ana")
        assert shown is not None
        with database.read() as session:
            comparison = get_comparison(session, shown.id)
            split = get_prompt(session, comparison.prompt_id).split
        assert (split is Split.heldout) == (comparison.purpose is Purpose.evaluate)
        seen[comparison.purpose] += 1
        choose(labelling, shown.id)
    return seen


def test_every_third_training_comparison_of_a_later_checkpoint_has_one_side_by_the_initial_model(
    labelling: Labelling, database: Database, engine: FakeEngine
) -> None:
    serve(database, "dpo-0001")
    engine.served = "dpo-0001"
    mixed = 0
    for _ in range(25):
        labelling.refill()
        shown = labelling.next_comparison(labeller_id="ana")
        assert shown is not None
        told = labelling.record_choice(
            comparison_id=shown.id, labeller_id="ana", choice=Choice.left, client_id=shown.id
        )
        with database.read() as session:
            trains = get_comparison(session, shown.id).purpose is Purpose.train
        mixed += trains and {told.left.checkpoint_id, told.right.checkpoint_id} == {"initial", "dpo-0001"}
    assert mixed == 6  # of twenty


def test_an_evaluation_comparison_sets_the_served_model_against_another(
    labelling: Labelling, database: Database, engine: FakeEngine
) -> None:
    serve(database, "dpo-0001")
    engine.served = "dpo-0001"
    with database.read() as session:
        from storage.prompts import offered_prompts

        heldout = offered_prompts(session, splits=[Split.heldout])[0].id
    shown = labelling.next_comparison(labeller_id="ana", prompt_id=heldout)
    assert shown is not None
    told = labelling.record_choice(comparison_id=shown.id, labeller_id="ana", choice=Choice.left, client_id="c")
    assert {told.left.checkpoint_id, told.right.checkpoint_id} == {"initial", "dpo-0001"}
    with database.read() as session:
        assert preference_pairs(session, splits=list(Split)) == []


def test_a_swap_drops_what_was_not_shown_and_keeps_what_was(labelling: Labelling, database: Database) -> None:
    from storage.comparisons import count_waiting, drop_waiting

    labelling.refill()
    shown = labelling.next_comparison(labeller_id="ana")
    assert shown is not None
    serve(database, "dpo-0001")
    with database.write() as session:
        assert drop_waiting(session, before_generation=2) == 4
        assert sum(count_waiting(session).values()) == 0
    assert choose(labelling, shown.id) > 0


def test_a_prompt_of_ones_own_becomes_a_training_comparison(labelling: Labelling) -> None:
    own = [{"role": "user", "content": "Where do geese sleep?"}]
    shown = labelling.next_comparison(labeller_id="ana", messages=own)
    assert shown is not None and shown.messages == own


def test_a_prompt_without_a_user_message_is_refused(labelling: Labelling) -> None:
    with pytest.raises(Invalid, match="user message"):
        labelling.next_comparison(labeller_id="ana", messages=[{"role": "system", "content": "Be brief."}])


def test_the_sides_are_tossed_fairly(labelling: Labelling, engine: FakeEngine, tmp_path: Path) -> None:
    engine.script = [text for number in range(200) for text in (f"first {number}.", f"second {number}.")]
    firsts = 0
    for _ in range(200):
        labelling.refill()
        shown = labelling.next_comparison(labeller_id="ana")
        assert shown is not None
        firsts += shown.left.startswith("first")
        choose(labelling, shown.id)
    assert 65 <= firsts <= 135  # five standard deviations of a fair coin


@dataclass
class TroubledEngine(FakeEngine):
    """`broken` names checkpoints that cannot be loaded."""

    broken: set[str] = field(default_factory=set)

    def submit(self, *messages: Any, checkpoint_id: str | None = None, **settings: Any) -> FakeTicket:
        if checkpoint_id in self.broken:
            raise CheckpointUnusable(f"{checkpoint_id} could not be loaded: its folder is gone.")
        return super().submit(*messages, checkpoint_id=checkpoint_id, **settings)


def test_a_checkpoint_that_cannot_be_loaded_holds_up_no_labelling(database: Database) -> None:
    record_prompts(database, train=30, heldout=10)
    serve(database, "initial")
    serve(database, "dpo-0001")
    labelling = make_labelling(database, TroubledEngine(served="dpo-0001", broken={"initial"}))
    assert purposes(labelling, database, count=15) == {Purpose.train: 15}


def test_held_out_prompts_that_do_not_fit_the_model_take_no_others_away(database: Database, engine: FakeEngine) -> None:
    record_prompts(database, train=3, heldout=0)
    with database.write() as session:
        for number in range(8):
            messages = [{"role": "user", "content": f"Much too long {number}"}]
            record_prompt(session, messages=messages, source="test", split=Split.heldout)
    serve(database, "initial")
    serve(database, "dpo-0001")
    engine.served, engine.too_long = "dpo-0001", "Much too long"
    labelling = make_labelling(database, engine)
    labelling.refill()
    for number in range(5):
        assert labelling.next_comparison(labeller_id=f"labeller {number}", wait_s=0) is not None
    with pytest.raises(Unavailable):
        labelling.next_comparison(labeller_id="one more", wait_s=0)


def test_another_model_is_given_the_prompts_that_the_one_before_could_not_use(
    database: Database, engine: FakeEngine
) -> None:
    record_prompts(database, train=1, heldout=0)
    serve(database, "initial")
    engine.script = ["Same."] * 8
    labelling = make_labelling(database, engine)
    labelling.refill()
    assert labelling.next_comparison(labeller_id="ana", wait_s=0) is None
    serve(database, "dpo-0001")
    engine.served = "dpo-0001"
    labelling.refill()
    assert labelling.next_comparison(labeller_id="ana", wait_s=0) is not None


def test_whoever_waits_is_told_when_the_app_ends(labelling: Labelling) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(labelling.next_comparison, labeller_id="ana", wait_s=5)
        time.sleep(0.1)
        labelling.close()
        with pytest.raises(Unavailable, match="shutting down"):
            waiting.result(2)


def test_a_refill_that_the_end_of_the_app_interrupts_is_no_failure(database: Database) -> None:
    class ClosingEngine(FakeEngine):
        def submit(self, *_: Any, **__: Any) -> FakeTicket:
            labelling.close()
            raise EngineClosed("The program shut down before this was finished.")

    record_prompts(database, train=3, heldout=0)
    serve(database, "initial")
    labelling = make_labelling(database, ClosingEngine())
    assert labelling.refill() == 0
