"""The judges that need no language model: similarity, panels, drift, and how one is named."""

from pathlib import Path

import pytest
from judging import RuleJudge

from trainer.evaluation.judges.asking import Asking
from trainer.evaluation.judges.base import Comparison, Reading, Reply, Said, invalid, reading_of
from trainer.evaluation.judges.budget import Ledger, Prices
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.drift import check_drift
from trainer.evaluation.judges.named import JudgeSettings, open_judge, open_judges
from trainer.evaluation.judges.panel import Panel, Rule
from trainer.evaluation.judges.rubric_shelf import read_rubric
from trainer.evaluation.judges.similarity import SimilarityJudge, chrf

ASKED = ({"role": "user", "content": "What is the capital of France?"},)
A, B, TIE, NONE = (reading_of(said) for said in (Said.first, Said.second, Said.tie, Said.invalid))


@pytest.fixture
def cache(tmp_path: Path) -> ReplyCache:
    return ReplyCache(tmp_path / "c.sqlite")


def test_equal_texts_have_similarity_one_and_strangers_none() -> None:
    assert chrf("It is Paris.", "It is Paris.") == 1.0
    assert chrf("abc", "xyz") == chrf("", "abc") == chrf("", "") == 0.0


def test_chrf_of_two_short_words_worked_by_hand() -> None:
    # ab against abc: 1-grams 2 of 2 and 2 of 3; 2-grams 1 of 1 and 1 of 2; P = 1, R = 7/12; 5 P R / (4 P + R)
    assert chrf("ab", "abc") == pytest.approx(5 * (7 / 12) / (4 + 7 / 12))


def test_the_text_nearer_to_the_reference_wins(cache: ReplyCache) -> None:
    one = Comparison(ASKED, "Paris is.", "I like trains.", reference="It is Paris.")
    found = Asking(cache).readings(SimilarityJudge(), [one, one.changed()])
    assert [answered.reading.said for answered in found] == [Said.first, Said.second]


def test_texts_equally_near_tie() -> None:
    assert SimilarityJudge().read(Reply(scores=(0.505, 0.5))).said is Said.tie


def test_without_a_reference_there_is_no_similarity(cache: ReplyCache) -> None:
    reading = Asking(cache).readings(SimilarityJudge(), [Comparison(ASKED, "a", "b")])[0].reading
    assert reading.said is Said.invalid and "no reference" in reading.note


@pytest.mark.parametrize(
    ("rule", "members", "said"),
    [
        ("majority", [A, A, B], Said.first),
        ("majority", [A, B, TIE], Said.tie),
        ("majority", [A, B], Said.tie),
        ("majority", [A, A, NONE], Said.first),
        ("majority", [A, NONE, NONE], Said.invalid),
        ("majority", [A, NONE], Said.invalid),
        ("unanimous", [A, A, A], Said.first),
        ("unanimous", [A, A, TIE], Said.tie),
        ("mean", [Reading(Said.first, 0.9), Reading(Said.second, 0.2), B], Said.second),
    ],
)
def test_a_panels_rule_is_what_it_says(rule: Rule, members: list[Reading], said: Said) -> None:
    panel = Panel(tuple(RuleJudge(name=str(n)) for n in range(len(members))), rule)
    assert panel.combine(members).said is said


def test_a_panel_of_means_scores_the_mean() -> None:
    panel = Panel((RuleJudge(name="1"), RuleJudge(name="2")), "mean")
    assert panel.combine([Reading(Said.first, 0.9), Reading(Said.second, 0.2)]).score == pytest.approx(0.55)


def test_a_panel_needs_two_different_judges() -> None:
    with pytest.raises(ValueError, match="two or more different"):
        Panel((RuleJudge(), RuleJudge()))


def pairs(count: int) -> list[Comparison]:
    return [Comparison(ASKED, f"text {n}" + "!" * n, "another text") for n in range(count)]


def test_a_judge_that_became_another_is_asked_the_same_fifty_pairs_again(cache: ReplyCache) -> None:
    old = RuleJudge(model="v1")
    Asking(cache).readings(old, pairs(80))
    new = RuleJudge(model="v2", revision="2")
    drift = check_drift(new, cache, now="v2")
    assert drift is not None and (drift.before, drift.now, drift.agree, drift.n) == ("v1", "v2", 50, 50)
    assert len(new.asked) == 50 and not drift.alarm
    assert {ask.fence for ask in new.asked} <= {ask.fence for ask in old.asked}


def test_a_judge_that_judges_otherwise_alarms(cache: ReplyCache) -> None:
    Asking(cache).readings(RuleJudge(model="v1"), pairs(20))
    drift = check_drift(RuleJudge(lambda one: "[[A]]", model="v2"), cache, now="v2")
    assert drift is not None and drift.alarm and drift.agreement is not None and drift.agreement < 0.9


def test_a_second_check_asks_nothing(cache: ReplyCache) -> None:
    Asking(cache).readings(RuleJudge(model="v1"), pairs(20))
    new = RuleJudge(model="v2")
    assert check_drift(new, cache, now="v2") == check_drift(new, cache, now="v2")
    assert len(new.asked) == 20


def test_a_judge_that_stayed_the_same_is_not_checked(cache: ReplyCache) -> None:
    judge = RuleJudge(model="v1")
    Asking(cache).readings(judge, pairs(5))
    assert check_drift(judge, cache, now="v1") is None


def test_a_judge_that_is_not_installed_is_refused_with_the_remedy(
    cache: ReplyCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.evaluation.judges.named.JUDGE_WEIGHTS", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="starter build --judge"):
        open_judge("starter", JudgeSettings(read_rubric("helpful")), cache, Ledger(Prices()))


def test_several_names_are_a_panel(cache: ReplyCache) -> None:
    settings = JudgeSettings(read_rubric("helpful"))
    made = open_judges(
        ["similarity", "http://127.0.0.1:9/v1#m"], JudgeSettings(settings.rubric, way="text"), cache, rule="mean"
    )
    assert isinstance(made, Panel) and made.rule == "mean"


@pytest.mark.parametrize(("source", "way"), [("http://127.0.0.1:9/v1#m", "word"), ("some/model", "json")])
def test_a_way_that_a_kind_does_not_know_is_refused(cache: ReplyCache, source: str, way: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be asked by '{way}'"):
        open_judge(source, JudgeSettings(read_rubric("helpful"), way=way), cache, Ledger(Prices()))


def test_an_invalid_reading_keeps_its_reason() -> None:
    assert invalid("why") == Reading(Said.invalid, None, None, "why")
