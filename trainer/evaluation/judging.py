"""An evaluation by a judge, from what was asked for to its figures: judge opened, texts gathered, both orders judged.

Shared by `prefloop evaluate --judge` and by the process of a queued evaluation (evaluation_worker.py). Nothing is
written but the reply cache and the samples, so the same evaluation asked for again goes on where it was. Leaves out the
protocol (protocol.py), the texts (judged_texts.py), the rows (judged_rows.py) and who is told.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from storage.database import Database
from storage.errors import Invalid, PrefLoopError, Unavailable
from trainer.evaluation.judged_texts import gather_cases
from trainer.evaluation.judges.base import Judge
from trainer.evaluation.judges.budget import BudgetSpent, Estimate
from trainer.evaluation.judges.cache import FILE, ReplyCache
from trainer.evaluation.judges.drift import check_drift
from trainer.evaluation.judges.named import close_judges
from trainer.evaluation.judges.opening import JudgeOptions, open_asked
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.judges.rubric import Rubric
from trainer.evaluation.judges.transport import JudgeRefused
from trainer.evaluation.protocol import Case, Judged, estimate_cases, judge_cases
from trainer.evaluation.protocol_report import protocol_figures


@dataclass(frozen=True)
class Place:
    """Where a project lies and what its models run on."""

    data_dir: Path
    model_source: str
    device: str


class Told(Protocol):
    """Who is told how an evaluation goes, and who may end it."""

    def stage(self, stage: str, step: int, total: int) -> None: ...

    def estimated(self, prompts: int, left: Estimate) -> None:
        """Before the first call: what is still to be asked for, replies that are stored left out."""
        ...

    def should_stop(self) -> bool: ...


@dataclass(frozen=True)
class Bench:
    """An opened judge with its stored replies, and its rubric where it is asked by one."""

    judge: Judge | Panel
    rubric: Rubric | None
    cache: ReplyCache
    options: JudgeOptions


@dataclass(frozen=True)
class Finished:
    """Verdicts of every prompt and what they amount to (protocol_report.py)."""

    judge: Judge | Panel
    judged: Judged
    figures: dict[str, Any]


def evaluate_by_judge(
    database: Database, place: Place, options: JudgeOptions, *, candidate: str, baseline: str, prompts: int, told: Told
) -> Finished:
    """One unselected sample a side and held-out prompt, judged.

    The baseline is a checkpoint id, "initial", "chosen" for the data's chosen texts, "outside:MODEL" for imported
    outputs, or a file of outputs. Raises Invalid for what cannot be used, Unavailable where the budget ended it, and
    Stopped once told.should_stop() is true.
    """
    with opened(place.data_dir, options, device=place.device, base=place.model_source) as bench:
        told.stage("loading the checkpoints", 0, 0)
        cases, name = gather_cases(
            database,
            data_dir=place.data_dir,
            model_source=place.model_source,
            device=place.device,
            candidate=candidate,
            baseline=baseline,
            prompts=prompts,
            tell=told.stage,
            should_stop=told.should_stop,
        )
        return judge_bench(bench, cases, candidate=candidate, baseline=name, told=told)


@contextmanager
def opened(data_dir: Path, options: JudgeOptions, *, device: str, base: str) -> Iterator[Bench]:
    """The judge that the options name, closed at the end. Before anything is sampled, so that a wrong name is told
    at once. Raises Invalid."""
    if options.orders not in ("both", "one"):
        raise Invalid(f"There is no order {options.orders!r}.", hint="Use both or one.")
    with ReplyCache(data_dir / FILE) as cache:
        with _refusals_told():
            judge, rubric = open_asked(options, cache, data_dir=data_dir, device=device, base=base)
        try:
            with _refusals_told():
                if not judge.revision:  # asked here, because a folder that is not there is refused by it
                    raise Invalid(f"{judge.name} has no revision, so its replies could not be told from another's.")
            yield Bench(judge, rubric, cache, options)
        finally:
            close_judges(judge)


def judge_bench(bench: Bench, cases: Sequence[Case], *, candidate: str, baseline: str, told: Told) -> Finished:
    """Judge the cases. Raises like evaluate_by_judge; the replies until then are stored."""
    judge, rubric, cache, options = bench.judge, bench.rubric, bench.cache, bench.options
    with _refusals_told():
        told.estimated(len(cases), estimate_cases(cases, judge, cache, orders=options.orders))
        try:
            judged = judge_cases(
                cases,
                judge,
                cache,
                orders=options.orders,
                on_progress=lambda p: told.stage(f"asking {judge.kind.replace('_', ' ')}", p.done, p.total),
                should_stop=told.should_stop,
            )
            drift = _drifts(judge, cache, judged, told.should_stop)
        except BudgetSpent as error:
            why = str(error).rstrip(".")
            raise Unavailable(f"Not finished: {why}.", hint="The same evaluation goes on from there.") from error
    figures = protocol_figures(judged, judge, candidate=candidate, baseline=baseline)
    figures["rubric"] = {"name": rubric.name, "digest": rubric.digest} if rubric else None
    figures["drift"] = drift
    figures["alarms"] += [
        f"{one['judge']} is now {one['now']}: it agrees with {one['before']} on {one['agree']} of {one['n']} pairs."
        for one in drift
        if one["alarm"]
    ]
    return Finished(judge, judged, figures)


def _drifts(judge: Judge | Panel, cache: ReplyCache, judged: Judged, stop: Callable[[], bool]) -> list[dict[str, Any]]:
    """A check for every judge that was heard now under another revision than before."""
    found = []
    for one in judge.members if isinstance(judge, Panel) else (judge,):
        heard = cache.models(one.name)
        if not heard or heard[-1] not in judged.tally.models:
            continue
        drift = check_drift(one, cache, now=heard[-1], should_stop=stop)
        if drift is not None:
            found.append({"judge": one.name, **vars(drift), "agreement": drift.agreement, "alarm": drift.alarm})
    return found


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What the library refuses becomes an error of one line; its messages name value and remedy already."""
    try:
        yield
    except PrefLoopError:
        raise
    except (ValueError, FileNotFoundError, JudgeRefused) as error:
        raise Invalid(str(error)) from error
