"""The gate's judge: opened by the operator's options, measured against people, asked about the candidate.

Whatever stops it (a server that is down, a budget that is spent, a folder that is gone) becomes `problem`, a sentence
for which the gate stays inconclusive: it never ends the run, and never passes for a verdict. Both orders are
asked. Leaves out the protocol (protocol.py) and what follows (gate.py).
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trainer.evaluation.agreement import KAPPA_ITEMS, KAPPA_LEAST
from trainer.evaluation.judges.base import Judge, Usage
from trainer.evaluation.judges.cache import FILE, ReplyCache
from trainer.evaluation.judges.identity import judge_id
from trainer.evaluation.judges.named import close_judges
from trainer.evaluation.judges.opening import JudgeOptions, open_asked
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.judges.rubric import Rubric
from trainer.evaluation.judges.transport import JudgeRefused, Patience
from trainer.evaluation.people import Choice, PeopleAgreement, measure_agreement
from trainer.evaluation.plain import plain
from trainer.evaluation.protocol import Case, Judged, Progress, Verdict, judge_cases, mean_score
from trainer.evaluation.protocol_report import INVALID_ALARM, protocol_figures
from trainer.evaluation.samples import SAMPLES
from trainer.gate_options import OFF, GateOptions
from trainer.gate_plan import PlannedJudge
from trainer.reporter import Stopped
from trainer.starter import JUDGE_WEIGHTS

log = logging.getLogger("trainer")

PATIENCE = Patience(deadline_s=120.0)  # a run waits in the meantime, and so does the next one
PROBE = 4  # pairs of texts; a judge that says nothing usable about any of them is not asked about the rest
SHOWN = 300  # characters of an error
CHEAP = frozenset({"starter", "similarity", "reward_model"})  # kinds that judge a pair in milliseconds

Tell = Callable[[str, int, int], None]
Made = TypeVar("Made")


@dataclass(frozen=True)
class JudgeFindings:
    """What the judge said. `figures` are protocol_report.py's; `problem`, where not empty, is why they do not count."""

    judged: Judged | None
    figures: dict[str, Any]
    problem: str = ""

    @property
    def scores(self) -> list[float]:
        """The candidate's per prompt, in the order of the prompts, without those that have no valid verdict."""
        found = self.judged.by_prompt().values() if self.judged else ()
        return [score for verdicts in found if (score := mean_score(verdicts)) is not None]


class GateJudge:
    """One gate's judge, or the reason for which there is none (`note`), or for which it cannot be used (`problem`)."""

    def __init__(
        self,
        judge: Judge | Panel | None,
        rubric: Rubric | None,
        cache: ReplyCache | None,
        *,
        for_people: bool = False,
        note: str = "",
        problem: str = "",
    ) -> None:
        self._judge, self._rubric, self._cache = judge, rubric, cache
        self._for_people, self._note, self.problem = for_people, note, problem
        self._asked, self._spent = 0, Usage()
        self.agreement: PeopleAgreement | None = None
        self.answers_b = False  # settled by `measure`, before the candidate is judged

    @property
    def _learnt_from_people(self) -> bool:
        """A reward model has seen the very choices that it would be measured on."""
        members = self._judge.members if isinstance(self._judge, Panel) else (self._judge,)
        return any(member is not None and member.kind == "reward_model" for member in members)

    @property
    def samples(self) -> int:
        """How many samples of each side it is shown per prompt: all where that costs next to nothing."""
        return SAMPLES if self._judge is not None and self._judge.kind in CHEAP else 1

    @property
    def id(self) -> str:
        assert self._judge is not None
        return judge_id(self._judge, self._rubric.digest if self._rubric else "")

    def planned(self) -> PlannedJudge:
        """For the plan, before it is asked about the candidate."""
        judge, rubric = self._judge, self._rubric
        if judge is None:
            return PlannedJudge("", "", "", "", "", 0, False, self.problem or self._note)
        name, digest = (rubric.name, rubric.digest) if rubric else ("", "")
        standing = self._standing()
        return PlannedJudge(
            judge.name, judge.kind, judge.revision, name, digest, self.samples, self.answers_b, standing
        )

    def measure(self, choices: Sequence[Choice], *, tell: Tell, should_stop: Callable[[], bool]) -> None:
        """How far it agrees with people on these choices, and so whether it answers question (b). Raises Stopped."""
        judge, cache = self._judge, self._cache
        if judge is None or cache is None or self.problem or not choices:
            return

        def told(progress: Progress) -> None:
            tell("comparing the judge with people", progress.done, progress.total)

        self.agreement = self._unless_it_fails(
            lambda: measure_agreement(judge, cache, choices, on_progress=told, should_stop=should_stop)
        )
        speaks = self.agreement is not None and self.agreement.speaks
        self.answers_b = self._for_people and speaks and not self._learnt_from_people

    def judge(
        self, cases: Sequence[Case], *, candidate: str, baseline: str, tell: Tell, should_stop: Callable[[], bool]
    ) -> JudgeFindings | None:
        """Its verdicts on the candidate's texts; None where no judge was asked for. Raises Stopped."""
        judge, cache = self._judge, self._cache
        if judge is None or cache is None or self.problem:
            return JudgeFindings(None, {}, self.problem) if self.problem else None

        def told(progress: Progress) -> None:
            tell(f"asking the judge ({judge.kind})", progress.done, progress.total)

        judged = self._unless_it_fails(lambda: self._judged(judge, cache, cases, told, should_stop))
        if judged is None:
            return JudgeFindings(None, {}, self.problem)
        figures = protocol_figures(judged, judge, candidate=candidate, baseline=baseline)
        figures["rubric"] = {"name": self._rubric.name, "digest": self._rubric.digest} if self._rubric else None
        figures["calls"] = {"asked": self._asked, "spent": plain(self._spent)}
        return JudgeFindings(judged, figures, _doubt(judged, figures))

    def _judged(
        self,
        judge: Judge | Panel,
        cache: ReplyCache,
        cases: Sequence[Case],
        told: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> Judged:
        probe = [case for case in cases if case.candidate != case.baseline][:PROBE]
        judged = judge_cases(probe, judge, cache, should_stop=should_stop)
        self._count(judged)
        if probe and all(one.verdict is Verdict.invalid for one in judged.verdicts):
            why = judged.verdicts[0].shown[0].reading.note
            raise JudgeRefused(f"it gave no verdict on any of the first {len(probe)} pairs of texts ({why})")
        judged = judge_cases(cases, judge, cache, on_progress=told, should_stop=should_stop)
        self._count(judged)
        return judged

    def _count(self, judged: Judged) -> None:
        self._asked += judged.tally.asked
        self._spent += judged.tally.spent

    def _standing(self) -> str:
        """How it stands with this project's people."""
        if self.problem:
            return self.problem
        if self.agreement is None:
            told = "How far it agrees with this project's people is not known: they have made no choices yet."
        else:
            told = self.agreement.sentence
        if not self._for_people:
            return told
        if self._learnt_from_people:
            return f"{told} It was trained on their choices, so it cannot speak for them."
        if not self.answers_b:
            return f"{told} To speak for them it needs a kappa of {KAPPA_LEAST:.1f} on {KAPPA_ITEMS} choices."
        return f"{told} So it speaks for them."

    def _unless_it_fails(self, work: Callable[[], Made]) -> Made | None:
        """What `work` gives, or None with the problem told: a judge is a program of others, and may fail in any way."""
        try:
            return work()
        except Stopped:
            raise
        except Exception as error:
            log.exception("the judge failed")
            self.problem = _problem(self._judge.name if self._judge else "", error)
            return None


@contextmanager
def opened_judge(options: GateOptions, *, data_dir: Path, device: str, base: str) -> Iterator[GateJudge]:
    """The judge that the options name. What cannot be opened becomes its problem; nothing is raised."""
    source = options.judge or ("starter" if options.starter else "")
    if source in ("", OFF) or (not options.judge and not JUDGE_WEIGHTS.is_dir()):
        yield GateJudge(None, None, None, note=_why_none(options))
        return
    with ExitStack() as stack:
        try:
            cache = stack.enter_context(ReplyCache(data_dir / FILE))
            made = _open(source, options, cache, stack, data_dir=data_dir, device=device, base=base)
        except Exception as error:  # a name of the operator's, which may be wrong in any way
            log.exception("the judge could not be opened")
            made = GateJudge(None, None, None, problem=_problem(source, error))
        yield made


def _open(
    source: str, options: GateOptions, cache: ReplyCache, stack: ExitStack, *, data_dir: Path, device: str, base: str
) -> GateJudge:
    asked = JudgeOptions(
        [source],
        rubric=options.rubric,
        way=options.way,
        key=options.key,
        prices=options.prices,
        budget=options.budget,
        patience=PATIENCE,
    )
    judge, rubric = open_asked(asked, cache, data_dir=data_dir, device=device, base=base)
    stack.callback(close_judges, judge)
    if judge.kind == "starter" and not options.starter:
        raise ValueError("it knows the starter's descendants only; name another with PREFLOOP_GATE_JUDGE")
    if not judge.revision:  # asked here, because a folder that is not there is refused by it
        raise ValueError("it has no revision, so its replies could not be told from another's")
    return GateJudge(judge, rubric, cache, for_people=options.for_people)


def _why_none(options: GateOptions) -> str:
    if options.judge == OFF:
        return "No judge looked at quality: it is turned off (PREFLOOP_GATE_JUDGE)."
    if options.starter:
        return "No judge looked at quality: the starter's judge is not part of this installation."
    return "No judge looked at quality: none is named (PREFLOOP_GATE_JUDGE)."


def _problem(name: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:SHOWN].rstrip(".") or type(error).__name__
    return f"The judge {name} could not be heard: {said}."


def _doubt(judged: Judged, figures: dict[str, Any]) -> str:
    """Why verdicts cannot be counted: too many invalid ones, or a candidate that says one thing to everybody."""
    total, invalid = len(judged.verdicts), figures["verdicts"]["invalid"]
    if invalid > INVALID_ALARM * total:
        notes = [s.reading.note for v in judged.verdicts for s in v.shown if s.reading.score is None]
        often = Counter(notes).most_common(1)[0][0]
        return (
            f"The judge gave no valid verdict on {invalid} of {total} pairs of texts ({invalid / total:.1%}, limit "
            f"{INVALID_ALARM:.0%}), most often: {often.rstrip('.')}."
        )
    if not figures["trusted"]:
        return "The judge's verdicts do not count: the candidate gives one text to many different prompts."
    return ""
