"""`prefloop win-rates`: the win-rate page on the terminal, as JSON, or as a file for other programs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.settings import Settings
from storage.errors import Invalid

if TYPE_CHECKING:
    from app.leaderboard import Rank
    from app.win_rates import Measured, WinRateRow


def win_rates(
    format: Annotated[str | None, typer.Option(help="csv, leaderboard or alpaca-eval; needs --output.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="This project's folder; default PREFLOOP_DATA_DIR.")
    ] = None,
) -> None:
    """Win rates of every checkpoint by each judge and by people, and the leaderboard; to read or to export."""
    from app.equal_length import EqualLength
    from app.leaderboard import leaderboard, sources
    from app.project import open_database
    from app.win_rates import WinRates, points
    from app.win_rates_export import export_win_rates

    if (format is None) is not (output is None):
        raise Invalid("--format and --output go together.", hint="For example --format csv --output rates.csv.")
    given: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    database = open_database(Settings(**given), begun=True)
    measured = WinRates(database).read()
    if format is not None and output is not None:
        _write(output, export_win_rates(measured, EqualLength(database), format=format))
        return
    rows = points(measured)
    boards = {source: leaderboard(measured, source) for source in sources(measured)}
    if as_json:
        ranks = [asdict(rank) for board in boards.values() for rank in board]
        made = {"win_rates": [asdict(row) for row in rows], "leaderboard": ranks}
        print(json.dumps(made, indent=1, allow_nan=False))
        return
    console = Console()
    console.print(_point_table(measured, rows))
    for source, board in boards.items():
        console.print(_rank_table(measured.source_name(source), board))


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{output} cannot be written: {error.strerror}.") from error
    print(f"{len(text.splitlines()) - 1} rows in {output}")


def _point_table(measured: "Measured", rows: "list[WinRateRow]") -> Table:
    table = Table("checkpoint", "against", "by", "win rate", "95%", "n", "w / t / l", "flips", "invalid", "length")
    for row in rows:
        names = [_text(text) for text in (row.checkpoint, row.baseline, measured.source_name(row.source))]
        ends = f"{100 * row.low:.1f} to {100 * row.high:.1f}"
        counts = [str(row.n), f"{row.wins} / {row.ties} / {row.losses}", str(row.flips), str(row.invalid)]
        table.add_row(*names, f"{row.rate:.1%}", ends, *counts, f"{row.mean_length:.0f}")
    return table


def _rank_table(source: str, board: "list[Rank]") -> Table:
    table = Table("ranks", "checkpoint", "rating", "95%", "choices", "", title=f"Bradley-Terry, by {_text(source)}")
    for rank in board:
        ranks = "-".join(str(place) for place in dict.fromkeys(rank.ranks)) if rank.ranks else ""
        figures = [f"{rank.rating:.0f}", f"{rank.low:.0f} to {rank.high:.0f}", str(rank.choices)]
        table.add_row(ranks, _text(rank.checkpoint), *figures, rank.reason or "")
    return table


def _text(value: str) -> str:
    return value.replace("[", r"\[")  # rich would take it for markup
