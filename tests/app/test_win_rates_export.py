"""Win rates for other programs: the columns that they read, and no cell that a spreadsheet would run."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rows import record_history

from app import cli
from app.equal_length import EqualLength
from app.win_rates import WinRates
from app.win_rates_export import ALPACA_EVAL, export_win_rates
from storage.database import Database
from storage.errors import Invalid
from storage.tables import Checkpoint


class _Slot:
    current_id = "initial"


@pytest.fixture
def lived(tmp_path: Path) -> Database:
    database = Database.in_directory(tmp_path)
    database.migrate()
    record_history(database, tmp_path, slot=_Slot())
    return database


def read(database: Database, format: str) -> list[dict[str, str]]:
    text = export_win_rates(WinRates(database).read(), EqualLength(database), format=format)
    return list(csv.DictReader(io.StringIO(text)))


def test_alpaca_evals_columns_hold_per_cents_and_counts(lived: Database) -> None:
    first = read(lived, "alpaca-eval")[0]
    assert tuple(first) == ALPACA_EVAL
    # 25 of 40: sd of the scores sqrt(40/39 * 25/40 * 15/40), over sqrt 40
    assert (first[""], first["win_rate"], first["n_wins"], first["n_wins_base"]) == ("dpo-0001", "62.5", "25", "15")
    assert float(first["standard_error"]) == pytest.approx(100 * (0.625 * 0.375 / 39) ** 0.5)
    assert (first["n_draws"], first["n_total"], first["discrete_win_rate"]) == ("0", "40", "62.5")
    assert (first["mode"], first["avg_length"], first["lc_standard_error"]) == ("preference model", "120", "")


def test_every_point_is_a_row_with_its_interval(lived: Database) -> None:
    rows = read(lived, "csv")
    assert [row["checkpoint"] for row in rows] == ["dpo-0001", "dpo-0002", "dpo-0003"]
    assert all(float(row["low"]) < float(row["rate"]) < float(row["high"]) for row in rows)


def test_the_leaderboard_says_the_range_of_ranks(lived: Database) -> None:
    best = read(lived, "leaderboard")[0]
    assert (best["checkpoint"], best["rank_best"]) == ("dpo-0003", "1")


def test_a_name_that_looks_like_a_formula_is_text(lived: Database) -> None:
    with lived.write() as session:
        session.get_one(Checkpoint, "dpo-0001").name = "=1+1"
    assert read(lived, "alpaca-eval")[0][""] == "'=1+1"


def test_an_unknown_format_is_refused_with_those_there_are(lived: Database) -> None:
    with pytest.raises(Invalid, match="xlsx") as error:
        read(lived, "xlsx")
    assert "alpaca-eval" in error.value.hint


@pytest.fixture
def run(
    lived: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """run("--json") is what `prefloop win-rates` prints."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["prefloop", "win-rates", "--data-dir", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        return capfd.readouterr().out

    return call


def test_the_command_prints_points_and_ratings_as_json(run: Callable[..., str]) -> None:
    made = json.loads(run("--json"))
    assert [row["checkpoint_id"] for row in made["win_rates"]] == ["dpo-0001", "dpo-0002", "dpo-0003"]
    assert made["leaderboard"][0]["checkpoint_id"] == "dpo-0003"


def test_the_command_prints_tables_for_people(run: Callable[..., str]) -> None:
    assert "dpo-0003" in run() and "Bradley-Terry" in run()


def test_the_command_writes_a_file(run: Callable[..., str], tmp_path: Path) -> None:
    told = run("--format", "alpaca-eval", "--output", str(tmp_path / "rates.csv"))
    assert "3 rows in" in told
    assert (tmp_path / "rates.csv").read_text().startswith(",win_rate,")
