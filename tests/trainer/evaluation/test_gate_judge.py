"""The gate's judge: what it finds, what stops it, and that nothing it does ends a run or passes for a verdict."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import RuleJudge, Said, reply, serving

from storage.tables import Choice
from trainer.evaluation import gate_judge as module
from trainer.evaluation.gate_judge import GateJudge, JudgeFindings, opened_judge
from trainer.evaluation.judges.base import Comparison
from trainer.evaluation.judges.cache import FILE, ReplyCache
from trainer.evaluation.protocol import Case
from trainer.evaluation.verdict_rows import judged_verdicts
from trainer.gate_options import OFF, GateOptions
from trainer.reporter import Stopped


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ReplyCache]:
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        yield cache


def cases(count: int = 60) -> list[Case]:
    """The candidate's text is the longer one on two prompts of three."""
    made = []
    for n in range(count):
        sides = (f"a longer text {n}", f"short {n}")
        candidate, baseline = sides if n % 3 else sides[::-1]
        made.append(Case(str(n), ({"role": "user", "content": f"Question {n}?"},), candidate, baseline))
    return made


def judged(judge: GateJudge, asked: list[Case], stop: Callable[[], bool] = lambda: False) -> JudgeFindings | None:
    return judge.judge(asked, candidate="dpo-0002", baseline="dpo-0001", tell=lambda *_: None, should_stop=stop)


def opened(folder: Path, **options: Any) -> GateJudge:
    with opened_judge(GateOptions(**options), data_dir=folder, device="cpu", base="") as judge:
        return judge


def test_its_scores_are_the_candidates_over_both_orders(cache: ReplyCache) -> None:
    found = judged(GateJudge(RuleJudge(), None, cache), cases())
    assert found is not None and not found.problem
    assert found.scores == [0.0 if n % 3 == 0 else 1.0 for n in range(60)]
    assert found.figures["win_rate"] == pytest.approx(2 / 3) and found.figures["calls"]["asked"] == 120


def test_more_than_2_per_cent_invalid_verdicts_do_not_count(cache: ReplyCache) -> None:
    def rule(one: Comparison) -> str:
        return "??" if "Question 5?" in str(one.messages) or "Question 50?" in str(one.messages) else "[[tie]]"

    found = judged(GateJudge(RuleJudge(rule), None, cache), cases())
    assert found is not None and "no valid verdict on 2 of 60 pairs of texts (3.3%, limit 2%)" in found.problem


def test_a_judge_that_says_nothing_usable_is_not_asked_about_the_rest(cache: ReplyCache) -> None:
    rule = RuleJudge(lambda one: "failed: nothing answers at http://127.0.0.1:1")
    found = judged(GateJudge(rule, None, cache), cases())
    assert found is not None and "could not be heard" in found.problem and "nothing answers" in found.problem
    assert len(rule.asked) == 8 and found.scores == []


def test_a_candidate_with_one_text_for_everything_is_not_judged_well(cache: ReplyCache) -> None:
    same = [Case(c.prompt, c.messages, "One long text that fits all.", c.baseline) for c in cases()]
    found = judged(GateJudge(RuleJudge(), None, cache), same)
    assert found is not None and "one text to many different prompts" in found.problem


def test_whatever_a_judge_raises_becomes_its_problem(cache: ReplyCache) -> None:
    def breaks(one: Comparison) -> str:
        raise MemoryError("no room for 7 GB")

    judge = GateJudge(RuleJudge(breaks), None, cache)
    found = judged(judge, cases())
    assert found is not None and found.problem == "The judge rule could not be heard: no room for 7 GB."
    assert judged(judge, cases()) == found  # it is not asked again in this gate


def test_a_stop_is_no_problem_of_the_judge(cache: ReplyCache) -> None:
    with pytest.raises(Stopped):
        judged(GateJudge(RuleJudge(), None, cache), cases(), stop=lambda: True)


def people(count: int) -> list[tuple[list[dict[str, str]], str, str, Choice]]:
    prompt = [{"role": "user", "content": "Why?"}]
    right = [(prompt, f"short {n}", f"a longer text {n}", Choice.right) for n in range(count // 2)]
    return [(prompt, f"a longer text {n}", f"short {n}", Choice.left) for n in range(count // 2)] + right


def measured(cache: ReplyCache, count: int, *, for_people: bool = True, judge: RuleJudge | None = None) -> GateJudge:
    made = GateJudge(judge or RuleJudge(), None, cache, for_people=for_people)
    made.measure(people(count), tell=lambda *_: None, should_stop=lambda: False)
    return made


def test_it_answers_for_people_once_it_agrees_with_100_of_their_choices(cache: ReplyCache) -> None:
    judge = measured(cache, 100)
    assert judge.answers_b and judge.planned().note.endswith("(kappa 1.00). So it speaks for them.")


def test_with_fewer_choices_it_does_not_and_says_how_many_there_are(cache: ReplyCache) -> None:
    judge = measured(cache, 40)
    assert not judge.answers_b
    assert "40 of 40 choices (kappa 1.00). To speak for them it needs a kappa of 0.4 on 100" in judge.planned().note


def test_a_judge_that_does_not_claim_to_speak_for_people_is_only_measured(cache: ReplyCache) -> None:
    judge = measured(cache, 100, for_people=False)
    assert not judge.answers_b and "kappa 1.00" in judge.planned().note


def test_a_reward_model_cannot_speak_for_those_whose_choices_it_was_trained_on(cache: ReplyCache) -> None:
    judge = measured(cache, 100, judge=RuleJudge(kind="reward_model"))
    assert not judge.answers_b and "trained on their choices" in judge.planned().note


def test_who_answers_does_not_change_when_the_judge_fails_later(cache: ReplyCache) -> None:
    rule = RuleJudge()
    judge = measured(cache, 100, judge=rule)
    rule.rule = lambda one: "failed: it is down"
    assert judged(judge, cases()) is not None and judge.problem and judge.answers_b


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({}, "none is named"),
        ({"judge": OFF, "starter": True}, "turned off"),
    ],
)
def test_without_a_judge_the_reason_says_so_and_nothing_is_asked(
    tmp_path: Path, options: dict[str, Any], note: str
) -> None:
    judge = opened(tmp_path, **options)
    assert note in judge.planned().note and not judge.problem
    assert judged(judge, cases()) is None and not (tmp_path / FILE).exists()


def test_a_starter_without_its_judge_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JUDGE_WEIGHTS", tmp_path / "nowhere")
    judge = opened(tmp_path, starter=True)
    assert "starter's judge is not part of this installation" in judge.planned().note and not judge.problem


def test_a_judge_that_was_named_and_is_not_there_is_a_problem(tmp_path: Path) -> None:
    judge = opened(tmp_path, judge=str(tmp_path / "no-such-judge"))
    found = judged(judge, cases())
    assert found is not None and "could not be heard" in found.problem and "no-such-judge" in found.problem


def test_a_rubric_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert "no rubric 'kindness'" in opened(tmp_path, judge="similarity", rubric="kindness").problem


def test_the_starters_judge_judges_no_other_model(tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "build.json").write_text('{"recipe": "judge"}')
    assert "starter's descendants only" in opened(tmp_path, judge=str(folder)).problem


def test_a_server_is_asked_by_the_rubric_of_quality_within_its_budget(tmp_path: Path) -> None:
    with serving(rule=lambda payload: reply("Both will do.\n[[tie]]")) as server:
        options = GateOptions(judge=f"{server.url}#m", way="text", prices=(1.0, 1.0), budget=1.0, key="secret")
        with opened_judge(options, data_dir=tmp_path, device="cpu", base="") as judge:
            found = judged(judge, cases(10))
    assert found is not None and not found.problem and found.scores == [0.5] * 10
    assert "right and well-formed" in str(server.seen[0]["messages"][0]["content"])
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert judge.planned().rubric == "quality" and found.figures["calls"]["spent"]["cost"] > 0


def test_a_budget_that_is_spent_is_a_problem_with_its_figures(tmp_path: Path) -> None:
    with serving() as server:
        options = GateOptions(judge=f"{server.url}#m", way="text", prices=(1000.0, 1000.0), budget=0.001)
        with opened_judge(options, data_dir=tmp_path, device="cpu", base="") as judge:
            found = judged(judge, cases(10))
    assert found is not None and "budget of 0.001" in found.problem and server.seen == []


def test_a_server_that_refuses_is_a_problem(tmp_path: Path) -> None:
    with serving(rule=lambda payload: Said(status=401, body={"error": "who are you?"})) as server:
        with opened_judge(
            GateOptions(judge=f"{server.url}#m", way="text"), data_dir=tmp_path, device="cpu", base=""
        ) as judge:
            found = judged(judge, cases(10))
    assert found is not None and "answers 401" in found.problem


def test_several_samples_of_a_prompt_count_as_one_score_the_mean(cache: ReplyCache) -> None:
    messages = ({"role": "user", "content": "Why?"},)
    texts = [("a longer text 1", "short 1"), ("a longer text 2", "short 2"), ("short 3", "a longer text 3"), ("x", "x")]
    asked = [Case("7", messages, *pair) for pair in texts] + [Case("8", messages, "tiny", "a longer text")]
    found = judged(GateJudge(RuleJudge(), None, cache), asked)
    assert found is not None and found.judged is not None
    assert found.scores == [pytest.approx(2.5 / 4), 0.0]
    rows = judged_verdicts(found.judged)
    assert [(row.prompt_id, row.verdict, row.score) for row in rows] == [(7, "win", 2.5 / 4), (8, "loss", 0.0)]
    assert len(rows[0].texts["replies"]) == 6 and found.figures["win_rate"] == pytest.approx((2.5 / 4 + 0) / 2)


def test_a_cheap_judge_sees_every_sample_and_a_dear_one_the_first(cache: ReplyCache) -> None:
    assert GateJudge(RuleJudge(kind="starter"), None, cache).samples == 4
    assert GateJudge(RuleJudge(kind="endpoint"), None, cache).samples == 1
