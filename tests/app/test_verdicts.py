"""Behind a point: prompts with texts and replies, slices by tag, and what readers think of a verdict."""

from pathlib import Path

import pytest
from rows import record_history

from app.agreement import agreement_report
from app.verdicts import Point, find_point, slices, verdict_rows
from app.win_rates import WinRates
from storage.database import Database
from storage.errors import NotFound
from storage.tables import Prompt, Verdict
from storage.verdict_choices import record_verdict_choice, verdict_choices
from trainer.evaluation.statistics import wilson

FIRST = 1  # the evaluation of dpo-0001: 25 of 40 won


class _Slot:
    current_id = "initial"


@pytest.fixture
def lived(tmp_path: Path) -> Database:
    database = Database.in_directory(tmp_path)
    database.migrate()
    record_history(database, tmp_path, slot=_Slot())
    return database


def point(database: Database, item: str = str(FIRST)) -> Point:
    with database.read() as session:
        found = find_point(session, item)
    assert found is not None
    return found


def say(database: Database, prompt_id: int, agrees: bool | None, who: str = "ann") -> None:
    with database.write() as session:
        record_verdict_choice(session, evaluation_id=FIRST, prompt_id=prompt_id, labeller_id=who, agrees=agrees)


def prompts(database: Database) -> list[int]:
    with database.read() as session:
        return [row.prompt_id for row in verdict_rows(session, point(database), limit=100)]


@pytest.mark.parametrize("item", ["999", "nobody:initial", "dpo-0001", "", "1e3", "９"])
def test_what_is_no_point_is_none(lived: Database, item: str) -> None:
    with lived.read() as session:
        assert find_point(session, item) is None


def test_a_point_is_named_by_its_evaluation_or_by_its_two_sides(lived: Database) -> None:
    judged, chosen = point(lived), point(lived, "dpo-0001:initial")
    assert (judged.candidate, judged.baseline, judged.by) == ("dpo-0001", "starter", "preference model")
    assert (chosen.candidate, chosen.baseline, chosen.evaluation_id) == ("dpo-0001", "starter", None)


def test_lost_prompts_come_first_with_both_texts_and_replies(lived: Database) -> None:
    with lived.write() as session:
        verdict = session.get_one(Verdict, (FIRST, prompts(lived)[0]))
        reply = {"candidate_first": False, "said": "B", "text": "[[B]]", "keys": []}
        verdict.texts = {"candidate": "mine", "baseline": "theirs", "replies": [reply]}
    with lived.read() as session:
        rows = verdict_rows(session, point(lived), limit=3)
    assert [row.score for row in rows] == [0.0, 0.0, 0.0]
    assert (rows[0].candidate, rows[0].baseline, rows[0].replies) == ("mine", "theirs", [("starter", "[[B]]")])


def test_who_disagrees_makes_a_verdict_disputed_until_it_is_taken_back(lived: Database) -> None:
    prompt_id = prompts(lived)[-1]
    say(lived, prompt_id, True)
    say(lived, prompt_id, False)
    say(lived, prompt_id, True, who="bob")
    with lived.read() as session:
        (row,) = verdict_rows(session, point(lived), labeller_id="ann", disputed=True)
    assert (row.prompt_id, row.agrees, row.disagrees, row.mine) == (prompt_id, 1, 1, False)
    say(lived, prompt_id, None)
    with lived.read() as session:
        assert verdict_rows(session, point(lived), disputed=True) == []
        assert len(verdict_choices(session, evaluation_id=FIRST)) == 1


def test_an_opinion_of_no_verdict_is_refused(lived: Database) -> None:
    with pytest.raises(NotFound, match="no verdict on prompt 9999"):
        say(lived, 9999, True)


def test_opinions_enter_the_judges_agreement_and_no_win_rate(lived: Database) -> None:
    rates = WinRates(lived)
    before = rates.points()
    for prompt_id, agrees in zip(prompts(lived), [True, True, True, False], strict=False):
        say(lived, prompt_id, agrees)
    with lived.read() as session:
        judge = agreement_report(session, rates.read())["judges"]["preference_model"]
    assert (judge["read"]["agree"], judge["read"]["total"], judge["agreement"]) == (3, 4, None)
    assert rates.points() == before


def test_slices_are_the_win_rates_by_tag(lived: Database) -> None:
    ids = prompts(lived)  # 15 lost, then 25 won
    with lived.write() as session:
        for place, prompt_id in enumerate(ids):
            session.get_one(Prompt, prompt_id).tags = ["hard"] if place < 12 else ["easy", "sums"]
    with lived.read() as session:
        found = {row.tag: row for row in slices(session, point(lived))}
    assert {tag: (row.n, row.rate) for tag, row in found.items()} == {
        "easy": (28, 25 / 28),
        "sums": (28, 25 / 28),
        "hard": (12, 0.0),
    }
    assert (found["hard"].low, found["hard"].high) == (0.0, pytest.approx(wilson(0, 12).high))
    assert found["easy"].p is not None and found["easy"].p < 0.001
    assert found["hard"].p == pytest.approx(2 * 0.5**12)  # scores that are all alike: the sign test, exactly
