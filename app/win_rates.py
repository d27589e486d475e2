"""The numbers behind the win-rate charts: per checkpoint, against the initial and the previously served one, by every
judge and by people, never pooled. Derived from rows; what is kept between two calls is only what rows cannot change.

Leaves out ratings of all against all (app/leaderboard.py) and the texts behind a point (app/verdicts.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from sqlmodel import Session, col, select

from app.baselines import baseline_name
from storage.checkpoints import INITIAL, list_checkpoints
from storage.database import Database
from storage.deployments import served_checkpoints
from storage.people_evaluations import PEOPLE as PEOPLE
from storage.people_evaluations import asked_of_people
from storage.tables import Checkpoint, CheckpointKind, Evaluation, Judge, RunStatus
from storage.tallies import PairIds, PeopleTallies, Tally, evaluation_tallies
from trainer.evaluation.judged_texts import CHOSEN
from trainer.evaluation.statistics import win_rate

PREFERENCE_MODEL = "preference_model"


@dataclass(frozen=True)
class WinRateRow:
    """One point of the chart. `rate` and its 95% n_eff-Wilson interval in 0..1, lengths in characters."""

    checkpoint_id: str
    checkpoint: str
    baseline_id: str
    baseline: str
    against: str  # "initial", "previous" or "texts"; a baseline that is both of the first two is "initial"
    source: str  # PEOPLE, or a judge's id
    rate: float
    low: float
    high: float
    n: int
    n_effective: float
    mean_length: float
    baseline_length: float
    wins: int
    ties: int
    flips: int
    losses: int
    invalid: int
    evaluation_id: int | None


@dataclass(frozen=True)
class Judged:
    """The newest finished evaluation of a candidate against a baseline by one judge."""

    evaluation_id: int
    judge_id: str
    tally: Tally


@dataclass(frozen=True)
class Measured:
    """Everything that was ever compared, counted: people's tallies by pair (in one direction), and the judges'."""

    checkpoints: Mapping[str, Checkpoint]  # oldest first, without reward models
    served: Sequence[str]
    people: Mapping[PairIds, Tally]
    judged: Sequence[Judged]
    judges: Mapping[str, str]  # their names by id
    asked: Sequence[PairIds] = ()  # (candidate, baseline) of evaluations by people

    def of_people(self, candidate: str, baseline: str) -> Tally | None:
        """People's tally from the candidate's side; None where nobody compared them."""
        tally = self.people.get((candidate, baseline))
        if tally is None and (other := self.people.get((baseline, candidate))) is not None:
            tally = other.turned()
        return tally

    def name(self, checkpoint_id: str) -> str:
        found = self.checkpoints.get(checkpoint_id)
        return found.name if found else baseline_name(checkpoint_id, {CHOSEN: CHOSEN})

    def source_name(self, source: str) -> str:
        return self.judges.get(source, source)

    def main_judge(self) -> str:
        """Whose points are shown where only one judge's can be: the gate's own, else the one asked last."""
        known = [one.judge_id for one in self.judged]
        return known[-1] if known and PREFERENCE_MODEL not in known else PREFERENCE_MODEL


class WinRates:
    """Reads what was measured, counting anew only what changed. For several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._people = PeopleTallies()
        self._finished: dict[int, Tally] = {}  # verdicts of a finished evaluation never change

    def read(self) -> Measured:
        with self._lock, self._database.read() as session:
            checkpoints = [c for c in list_checkpoints(session) if c.kind is not CheckpointKind.reward_model]
            newest = _newest_finished(session)
            missing = [key for key in newest if key[0] not in self._finished]
            self._finished |= evaluation_tallies(session, [(number, a, b) for number, a, b, _ in missing])
            return Measured(
                checkpoints={c.id: c for c in checkpoints},
                served=served_checkpoints(session),
                people=self._people.read(session),
                judged=[Judged(number, judge, self._finished[number]) for number, _, _, judge in newest],
                judges=_judge_names(session, {judge for _, _, _, judge in newest}),
                asked=asked_of_people(session),
            )

    def points(self) -> list[WinRateRow]:
        """Every point there is, checkpoints oldest first. Checkpoints that nobody compared have no point."""
        return points(self.read())


def points(measured: Measured) -> list[WinRateRow]:
    """The points of what was measured: judges in the order of their evaluations, then people."""
    judged: dict[str, list[Judged]] = {}
    for one in measured.judged:
        judged.setdefault(one.tally.a, []).append(one)
    rows: list[WinRateRow] = []
    for checkpoint_id in measured.checkpoints:
        if checkpoint_id == INITIAL:
            continue
        for one in judged.get(checkpoint_id, []):
            rows += _row(measured, one.judge_id, one.tally, one.evaluation_id)
        asked = [baseline for candidate, baseline in measured.asked if candidate == checkpoint_id]
        for baseline_id in dict.fromkeys([INITIAL, _before(measured.served, checkpoint_id), *asked]):
            tally = measured.of_people(checkpoint_id, baseline_id)
            rows += _row(measured, PEOPLE, tally, None) if tally else []
    return rows


def _newest_finished(session: Session) -> list[tuple[int, str, str, str]]:
    """(id, candidate, baseline, judge id), the newest of those that have all three in common, oldest first."""
    query = select(Evaluation).where(Evaluation.status == RunStatus.succeeded).order_by(col(Evaluation.id))
    newest = {
        (one.candidate_id, one.baseline, one.judge_id): one.id
        for one in session.exec(query)
        # a candidate that says the same to every prompt has no win rate (trainer/evaluation/protocol_report.py)
        if one.id is not None and one.judge_id is not None and one.config.get("trusted", True)
    }
    return sorted((number, a, b, judge) for (a, b, judge), number in newest.items())


def _judge_names(session: Session, judge_ids: set[str]) -> dict[str, str]:
    """Names for people. Two judges of one name (another rubric, another revision) keep their ids behind it."""
    judges = session.exec(select(Judge).where(col(Judge.id).in_(judge_ids))).all()
    names = {j.id: str(j.config.get("name") or j.kind).replace("_", " ") for j in judges}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {PEOPLE: PEOPLE} | {i: f"{name} ({i})" if name in twice else name for i, name in names.items()}


def _before(served: Sequence[str], checkpoint_id: str) -> str:
    """What was served before this checkpoint first was; the newest served one where it never was."""
    at = served.index(checkpoint_id) if checkpoint_id in served else len(served)
    return served[at - 1] if at > 0 else INITIAL


def _row(measured: Measured, source: str, tally: Tally, evaluation_id: int | None) -> list[WinRateRow]:
    """The point of a tally; none where not one verdict was valid."""
    n = tally.prompts
    if not n:
        return []
    result = win_rate([c.score for c in tally.counts], counts=[c.prompts for c in tally.counts])
    kind = "texts" if tally.b not in measured.checkpoints else "initial" if tally.b == INITIAL else "previous"
    return [
        WinRateRow(
            checkpoint_id=tally.a,
            checkpoint=measured.name(tally.a),
            baseline_id=tally.b,
            baseline=measured.name(tally.b),
            against=kind,
            source=source,
            rate=result.rate,
            low=result.interval.low,
            high=result.interval.high,
            n=n,
            n_effective=result.n_effective,
            mean_length=sum(c.length_a for c in tally.counts) / n,
            baseline_length=sum(c.length_b for c in tally.counts) / n,
            **vars(tally.kinds),
            evaluation_id=evaluation_id,
        )
    ]
