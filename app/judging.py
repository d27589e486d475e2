"""An evaluation by a judge: texts of both sides on held-out prompts, verdicts in both orders, rows that keep them.

Leaves out the protocol and the judges (trainer/evaluation/), the texts (judged_texts.py) and printing.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from storage.database import Database
from storage.errors import Invalid, PrefLoopError, Unavailable
from storage.evaluations import record_evaluation, record_judge
from storage.tables import Evaluation, RunStatus, Verdict, VerdictKind, now

if TYPE_CHECKING:
    from trainer.evaluation.judges.base import Judge
    from trainer.evaluation.judges.cache import ReplyCache
    from trainer.evaluation.judges.panel import Panel, Rule
    from trainer.evaluation.judges.rubric import Rubric
    from trainer.evaluation.protocol import Case, Judged, Orders

CACHE = "judgements.sqlite"


@dataclass(frozen=True)
class JudgeOptions:
    """What `prefloop evaluate --judge` was told. Prices are of a million tokens read and written."""

    judges: Sequence[str]
    rubric: str = "helpful"
    way: str = "auto"
    rule: "Rule" = "majority"
    orders: "Orders" = "both"
    prices: tuple[float, float] = (0.0, 0.0)
    budget: float | None = None
    concurrency: int = 8
    key: str = ""


@dataclass(frozen=True)
class Bench:
    """An opened judge with its rubric and its stored replies."""

    judge: "Judge | Panel"
    rubric: "Rubric"
    cache: "ReplyCache"
    options: JudgeOptions


@contextmanager
def opened(data_dir: Path, options: JudgeOptions, *, device: str, base: str) -> Iterator[Bench]:
    """The judge that the options name. Before anything is sampled, so that a wrong name is told at once.

    Raises Invalid.
    """
    from trainer.evaluation.judges.cache import ReplyCache

    if options.orders not in ("both", "one"):
        raise Invalid(f"There is no order {options.orders!r}.", hint="Use both or one.")
    with ReplyCache(data_dir / CACHE) as cache:
        with _told():
            own = [data_dir / "checkpoints" / name for name in options.judges]  # checkpoints by their ids
            sources = [str(at) if at.is_dir() else name for name, at in zip(options.judges, own, strict=True)]
            judge, rubric = _open(sources, options, cache, device=device, base=base)
            if not judge.revision:  # asked here, because a folder that is not there is refused by it
                raise Invalid(f"{judge.name} has no revision, so its replies could not be told from another's.")
        yield Bench(judge, rubric, cache, options)


def judge_and_record(
    database: Database,
    bench: Bench,
    cases: "Sequence[Case]",
    *,
    candidate: str,
    baseline: str,
    tell: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Judge the cases, store an evaluation with its verdicts, and give back its figures.

    Raises Invalid for what cannot be used, Unavailable where a judge stopped or was stopped on the way; the replies
    until then are stored, and the same call goes on from them.
    """
    from trainer.evaluation.judges.budget import BudgetSpent
    from trainer.evaluation.protocol import judge_cases
    from trainer.evaluation.protocol_report import protocol_figures
    from trainer.reporter import Stopped

    judge, rubric, cache, options = bench.judge, bench.rubric, bench.cache, bench.options
    with _told(), _stopping() as stop:
        _say_estimate(cases, judge, cache, options)
        try:
            judged = judge_cases(
                cases,
                judge,
                cache,
                orders=options.orders,
                on_progress=lambda p: tell(f"asking {judge.kind}", p.done, p.total),
                should_stop=stop.is_set,
            )
            drift = _drifts(judge, cache, judged, stop.is_set)
        except (BudgetSpent, Stopped) as error:
            why = str(error).rstrip(".")
            raise Unavailable(f"Not finished: {why}.", hint="The same call goes on from there.") from error
    figures = protocol_figures(judged, judge, candidate=candidate, baseline=baseline)
    figures["rubric"] = {"name": rubric.name, "digest": rubric.digest}
    figures["drift"] = drift
    figures["alarms"] += [
        f"{one['judge']} is now {one['now']}: it agrees with {one['before']} on {one['agree']} of {one['n']} pairs."
        for one in drift
        if one["alarm"]
    ]
    figures["evaluation"] = _record(database, judged, judge, figures, candidate=candidate, baseline=baseline)
    return figures


def _open(
    sources: Sequence[str], options: JudgeOptions, cache: Any, *, device: str, base: str
) -> "tuple[Judge | Panel, Any]":
    from trainer.evaluation.judges.budget import Prices
    from trainer.evaluation.judges.named import JudgeSettings, open_judges
    from trainer.evaluation.judges.rubric import read_rubric

    rubric = read_rubric(options.rubric)
    settings = JudgeSettings(
        rubric,
        way=options.way,
        device=device,
        base=base,
        key=options.key,
        prices=Prices(*options.prices),
        budget=options.budget,
        concurrency=options.concurrency,
    )
    return open_judges(sources, settings, cache, rule=options.rule), rubric


def _say_estimate(cases: "Sequence[Case]", judge: "Judge | Panel", cache: Any, options: JudgeOptions) -> None:
    from trainer.evaluation.protocol import estimate_cases

    left = estimate_cases(cases, judge, cache, orders=options.orders)
    line = f"{len(cases)} prompts, {left.calls} calls to make"
    if left.input_tokens:
        line += f": about {left.input_tokens} tokens to read, at most {left.output_tokens} to write"
    if left.most:
        line += f", about {left.cost:.2f} and at most {left.most:.2f} without retries"
        line += f"; the budget is {options.budget:g}" if options.budget is not None else "; no budget is set"
    print(line, file=sys.stderr, flush=True)


def _drifts(judge: "Judge | Panel", cache: Any, judged: "Judged", stop: Callable[[], bool]) -> list[dict[str, Any]]:
    """A check for every judge that was heard now under another revision than before."""
    from trainer.evaluation.judges.drift import check_drift
    from trainer.evaluation.judges.panel import Panel

    found = []
    for one in judge.members if isinstance(judge, Panel) else (judge,):
        heard = cache.models(one.name)
        if not heard or heard[-1] not in judged.tally.models:
            continue
        drift = check_drift(one, cache, now=heard[-1], should_stop=stop)
        if drift is not None:
            found.append({"judge": one.name, **vars(drift), "agreement": drift.agreement, "alarm": drift.alarm})
    return found


def _record(
    database: Database,
    judged: "Judged",
    judge: "Judge | Panel",
    figures: dict[str, Any],
    *,
    candidate: str,
    baseline: str,
) -> int:
    from trainer.evaluation.judges.cache import digest

    judge_id = f"{judge.kind}-{digest([judge.name, judge.revision, figures['rubric']['digest']])[:12]}"
    config = {"name": judge.name, "rubric": figures["rubric"]}
    rows = [
        Verdict(
            evaluation_id=0,
            prompt_id=int(v.case.prompt),
            verdict=VerdictKind(v.verdict.value),
            score=v.score,
            candidate_length=float(len(v.case.candidate)),
            baseline_length=float(len(v.case.baseline)),
            texts={
                "candidate": v.case.candidate,
                "baseline": v.case.baseline,
                "replies": [
                    {"candidate_first": s.candidate_first, "said": s.reading.said, "text": s.text, "keys": list(s.keys)}
                    for s in v.shown
                ],
            },
        )
        for v in judged.verdicts
    ]
    with database.write() as session:
        record_judge(session, judge_id=judge_id, kind=judge.kind, revision=judge.revision, config=config)
        evaluation = Evaluation(
            candidate_id=candidate,
            baseline=baseline,
            judge_id=judge_id,
            status=RunStatus.succeeded,
            config={"orders": judged.orders, "rubric": figures["rubric"], "replies": figures["replies"]},
            step=len(rows),
            total_steps=len(rows),
            finished_at=now(),
        )
        recorded = record_evaluation(session, evaluation, rows)
        assert recorded.id is not None
        return recorded.id


@contextmanager
def _told() -> Iterator[None]:
    """What the library refuses becomes an error of one line; its messages name value and remedy already."""
    from trainer.evaluation.judges.transport import JudgeRefused

    try:
        yield
    except PrefLoopError:
        raise
    except (ValueError, FileNotFoundError, JudgeRefused) as error:
        raise Invalid(str(error)) from error


@contextmanager
def _stopping() -> Iterator[Event]:
    """Ctrl-C sets the event, so that calls under way are still stored; the second one ends at once."""
    stop = Event()

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("stopping: replies under way are stored first", file=sys.stderr, flush=True)
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
