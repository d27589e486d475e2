"""Win rates and ratings as comma-separated values: our own columns, or those of AlpacaEval's leaderboards.

Leaves out the texts (GET /api/v1/evaluations/ID/verdicts) and the choices (`prefloop export`).
"""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from app.equal_length import EqualLength
from app.leaderboard import leaderboard, sources
from app.win_rates import Measured, WinRateRow, points
from storage.errors import Invalid

Table = tuple[Sequence[str], list[list[Any]]]
# https://github.com/tatsu-lab/alpaca_eval, its leaderboard files; rates in per cent, the model's name first and unnamed
ALPACA_EVAL = (
    "",
    "win_rate",
    "standard_error",
    "n_wins",
    "n_wins_base",
    "n_draws",
    "n_total",
    "discrete_win_rate",
    "mode",
    "avg_length",
    "length_controlled_winrate",
    "lc_standard_error",
)
RANK = ("source", "checkpoint_id", "checkpoint", "rating", "low", "high", "reason", "choices", "wins", "ties", "losses")


def export_win_rates(measured: Measured, equal_length: EqualLength, *, format: str) -> str:
    """The table of that format. Raises Invalid for a format that there is not."""
    if format not in FORMATS:
        raise Invalid(f"There is no format {format!r}.", hint=f"Use one of {', '.join(FORMATS)}.")
    header, rows = FORMATS[format](measured, equal_length)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _points(measured: Measured, _: EqualLength) -> Table:
    rows = [asdict(row) | {"source_name": measured.source_name(row.source)} for row in points(measured)]
    header = [*WinRateRow.__dataclass_fields__, "source_name"]
    return header, [[row[name] for name in header] for row in rows]


def _leaderboard(measured: Measured, _: EqualLength) -> Table:
    rows = [
        [*(getattr(r, name) for name in RANK), *(r.ranks or (None, None))]
        for source in sources(measured)
        for r in leaderboard(measured, source)
    ]
    return (*RANK, "rank_best", "rank_worst"), rows


def _alpaca_eval(measured: Measured, equal_length: EqualLength) -> Table:
    """Against the initial model, a row per checkpoint and source. lc_standard_error stays empty: theirs leaves out the
    error of the fit (docs/statistics.md), and an interval of ours is no standard error."""
    rows = []
    for row in points(measured):
        if row.against != "initial":
            continue
        draws = row.ties + row.flips
        error = math.sqrt(row.rate * (1 - row.rate) / row.n_effective) if row.n > 1 else None
        controlled = equal_length.rate_of(row)
        rows.append(
            [
                row.checkpoint,
                100 * row.rate,
                None if error is None else 100 * error,
                row.wins,
                row.losses,
                draws,
                row.n,
                100 * (row.wins + draws / 2) / row.n,
                measured.source_name(row.source),
                round(row.mean_length),
                None if controlled is None else 100 * controlled,
                None,
            ]
        )
    return ALPACA_EVAL, rows


FORMATS: dict[str, Callable[[Measured, EqualLength], Table]] = {
    "csv": _points,
    "leaderboard": _leaderboard,
    "alpaca-eval": _alpaca_eval,
}


def _cell(value: Any) -> Any:
    """Spreadsheets run text that begins like a formula; an apostrophe makes it text again."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
