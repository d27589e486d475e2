"""Which choices a run learns from: all, the last, only those since wishes changed; and edited replies with them."""

from pathlib import Path
from typing import Any

import pytest
from labelled import record_choices, record_prompts
from sqlmodel import col, select

from storage.comparisons import record_comparison, record_completion
from storage.database import Database
from storage.errors import Invalid
from storage.preferences import record_labeller, record_preference
from storage.runs import claim_run, finish_run, queue_run
from storage.tables import (
    Choice,
    ComparisonState,
    Completion,
    Feedback,
    Preference,
    Prompt,
    Purpose,
    RunStatus,
    TrainingRun,
)
from trainer.dataset import TrainingData, all_choices, build_dataset
from trainer.policy import Policy, load_policy
from trainer.reporter import Stopped


@pytest.fixture(scope="module")
def initial(tiny_model_dir: Path) -> Policy:
    return load_policy(tiny_model_dir, device="cpu")


@pytest.fixture
def database(database: Database) -> Database:
    record_prompts(database, train=60, heldout=0)
    return database


def queue(database: Database, **config: Any) -> str:
    with database.write() as session:
        run = queue_run(
            session, algorithm="dpo", config=config, trigger="person", started_because="test", automatic=False
        )
        return run.id


def claim(database: Database, run_id: str) -> TrainingRun:
    with database.write() as session:
        return claim_run(session, run_id, pid=1, process_started_at=0.0)


def finish(database: Database, run: TrainingRun, *, first: int = 0) -> None:
    with database.write() as session:
        finish_run(session, run.id, attempt=run.attempt, status=RunStatus.succeeded).first_preference_id = first


def built(database: Database, initial: Policy, **config: Any) -> TrainingData:
    return build_dataset(database, claim(database, queue(database, **config)), initial)


def edit(database: Database, text: str) -> None:
    """A reply in the chat, edited."""
    with database.write() as session:
        record_labeller(session, labeller_id="someone")
        prompt = session.exec(select(Prompt).order_by(col(Prompt.id))).first()
        assert prompt is not None and prompt.id is not None
        reply = record_completion(session, Completion(prompt_id=prompt.id, text="The old reply."))
        assert reply.id is not None
        session.add(Feedback(completion_id=reply.id, labeller_id="someone", edited_text=text))


def edited(data: TrainingData) -> list[str]:
    return [pair.chosen for pair in data.pairs if pair.rejected == "The old reply."]


def test_a_run_learns_from_all_choices_up_to_its_queueing(database: Database, initial: Policy) -> None:
    before = record_choices(database, count=6)
    run_id = queue(database, preferences="auto")
    record_choices(database, count=6, seed=1)
    data = build_dataset(database, claim(database, run_id), initial)
    assert data.preference_ids == tuple(before)
    assert [pair.preference_id for pair in data.pairs] == before


def test_the_chosen_side_is_the_one_that_was_chosen(database: Database, initial: Policy) -> None:
    record_choices(database, count=6, word="kindly")
    data = built(database, initial)
    assert all("kindly" in pair.chosen and "kindly" not in pair.rejected for pair in data.pairs)
    assert data.features.shape == (2, 6, data.features.shape[2])


def test_the_last_choices_are_the_newest(database: Database, initial: Policy) -> None:
    ids = record_choices(database, count=6)
    edit(database, "An edited reply.")
    data = built(database, initial, preferences="last 2")
    assert data.preference_ids == tuple(ids[-2:])
    assert len(data.pairs) == 2


def tie(database: Database) -> None:
    """The newest choice becomes a tie."""
    with database.write() as session:
        newest = session.exec(select(Preference).order_by(col(Preference.id).desc())).first()
        assert newest is not None
        newest.choice = Choice.tie


def test_ties_are_learnt_from_where_the_config_asks_and_then_the_digest_is_another(
    database: Database, initial: Policy
) -> None:
    record_choices(database, count=6)
    tie(database)
    run = claim(database, queue(database))
    without = build_dataset(database, run, initial)
    finish(database, run)
    with_them = built(database, initial, ties=True)
    assert without.ties == () and len(without.pairs) == len(with_them.pairs) == 5
    assert [one.rewards for one in with_them.ties] == [(0.5, 0.5)]
    assert with_them.digest != without.digest
    assert with_them.note.endswith("and 1 ties.")


def contradict(database: Database, count: int) -> list[int]:
    """Choices against exclamation marks; their ids."""
    ids = []
    with database.write() as session:
        prompts = session.exec(select(Prompt).order_by(col(Prompt.id)).limit(count)).all()
        for number, prompt in enumerate(prompts):
            assert prompt.id is not None
            plain, loud = (Completion(prompt_id=prompt.id, text=f"Number {number}{end}") for end in ("", "!!!"))
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=plain,
                right=loud,
                purpose=Purpose.train,
                state=ComparisonState.leased,
            )
            preference, _ = record_preference(
                session,
                comparison_id=comparison.id,
                labeller_id="someone",
                choice=Choice.left,
                client_id=f"against-{number}",
            )
            assert preference.id is not None
            ids.append(preference.id)
    return ids


def test_choices_that_contradict_the_earlier_ones_are_learnt_alone_and_their_edits_with_them(
    database: Database, initial: Policy
) -> None:
    earlier = record_choices(database, count=40, word="!!!")
    edit(database, "An old edit!!!")
    finish(database, claim(database, queue(database)))
    newer = contradict(database, count=20)
    edit(database, "A new edit.")
    data = built(database, initial)
    assert data.preference_ids == tuple(newer)
    assert data.first_preference_id == earlier[-1]
    assert "Wishes have changed" in data.note
    assert edited(data) == ["A new edit."]


def test_what_wishes_left_behind_stays_behind(database: Database, initial: Policy) -> None:
    earlier = record_choices(database, count=40, word="!!!")
    newer = contradict(database, count=20)
    finish(database, claim(database, queue(database)), first=earlier[-1])
    assert built(database, initial).preference_ids == tuple(newer)


def test_all_choices_are_learnt_where_that_is_configured(database: Database, initial: Policy) -> None:
    earlier = record_choices(database, count=40, word="!!!")
    finish(database, claim(database, queue(database)))
    newer = contradict(database, count=20)
    assert built(database, initial, preferences="all").preference_ids == tuple(earlier + newer)


def test_a_resumed_run_learns_from_the_edits_that_were_there_when_it_first_began(
    database: Database, initial: Policy
) -> None:
    record_choices(database, count=6)
    edit(database, "Before.")
    run = claim(database, queue(database))
    first = build_dataset(database, run, initial)
    edit(database, "After.")
    again = build_dataset(database, run, initial)
    assert edited(first) == edited(again) == ["Before."]
    assert first.digest == again.digest


def test_edits_alone_are_enough_to_learn_from(database: Database, initial: Policy) -> None:
    edit(database, "An edited reply.")
    data = built(database, initial)
    assert edited(data) == ["An edited reply."]
    assert (data.preference_ids, data.pairs[0].preference_id, data.features.shape[1]) == ((), 0, 1)


def test_pairs_that_part_before_the_last_turn_are_left_out_and_said_to_be(database: Database, initial: Policy) -> None:
    ids = record_choices(database, count=6)
    with database.write() as session:
        chosen = session.exec(select(Completion).order_by(col(Completion.id))).first()
        assert chosen is not None
        chosen.turns = [{"role": "assistant", "content": "One."}, {"role": "user", "content": "Two?"}]
        session.add(chosen)
    data = built(database, initial)
    assert data.preference_ids == tuple(ids[1:])
    assert "1 that differ before the last turn were left out" in data.note
    with database.read() as session:
        assert all_choices(session, initial).preference_ids == tuple(ids[1:])


def test_ties_and_skips_are_nothing_to_learn_from(database: Database, initial: Policy) -> None:
    record_choices(database, count=2)
    with database.write() as session:
        for preference, choice in zip(session.exec(select(Preference)).all(), (Choice.tie, Choice.skip), strict=True):
            preference.choice = choice
            session.add(preference)
    with pytest.raises(Invalid, match="nothing to learn from"):
        built(database, initial)


def test_looking_at_the_choices_can_be_stopped_and_says_how_far_it_is(database: Database, initial: Policy) -> None:
    record_choices(database, count=6)
    run = claim(database, queue(database))
    told: list[tuple[int, int]] = []
    build_dataset(database, run, initial, on_progress=lambda step, total: told.append((step, total)))
    assert told == [(12, 12)]
    with pytest.raises(Stopped):
        build_dataset(database, run, initial, should_stop=lambda: True)


def reject_both(database: Database, *, number: int) -> int:
    """A comparison whose two sides are bad; the id of the choice."""
    with database.write() as session:
        prompt = session.exec(select(Prompt).order_by(col(Prompt.id)).offset(number)).first()
        assert prompt is not None and prompt.id is not None
        left, right = (Completion(prompt_id=prompt.id, text=f"Bad {side} {number}.") for side in ("left", "right"))
        comparison = record_comparison(
            session,
            prompt_id=prompt.id,
            left=left,
            right=right,
            purpose=Purpose.train,
            state=ComparisonState.leased,
        )
        choice, _ = record_preference(
            session,
            comparison_id=comparison.id,
            labeller_id="someone",
            choice=Choice.both_bad,
            client_id=f"both-{number}",
        )
        assert choice.id is not None
        return choice.id


def thumb(database: Database, *thumbs: str, number: int = 0) -> int:
    """A reply in the chat with these thumbs, one after another by one person; the completion's id."""
    with database.write() as session:
        record_labeller(session, labeller_id="someone")
        prompt = session.exec(select(Prompt).order_by(col(Prompt.id)).offset(number)).first()
        assert prompt is not None and prompt.id is not None
        reply = record_completion(session, Completion(prompt_id=prompt.id, text=f"Reply {number}."))
        assert reply.id is not None
        for one in thumbs:
            session.add(Feedback(completion_id=reply.id, labeller_id="someone", thumb=one))
        return reply.id


def built_for_kto(database: Database, initial: Policy, **config: Any) -> TrainingData:
    with database.write() as session:
        run = queue_run(
            session, algorithm="kto", config=config, trigger="person", started_because="test", automatic=False
        )
        run_id = run.id
    run = claim(database, run_id)
    data = build_dataset(database, run, initial)
    finish(database, run)
    return data


def test_kto_learns_from_both_sides_of_pairs_thumbs_and_of_what_was_all_bad(
    database: Database, initial: Policy
) -> None:
    ids = record_choices(database, count=3)
    both = reject_both(database, number=4)
    thumb(database, "up", number=5)
    thumb(database, "up", "down", number=6)  # changed their mind
    data = built_for_kto(database, initial)
    assert [one.good for one in data.rated] == [True, False] * 3 + [False, False, True, False]
    assert [one.completion for one in data.ratings] == ["Bad left 4.", "Bad right 4.", "Reply 5.", "Reply 6."]
    assert data.preference_ids == (*ids, both)
    assert "thumbs: 1 up, 1 down; 2 completions of comparisons where both were bad" in data.note
    pairs_alone = built(database, initial)
    assert pairs_alone.ratings == () and pairs_alone.preference_ids == tuple(ids)
    assert data.digest != pairs_alone.digest


def test_thumbs_alone_are_enough_for_kto_and_for_no_other(database: Database, initial: Policy) -> None:
    thumb(database, "up", number=1)
    thumb(database, "down", number=2)
    data = built_for_kto(database, initial)
    assert data.pairs == [] and [one.good for one in data.rated] == [True, False]
    with pytest.raises(Invalid, match="nothing to learn from") as refused:
        built(database, initial)
    assert refused.value.hint is not None and "KTO learns from thumbs" in refused.value.hint


def test_the_last_few_choices_bring_what_was_all_bad_since_and_no_thumbs(database: Database, initial: Policy) -> None:
    reject_both(database, number=4)
    record_choices(database, count=2)
    late = reject_both(database, number=5)
    thumb(database, "up", number=6)
    data = built_for_kto(database, initial, preferences="last 1")
    assert [one.preference_id for one in data.ratings] == [late, late]


def test_a_thumb_on_a_reply_that_was_edited_does_not_count(database: Database, initial: Policy) -> None:
    reply = thumb(database, "up", number=1)
    with database.write() as session:
        session.add(Feedback(completion_id=reply, labeller_id="someone", edited_text="Better."))
    data = built_for_kto(database, initial)
    assert data.ratings == () and [(one.completion, one.good) for one in data.rated] == [
        ("Better.", True),
        ("Reply 1.", False),
    ]
