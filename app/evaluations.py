"""Evaluations by a judge or by people, as a person meets them: what is compared, by whom and at what cost; start,
stop, progress.

Shared by the page and the API. Leaves out the process that judges (trainer/evaluation/evaluation_worker.py) and
starting it (app/evaluation_clock.py).
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.baselines import Baseline, baseline_name, checkpoints_that_write, list_baselines, writes_itself
from app.judges import OfferedJudge, listed_judges, offered_judges
from app.rubrics import Rubrics, RubricUsed, rubric_used
from app.runs import left_s
from app.settings import Settings
from storage.checkpoints import get_checkpoint
from storage.database import Database
from storage.errors import Invalid
from storage.evaluation_queue import asked_evaluations, queue_evaluation, request_evaluation_cancel
from storage.evaluations import count_verdicts, get_evaluation, list_evaluations, score_values
from storage.outside import outside_model, outside_texts
from storage.pairs import preference_pairs
from storage.people_evaluations import PEOPLE, PeopleProgress, people_progress
from storage.prompts import offered_prompts
from storage.tables import Checkpoint, CheckpointKind, Evaluation, RunStatus, Split, now
from trainer.evaluation.estimating import Expected, estimate_before
from trainer.evaluation.judged_texts import MOST_PROMPTS
from trainer.evaluation.judges.budget import Estimate, Prices
from trainer.evaluation.judges.opening import RUBRIC
from trainer.evaluation.judges.rubric_shelf import Shelved
from trainer.evaluation.nesting import nested
from trainer.evaluation.samples import SAMPLING
from trainer.evaluation.statistics import WinRate, win_rate

LEAST_PROMPTS = 8


@dataclass(frozen=True)
class Plan:
    """An evaluation that could be started: on how many prompts, and at most what it takes. `budget` ends it.

    By people, a call is a choice. `rubric` is the version that it would be judged by; None where none is gone by.
    """

    candidate: str
    baseline: str
    judge: OfferedJudge
    rubric: Shelved | None
    prompts: int
    estimate: Estimate
    budget: float | None

    @property
    def most(self) -> float:
        """The most that it can spend."""
        return self.estimate.most if self.budget is None else min(self.estimate.most, self.budget)


@dataclass(frozen=True)
class EvaluationView:
    """An evaluation with what people want to know of it. The rate is None while there is none that can be trusted, and
    by people, whose choices count together with all others on that pair; `people` is None by a judge."""

    evaluation: Evaluation
    judge: str
    rubric: RubricUsed | None
    rate: WinRate | None
    verdicts: dict[str, int]
    left_s: float | None
    people: PeopleProgress | None = None


Views = list[EvaluationView]  # `list` is also a method of Evaluations
Offered = list[OfferedJudge]
Baselines = list[Baseline]


class Evaluations:
    """The evaluations of one project, seen from the web app. Raises Refused for settings that cannot be used."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._listed = listed_judges(settings.judges)
        self._starter = settings.serves_starter
        self._rubrics = Rubrics(database, settings.data_dir)
        settings.check_budgets()
        self._prices, self._budget = Prices(*settings.judge_prices), settings.judge_budget

    def judges(self) -> Offered:
        """Those that may be chosen."""
        with self._database.read() as session:
            return self._judges(session)

    def sides(self) -> list[Checkpoint]:
        """Checkpoints that write, newest first, the initial one last."""
        with self._database.read() as session:
            return checkpoints_that_write(session)

    def baselines(self) -> Baselines:
        """What they may be held against."""
        with self._database.read() as session:
            return list_baselines(session)

    def plan(
        self, *, candidate: str, baseline: str, judge: str, prompts: int = MOST_PROMPTS, rubric: str | None = None
    ) -> Plan:
        """What the evaluation would take; asks nobody. `rubric` is NAME or NAME@HASH, for a judge that goes by one.

        Raises Invalid and NotFound for what cannot be compared.
        """
        with self._database.read() as session:
            return self._plan(
                session, candidate=candidate, baseline=baseline, judge=judge, prompts=prompts, rubric=rubric
            )

    def start(
        self, *, candidate: str, baseline: str, judge: str, prompts: int = MOST_PROMPTS, rubric: str | None = None
    ) -> tuple[EvaluationView, bool]:
        """Queue it; whether it is new. The same one, while it waits or runs, is given back. Raises like plan.

        It is judged by the rubric as it is now, whatever becomes of that before its turn.
        """
        with self._database.write() as session:
            plan = self._plan(
                session, candidate=candidate, baseline=baseline, judge=judge, prompts=prompts, rubric=rubric
            )
            if plan.rubric is not None:
                self._rubrics.keep(plan.rubric)
            paid = plan.judge.kind == "endpoint"
            pin = plan.rubric.pin if plan.rubric else None
            config = {
                "asked": {"judge": plan.judge.name, "prompts": prompts, "rubric": pin},
                "judging": {
                    "source": plan.judge.source,
                    "price_read": self._prices.input if paid else 0.0,
                    "price_written": self._prices.output if paid else 0.0,
                    "budget": self._budget if paid else None,
                },
            }
            evaluation, new = queue_evaluation(session, candidate_id=candidate, baseline=baseline, config=config)
            return _view(session, evaluation), new

    def cancel(self, evaluation_id: int) -> EvaluationView:
        """Ask it to stop; what was judged stays stored. Raises Conflict when it is over."""
        with self._database.write() as session:
            return _view(session, request_evaluation_cancel(session, evaluation_id))

    def get(self, evaluation_id: int) -> EvaluationView:
        with self._database.read() as session:
            return _view(session, get_evaluation(session, evaluation_id))

    def list(self, *, after: int = 0, limit: int = 50) -> Views:
        """All, the gate's too, oldest first."""
        with self._database.read() as session:
            return [_view(session, e) for e in list_evaluations(session, after=after, limit=limit)]

    def newest(self, *, limit: int) -> Views:
        """Those that somebody asked for, newest first."""
        with self._database.read() as session:
            return [_view(session, e) for e in asked_evaluations(session, limit=limit)]

    def _judges(self, session: Session) -> Offered:
        return offered_judges(session, listed=self._listed, starter=self._starter)

    def _plan(
        self, session: Session, *, candidate: str, baseline: str, judge: str, prompts: int, rubric: str | None
    ) -> Plan:
        judges = {one.name: one for one in self._judges(session)}
        if judge not in judges:
            raise Invalid(
                f"There is no judge {judge[:100]!r} here.",
                hint=f"There are {', '.join(judges)}.",
            )
        if not LEAST_PROMPTS <= prompts <= MOST_PROMPTS:
            raise Invalid(f"{prompts} prompts were asked for.", hint=f"Take {LEAST_PROMPTS} to {MOST_PROMPTS}.")
        if candidate == baseline:
            raise Invalid(f"{candidate} would be compared with itself.", hint="Choose two that differ.")
        for side in (candidate, *([baseline] if writes_itself(baseline) else [])):
            _check_writes(session, side)
        chosen = judges[judge]
        if chosen.kind == "people" and not writes_itself(baseline):
            raise Invalid(
                f"People compare two checkpoints; {baseline_name(baseline, {})} are by none.",
                hint="Take a checkpoint as the baseline, or another judge.",
            )
        shelved = self._rubric(chosen, rubric)
        expected = _expected(session, prompts, baseline=baseline)
        if chosen.kind == "people":
            return Plan(candidate, baseline, chosen, None, len(expected), Estimate(len(expected)), None)
        paid = chosen.kind == "endpoint"
        estimate = estimate_before(
            expected,
            kind=chosen.kind,
            rubric=shelved.rubric if shelved else None,
            prices=self._prices if paid else Prices(),
            sample_tokens=SAMPLING.max_new_tokens,
        )
        return Plan(candidate, baseline, chosen, shelved, len(expected), estimate, self._budget if paid else None)

    def _rubric(self, judge: OfferedJudge, asked: str | None) -> Shelved | None:
        if judge.by_rubric:
            return self._rubrics.find(asked or RUBRIC)
        if asked is not None:
            raise Invalid(f"The judge {judge.name} goes by no rubric, so not by {asked[:80]!r}.", hint="Leave it out.")
        return None


def _check_writes(session: Session, checkpoint_id: str) -> None:
    if get_checkpoint(session, checkpoint_id).kind is CheckpointKind.reward_model:
        raise Invalid(
            f"{checkpoint_id} is a reward model; it writes nothing that could be compared.",
            hint="It can be chosen as the judge.",
        )


def _expected(session: Session, count: int, *, baseline: str) -> list[Expected]:
    """The held-out prompts, as far as can be told without a tokenizer; those too long for it drop out later."""
    prompts = nested(offered_prompts(session, splits=[Split.heldout]), count)
    if not prompts:
        raise Invalid("There are no held-out prompts.", hint="Import some: prefloop import --format prompts FILE.")
    if writes_itself(baseline):
        return [Expected(p.messages, p.reference) for p in prompts]
    if (model := outside_model(baseline)) is not None:
        texts, what = outside_texts(session, model), f"text of {model}"
    else:
        pairs = preference_pairs(session, splits=[Split.heldout])
        texts, what = {pair.prompt_id: pair.chosen.text for pair in pairs}, "chosen text"
    found = [Expected(p.messages, p.reference, texts[p.id]) for p in prompts if p.id in texts]
    if not found:
        raise Invalid(
            f"None of the {len(prompts)} held-out prompts has a {what}.",
            hint="Import pairs with --split heldout, or take a checkpoint as the baseline.",
        )
    return found


def _view(session: Session, evaluation: Evaluation) -> EvaluationView:
    assert evaluation.id is not None
    config: dict[str, Any] = evaluation.config
    scores = score_values(session, evaluation.id)
    over = evaluation.status is RunStatus.succeeded
    return EvaluationView(
        evaluation,
        judge=config.get("asked", {}).get("judge") or evaluation.judge_id or "",
        rubric=rubric_used(config),
        rate=win_rate(scores) if scores and config.get("trusted", True) else None,
        verdicts=count_verdicts(session, evaluation.id) if over else {},
        left_s=left_s(evaluation, now()),
        people=people_progress(session, evaluation.id) if config.get("asked", {}).get("judge") == PEOPLE else None,
    )
