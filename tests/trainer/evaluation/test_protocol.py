"""Both orders of every prompt: what makes a win, a flip, an invalid prompt, and what no call is made for."""

from pathlib import Path

import pytest
from judging import RuleJudge, longer

from trainer.evaluation.judges.base import Comparison, Said
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.nesting import nested
from trainer.evaluation.protocol import Case, Progress, Verdict, estimate_cases, judge_cases
from trainer.reporter import Stopped


@pytest.fixture
def cache(tmp_path: Path) -> ReplyCache:
    return ReplyCache(tmp_path / "c.sqlite")


def case(candidate: str, baseline: str, number: int = 0) -> Case:
    return Case(str(number), ({"role": "user", "content": f"Question {number}?"},), candidate, baseline)


def cases(count: int) -> list[Case]:
    return [case(f"candidate {n}", f"base {n}", n) for n in range(count)]


@pytest.mark.parametrize(
    ("replies", "verdict", "score"),
    [
        (("[[A]]", "[[B]]"), Verdict.win, 1.0),
        (("[[B]]", "[[A]]"), Verdict.loss, 0.0),
        (("[[tie]]", "[[tie]]"), Verdict.tie, 0.5),
        (("[[A]]", "[[A]]"), Verdict.flip, 0.5),
        (("[[B]]", "[[B]]"), Verdict.flip, 0.5),
        (("[[A]]", "[[tie]]"), Verdict.win, 0.75),
        (("[[tie]]", "[[A]]"), Verdict.loss, 0.25),
        (("[[A]]", "??"), Verdict.invalid, None),
        (("??", "[[tie]]"), Verdict.invalid, None),
    ],
)
def test_two_orders_make_one_verdict(
    cache: ReplyCache, replies: tuple[str, str], verdict: Verdict, score: float | None
) -> None:
    judge = RuleJudge(lambda one: replies[0] if one.first == "ours" else replies[1])
    found = judge_cases([case("ours", "theirs")], judge, cache).verdicts[0]
    assert (found.verdict, found.score) == (verdict, score)


def test_identical_texts_tie_without_a_call(cache: ReplyCache) -> None:
    judge = RuleJudge()
    found = judge_cases([case("same", "same"), case("longer", "short", 1)], judge, cache)
    assert [v.verdict for v in found.verdicts] == [Verdict.tie, Verdict.win]
    assert len(judge.asked) == 2 and found.tally.asked == 2


def test_both_orders_are_asked_with_one_fence(cache: ReplyCache) -> None:
    judge = RuleJudge()
    judge_cases(cases(3), judge, cache)
    fences = [ask.fence for ask in judge.asked]
    assert fences[0::2] == fences[1::2] and len(set(fences)) == 3


def test_the_second_run_makes_no_call(cache: ReplyCache) -> None:
    judge = RuleJudge()
    first = judge_cases(cases(10), judge, cache)
    second = judge_cases(cases(10), judge, cache)
    assert len(judge.asked) == 20 and (second.tally.asked, second.tally.stored) == (0, 20)
    assert [v.verdict for v in first.verdicts] == [v.verdict for v in second.verdicts] and first.keys == second.keys


def test_a_stopped_run_goes_on_without_asking_twice(cache: ReplyCache) -> None:
    judge = RuleJudge()
    with pytest.raises(Stopped):
        judge_cases(cases(10), judge, cache, should_stop=lambda: len(judge.asked) >= 7)
    assert len(judge.asked) == 7
    judge_cases(cases(10), judge, cache)
    assert len(judge.asked) == 20


def test_a_judge_that_sees_no_order_is_asked_once_for_both(cache: ReplyCache) -> None:
    judge = RuleJudge(sees_order=False)
    found = judge_cases(cases(5), judge, cache)
    assert len(judge.asked) == 5 and found.orders == 1


def test_one_order_shows_each_side_first_equally_often(cache: ReplyCache) -> None:
    judge = RuleJudge()
    found = judge_cases(cases(40), judge, cache, orders="one")
    first = [v.shown[0].candidate_first for v in found.verdicts]
    assert len(judge.asked) == 40 and sum(first) == 20


def test_a_prompt_shows_the_same_role_first_whichever_text_plays_it(cache: ReplyCache) -> None:
    turned = [Case(c.prompt, c.messages, c.baseline, c.candidate) for c in cases(40)]
    judge, other = RuleJudge(), RuleJudge(name="other")
    judge_cases(cases(40), judge, cache, orders="one")
    judge_cases(turned, other, cache, orders="one")
    ours = {ask.comparison.messages[0]["content"]: "candidate" in ask.comparison.first for ask in judge.asked}
    theirs = {ask.comparison.messages[0]["content"]: "candidate" in ask.comparison.first for ask in other.asked}
    assert sum(ours[key] == theirs[key] for key in ours) == 0


def test_progress_ends_at_the_total_and_tells_what_is_left(cache: ReplyCache) -> None:
    told: list[Progress] = []
    judge_cases(cases(6), RuleJudge(), cache, on_progress=told.append)
    assert told[-1].done == told[-1].total == 12 and told[-1].seconds_left == 0.0
    assert [p.done for p in told] == sorted(p.done for p in told)


def test_smaller_evaluations_are_part_of_larger_ones() -> None:
    some = cases(50)
    assert nested(some, 10) == nested(some, 30)[:10]


def test_the_estimate_counts_only_what_is_not_stored(cache: ReplyCache) -> None:
    judge = RuleJudge()
    assert estimate_cases(cases(8), judge, cache).calls == 16
    judge_cases(cases(5), judge, cache)
    assert estimate_cases(cases(8), judge, cache).calls == 6


def test_a_panel_asks_each_member_and_counts_the_majority(cache: ReplyCache) -> None:
    members = (RuleJudge(name="one"), RuleJudge(name="two"), RuleJudge(lambda one: "[[A]]", name="biased"))
    found = judge_cases([case("long text", "short")], Panel(members), cache)
    assert found.verdicts[0].verdict is Verdict.win and [len(m.asked) for m in members] == [2, 2, 2]
    again = judge_cases([case("long text", "short")], members[0], cache)
    assert again.tally.stored == 2  # a member's replies are its own


def test_a_failed_call_makes_its_prompt_invalid_and_is_asked_in_the_next_run(cache: ReplyCache) -> None:
    judge = RuleJudge(lambda one: "failed: HTTP 500" if one.first == "ours" else longer(one))
    found = judge_cases([case("ours", "theirs")], judge, cache).verdicts[0]
    assert found.verdict is Verdict.invalid and found.shown[0].reading.note == "HTTP 500"
    judge.rule = longer
    assert judge_cases([case("ours", "theirs")], judge, cache).verdicts[0].verdict is Verdict.loss
    assert len(judge.asked) == 3


def test_a_comparison_that_cannot_be_put_to_the_judge_is_invalid_with_the_reason(cache: ReplyCache) -> None:
    class Picky(RuleJudge):
        def request(self, ask):  # type: ignore[no-untyped-def]
            raise ValueError("no reference")

    found = judge_cases([case("ours", "theirs")], Picky(), cache).verdicts[0]
    assert found.verdict is Verdict.invalid and found.shown[0].reading.said is Said.invalid
    assert found.shown[0].reading.note == "no reference"


def test_the_texts_are_shown_as_they_are() -> None:
    one = Comparison(({"role": "user", "content": "?"},), "a", "b", "ref")
    assert one.changed() == Comparison(one.messages, "b", "a", "ref")
