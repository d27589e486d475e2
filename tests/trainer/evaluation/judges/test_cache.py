"""Stored replies: what tells two calls apart, and that neither a second process nor a kill loses one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from judging import RuleJudge

from trainer.evaluation.judges.asking import Asking
from trainer.evaluation.judges.base import Ask, Comparison, Reply, Said
from trainer.evaluation.judges.cache import ReplyCache, call_key

ASK = Ask(Comparison(({"role": "user", "content": "Why?"},), "Because.", "No."), "f" * 16)
JUDGE = RuleJudge()

CHILD = """
import sys, time
from pathlib import Path
from judging import RuleJudge
from trainer.evaluation.judges.asking import Asking
from trainer.evaluation.judges.base import Comparison
from trainer.evaluation.judges.cache import ReplyCache

def rule(one):
    with open(sys.argv[2], "a") as log:
        log.write(one.first + "\\n")
    time.sleep(float(sys.argv[3]))
    return "[[A]]"

comparisons = [Comparison(({"role": "user", "content": "?"},), f"text {n}", "other") for n in range(40)]
Asking(ReplyCache(Path(sys.argv[1]))).readings(RuleJudge(rule), comparisons)
"""


def child(cache: Path, log: Path, seconds: float) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(Path(__file__).parents[3] / "support"), str(Path(__file__).parents[4])])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(cache), str(log), str(seconds)], env=environment)


@pytest.fixture
def cache(tmp_path: Path) -> ReplyCache:
    return ReplyCache(tmp_path / "c.sqlite")


def test_the_fence_is_no_part_of_what_identifies_a_call() -> None:
    assert call_key(JUDGE, ASK) == call_key(JUDGE, replace(ASK, fence="0" * 16))


@pytest.mark.parametrize(
    ("judge", "ask"),
    [
        (RuleJudge(revision="2"), ASK),
        (RuleJudge(name="other"), ASK),
        (JUDGE, replace(ASK, reminders=1)),
        (JUDGE, replace(ASK, repeat="2")),
        (JUDGE, replace(ASK, comparison=ASK.comparison.changed())),
        (JUDGE, replace(ASK, comparison=replace(ASK.comparison, reference="x"))),
    ],
)
def test_all_that_shapes_a_reply_is_part_of_it(judge: RuleJudge, ask: Ask) -> None:
    assert call_key(judge, ask) != call_key(JUDGE, ASK)


def test_a_reply_comes_back_as_it_was(cache: ReplyCache) -> None:
    made = Reply("a\ud800b", (("A", -0.1),), (1.0, 2.0), model="m", latency_s=0.5)
    cache.store("k", JUDGE, ASK, made)
    assert cache.find(["k", "missing"]) == {"k": made}


def test_the_first_reply_stored_stands(cache: ReplyCache) -> None:
    cache.store("k", JUDGE, ASK, Reply("first"))
    assert cache.store("k", JUDGE, ASK, Reply("second")).text == "first"


def test_a_failed_call_is_not_stored_and_asked_again(cache: ReplyCache) -> None:
    judge = RuleJudge(lambda one: "failed: no reply")
    assert Asking(cache).readings(judge, [ASK.comparison])[0].reading.said is Said.invalid
    judge.rule = lambda one: "[[A]]"
    assert Asking(cache).readings(judge, [ASK.comparison])[0].reading.said is Said.first
    with pytest.raises(ValueError, match="asked again"):
        cache.store("k", JUDGE, ASK, Reply(failure="x"))


def test_reading_stored_replies_anew_makes_no_call(cache: ReplyCache) -> None:
    judge = RuleJudge(lambda one: "My choice: A")
    assert Asking(cache).readings(judge, [ASK.comparison])[0].reading.said is Said.invalid
    calls = len(judge.asked)
    judge.read = lambda reply: RuleJudge().read(Reply("[[A]]"))  # type: ignore[method-assign]  # a mended parser
    assert Asking(cache).readings(judge, [ASK.comparison])[0].reading.said is Said.first
    assert len(judge.asked) == calls


def test_an_unreadable_reply_is_asked_again_twice_and_every_try_is_stored(cache: ReplyCache) -> None:
    judge = RuleJudge(lambda one: "hm", reminders=2)
    asking = Asking(cache)
    answered = asking.readings(judge, [ASK.comparison])[0]
    assert [ask.reminders for ask in judge.asked] == [0, 1, 2]
    assert len(set(answered.keys)) == 3 and asking.tally.reminded == 2
    assert answered.reading.said is Said.invalid


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    logs = [tmp_path / "one", tmp_path / "two"]
    children = [child(tmp_path / "c.sqlite", log, 0.01) for log in logs]
    assert [process.wait(timeout=60) for process in children] == [0, 0]
    with ReplyCache(tmp_path / "c.sqlite") as cache:
        assert len(cache.of_model("rule", "", 100)) == 40


def test_a_killed_process_goes_on_where_it_was_and_asks_at_most_one_call_twice(tmp_path: Path) -> None:
    file, log = tmp_path / "c.sqlite", tmp_path / "log"
    first = child(file, log, 0.05)
    deadline = time.monotonic() + 60
    while (not log.exists() or log.read_text().count("\n") < 10) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=20)
    before = log.read_text().split("\n")[:-1]
    assert child(file, log, 0.0).wait(timeout=60) == 0
    asked = log.read_text().split("\n")[:-1]
    assert 10 <= len(before) < 40 and sorted(set(asked)) == sorted(f"text {n}" for n in range(40))
    assert len(asked) <= 41
