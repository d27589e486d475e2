"""The two-order protocol: a candidate against a baseline on the same prompts, one verdict per prompt. Free of torch.

Each pair of texts is shown to the judge in both orders. The prompt's score is the mean of the two, seen from the
candidate; verdicts that contradict each other are a flip, which is half a point and no tie; one invalid order makes the
prompt invalid, because half a verdict is a biased one. Identical texts tie without a call. Everything a judge replied
is stored as it comes, so a run that was stopped or killed goes on where it was.
Leaves out what verdicts amount to (protocol_report.py) and where the texts come from.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Literal

from trainer.evaluation.judges.asking import Answered, Asking, Tally
from trainer.evaluation.judges.base import SCORE, Ask, Comparison, Judge, Messages, Reading
from trainer.evaluation.judges.budget import Estimate
from trainer.evaluation.judges.cache import ReplyCache, call_key
from trainer.evaluation.judges.endpoint import EndpointJudge
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.judges.rubric import new_fence

Orders = Literal["both", "one"]


class Verdict(StrEnum):
    """A prompt's outcome for the candidate; the same words as stored (storage.tables.VerdictKind)."""

    win = "win"
    loss = "loss"
    tie = "tie"
    flip = "flip"
    invalid = "invalid"


@dataclass(frozen=True)
class Case:
    """One prompt with the texts of both sides."""

    prompt: str
    messages: Messages
    candidate: str
    baseline: str
    reference: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What the judge said in one order. `score` is the candidate's, None where invalid."""

    candidate_first: bool
    reading: Reading
    keys: tuple[str, ...]
    text: str

    @property
    def score(self) -> float | None:
        score = self.reading.score
        return score if score is None or self.candidate_first else 1 - score

    @property
    def side(self) -> float | None:
        """1, 0 or .5 by the verdict alone."""
        hard = SCORE[self.reading.said]
        return hard if hard is None or self.candidate_first else 1 - hard


@dataclass(frozen=True)
class PromptVerdict:
    """A prompt's outcome. `score` is the candidate's in 0..1, None where invalid; `shown` is empty for equal texts."""

    case: Case
    verdict: Verdict
    score: float | None
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Judged:
    """An evaluation's verdicts in the order of its cases, and what asking for them came to."""

    verdicts: list[PromptVerdict]
    tally: Tally
    orders: int

    @property
    def keys(self) -> list[str]:
        """The stored replies that this rests on."""
        return sorted({key for verdict in self.verdicts for shown in verdict.shown for key in shown.keys})

    def by_prompt(self) -> dict[str, list[PromptVerdict]]:
        """The verdicts of each prompt: one, or as many as it has cases (several samples a side)."""
        found: dict[str, list[PromptVerdict]] = {}
        for verdict in self.verdicts:
            found.setdefault(verdict.case.prompt, []).append(verdict)
        return found


@dataclass(frozen=True)
class Progress:
    """Comparisons done and in all, and about how many seconds are left; None before the first new reply."""

    done: int
    total: int
    seconds_left: float | None


def mean_score(verdicts: Sequence[PromptVerdict]) -> float | None:
    """One prompt's score over its cases, invalid ones left out; None where none is valid."""
    scores = [one.score for one in verdicts if one.score is not None]
    return fmean(scores) if scores else None


def together(verdicts: Sequence[PromptVerdict]) -> Verdict:
    """One prompt's outcome over its cases: the side that won more of them, else a tie, or a flip where all flipped."""
    kinds = [one.verdict for one in verdicts if one.verdict is not Verdict.invalid]
    if not kinds:
        return Verdict.invalid
    ahead = kinds.count(Verdict.win) - kinds.count(Verdict.loss)
    if ahead:
        return Verdict.win if ahead > 0 else Verdict.loss
    return Verdict.flip if set(kinds) == {Verdict.flip} else Verdict.tie


def judge_cases(
    cases: Sequence[Case],
    judge: Judge | Panel,
    cache: ReplyCache,
    *,
    orders: Orders = "both",
    seed: int = 0,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Judged:
    """A verdict for every case. Raises Stopped once should_stop() is true, BudgetSpent and JudgeRefused.

    `orders="one"` is a declared saving: each prompt is shown once, every second one with the baseline first (by a hash
    of seed, prompt and texts), and position bias is left in the verdicts. A judge that sees no order is asked once.
    """
    plan = _plan(cases, judge, orders, seed)
    fences = {case: new_fence() for case, _ in plan}  # one for both orders, so that they share a prefix
    asking = Asking(cache, should_stop=should_stop)
    begun = time.monotonic()

    def tell(done: int, total: int) -> None:
        asked = asking.tally.asked
        left = (time.monotonic() - begun) / asked * (total - done) if asked else None
        on_progress(Progress(done, total, left))

    asking.on_progress = tell
    answered = asking.readings(
        judge, [_comparison(cases[case], first) for case, first in plan], [fences[case] for case, _ in plan]
    )
    shown: dict[int, list[Shown]] = {}
    for (case, first), one in zip(plan, answered, strict=True):
        shown.setdefault(case, []).append(_shown(first, one))
    both = 2 if judge.sees_order and orders == "both" else 1
    return Judged([_verdict(case, shown.get(i, [])) for i, case in enumerate(cases)], asking.tally, both)


def estimate_cases(
    cases: Sequence[Case], judge: Judge | Panel, cache: ReplyCache, *, orders: Orders = "both", seed: int = 0
) -> Estimate:
    """What judge_cases would still have to ask for and pay, reminders and retries left out. Asks nothing."""
    if isinstance(judge, Panel):
        each = [_estimate(member, _plan(cases, judge, orders, seed), cases, cache) for member in judge.members]
        return sum(each[1:], each[0])
    return _estimate(judge, _plan(cases, judge, orders, seed), cases, cache)


def _estimate(judge: Judge, plan: Sequence[tuple[int, bool]], cases: Sequence[Case], cache: ReplyCache) -> Estimate:
    asks: dict[str, Ask] = {}
    for case, first in plan:
        ask = Ask(_comparison(cases[case], first), new_fence())
        try:
            asks[call_key(judge, ask)] = ask
        except ValueError:  # cannot be asked, so costs nothing; told as invalid when it is judged
            continue
    stored = cache.find(asks)
    missing = [ask for key, ask in asks.items() if key not in stored]
    return judge.estimate(missing) if isinstance(judge, EndpointJudge) else Estimate(len(missing))


def _plan(cases: Sequence[Case], judge: Judge | Panel, orders: Orders, seed: int) -> list[tuple[int, bool]]:
    """(case, whether its candidate is shown first) of every comparison; both orders of a case are neighbours."""
    if orders not in ("both", "one"):
        raise ValueError(f"orders is {orders!r}; use both or one")
    differing = [i for i, case in enumerate(cases) if case.candidate != case.baseline]
    if not judge.sees_order:
        return [(i, True) for i in differing]
    if orders == "both":
        return [(i, first) for i in differing for first in (True, False)]
    by_hash = sorted(differing, key=lambda i: _hash(seed, cases[i]))
    first = {i: place % 2 == 0 for place, i in enumerate(by_hash)}
    return [(i, first[i]) for i in differing]


def _hash(seed: int, case: Case) -> bytes:
    # the same for (candidate, baseline) and (baseline, candidate): which side is called which must not matter
    texts = "\0".join(sorted((case.candidate, case.baseline)))
    return hashlib.sha256(f"{seed}\0{case.prompt}\0{texts}".encode("utf-8", "surrogatepass")).digest()


def _comparison(case: Case, candidate_first: bool) -> Comparison:
    given = Comparison(case.messages, case.candidate, case.baseline, case.reference)
    return given if candidate_first else given.changed()


def _shown(candidate_first: bool, answered: Answered) -> Shown:
    return Shown(candidate_first, answered.reading, answered.keys, answered.text)


def _verdict(case: Case, shown: Sequence[Shown]) -> PromptVerdict:
    if not shown:
        return PromptVerdict(case, Verdict.tie, 0.5, ())
    scores = [one.score for one in shown if one.score is not None]
    sides = [one.side for one in shown if one.side is not None]
    if len(scores) < len(shown):
        return PromptVerdict(case, Verdict.invalid, None, tuple(shown))
    side = fmean(sides)
    if min(sides) < 0.5 < max(sides):
        verdict = Verdict.flip
    else:
        verdict = Verdict.win if side > 0.5 else Verdict.loss if side < 0.5 else Verdict.tie
    return PromptVerdict(case, verdict, fmean(scores), tuple(shown))
