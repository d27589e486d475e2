"""Win rates at equal length for the points of the chart, fitted once and kept: a fit takes up to half a second.

Each pair is fitted by itself; `prefloop statistics` also knows how hard prompts are from other pairs. The mathematics
is trainer/evaluation/length_control.py's.
"""

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from app.win_rates import PEOPLE, WinRateRow
from storage.database import Database
from storage.evaluations import Score, people_scores, scores_of

if TYPE_CHECKING:
    from trainer.evaluation.length_report import LengthFigures

ROUNDS = 200  # of the bootstrap: an interval for the eye


class EqualLength:
    """For several threads; a point with new choices behind it is another point, and fitted anew."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._kept: dict[WinRateRow, WinRateRow | str] = {}

    def of(self, row: WinRateRow) -> WinRateRow | str:
        """The row with the rate and interval that it would have at equal length, or the sentence that says why not."""
        with self._lock:
            if row not in self._kept:
                for old in [k for k in self._kept if _same_point(k, row)]:
                    del self._kept[old]
                self._kept[row] = _row(row, _fit(row, self._scores(row), rounds=ROUNDS))
            return self._kept[row]

    def rate_of(self, row: WinRateRow) -> float | None:
        """Only the rate, without the bootstrap that its interval takes; None where it is not identifiable."""
        found = _fit(row, self._scores(row), rounds=0)
        return found.rate if found else None

    def _scores(self, row: WinRateRow) -> list[Score]:
        with self._database.read() as session:
            if row.source == PEOPLE:
                return people_scores(session, candidate_id=row.checkpoint_id, baseline_id=row.baseline_id)
            assert row.evaluation_id is not None
            return scores_of(session, row.evaluation_id)


def _same_point(one: WinRateRow, other: WinRateRow) -> bool:
    return (one.checkpoint_id, one.baseline_id, one.source) == (other.checkpoint_id, other.baseline_id, other.source)


def _fit(row: WinRateRow, scores: list[Score], *, rounds: int) -> "LengthFigures | None":
    from trainer.evaluation.length_report import LengthControl
    from trainer.evaluation.outcomes import Outcome
    from trainer.evaluation.pairs import gather

    pair = gather(
        [
            Outcome(
                prompt=str(score.prompt_id),
                model_a=row.checkpoint_id,
                model_b=row.baseline_id,
                score_a=score.score,
                length_a=score.candidate_length,
                length_b=score.baseline_length,
            )
            for score in scores
        ]
    )
    return LengthControl(pair, rounds=rounds).of(pair[0])


def _row(row: WinRateRow, found: "LengthFigures | None") -> WinRateRow | str:
    if found is None or found.rate is None or found.interval is None:
        return (found.why_not if found else None) or "no interval"
    return replace(row, rate=found.rate, low=found.interval.low, high=found.interval.high)
