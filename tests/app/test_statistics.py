"""`prefloop statistics`: what is printed, where, and with which status."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import cli

Run = Callable[..., tuple[int, str, str]]
GOOD = [
    {"prompt": "p", "model_a": "new", "model_b": "old", "score_a": 1.0},
    {"prompt": "q", "model_a": "old", "model_b": "new", "outcome": "win"},
    {"prompt": "r", "model_a": "new", "model_b": "old", "score_a": 0.5},
]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("FILE", ...) is (status, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prefloop", "statistics", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        return int(end.value.code or 0), out, err

    return call


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_json_has_the_names_that_others_rely_on(run: Run, tmp_path: Path) -> None:
    status, out, err = run(write(tmp_path / "o.jsonl", GOOD), "--json")
    assert (status, err) == (0, "")
    figures = json.loads(out)
    [pair] = figures["pairs"]
    assert [pair[key] for key in ("model_a", "model_b", "n", "wins", "losses", "ties")] == ["new", "old", 3, 1, 1, 1]
    assert pair["win_rate"] == 0.5 and pair["standard_error"] == pytest.approx(0.5 / 3**0.5)
    low, high = pair["interval"]
    assert 0 < low < 0.5 < high < 1 and pair["length_controlled_win_rate"] is None
    assert list(figures["models"]) == ["new", "old"]
    model = figures["models"]["new"]
    assert model["rating"] == pytest.approx(1000) and model["comparisons"] == 3
    assert model["interval"][0] < 1000 < model["interval"][1]
    assert (figures["rows"], figures["left_out"]) == (3, [])


def test_bad_rows_are_told_with_their_line_and_left_out_and_the_status_says_so(run: Run, tmp_path: Path) -> None:
    rows = [GOOD[0], "junk", "", {**GOOD[0], "score_a": 3}, GOOD[1], GOOD[2]]
    status, out, err = run(write(tmp_path / "o.jsonl", rows), "--json")
    assert status == 1
    assert "line 2: left out: not JSON" in err and "line 4: left out: score_a is 3" in err
    figures = json.loads(out)
    assert [row["line"] for row in figures["left_out"]] == [2, 4]
    assert figures["pairs"] == json.loads(run(write(tmp_path / "good.jsonl", GOOD), "--json")[1])["pairs"]


def test_gzip_and_a_byte_order_mark_are_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(row).encode() for row in GOOD)))
    status, out, _ = run(path, "--json")
    assert (status, json.loads(out)["rows"]) == (0, 3)


def test_without_json_it_is_a_table_in_which_names_are_no_markup(run: Run, tmp_path: Path) -> None:
    rows = [{**row, "model_a": "[bold]new"} for row in GOOD]
    status, out, err = run(write(tmp_path / "o.jsonl", rows))
    assert (status, err) == (0, "")
    assert "[bold]new" in out and "win rate" in out


def test_a_file_with_everything_is_printed(run: Run, tmp_path: Path) -> None:
    rows = []
    for i in range(40):
        for k, model in enumerate(("a", "b", "c")):
            for rater in ("ann", "ben", "judge"):
                score = float((i * 7 + k * 3 + len(rater) * (i % 3 == 0)) % 5 < 3)
                lengths = {"length_a": 100 + 37 * ((i + k) % 11), "length_b": 300}
                seen = {"rater": rater, "order": "ab" if (i + k) % 2 else "ba", "tags": ["t"]}
                rows.append({"prompt": i, "model_a": model, "model_b": "base", "score_a": score, **lengths, **seen})
    status, out, _ = run(write(tmp_path / "o.jsonl", rows))
    assert status == 0
    for told in (
        "Bradley-Terry",
        "Same prompts",
        "By tag",
        "Krippendorff's alpha",
        "two people",
        "Shown first",
        "longer",
    ):
        assert told in out, told


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_outcomes_is_refused_in_one_line(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text(content)
    status, out, err = run(path)
    assert (status, out, err.count("\n")) == (1, "", 1) and "no outcomes" in err


def test_a_file_that_is_not_there_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    status, _, err = run(tmp_path / "none.jsonl")
    assert status == 1 and err.count("\n") == 1 and "no file" in err


def test_it_loads_no_model_library_and_opens_no_project(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", GOOD)
    code = (
        "import sys\nfrom app import cli\n"
        f"sys.argv = ['prefloop', 'statistics', {str(path)!r}, '--json']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'gradio') if name in sys.modules], file=sys.stderr)"
    )
    environment = {
        **os.environ,
        "PREFLOOP_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.strip() == "[]"
    assert not (tmp_path / "data").exists()
