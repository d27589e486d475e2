"""`prefloop statistics FILE`: every figure of outcomes made here or elsewhere, as a table or as JSON.

The figures are trainer/evaluation/report.py's. Opens no project and loads no model.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table


def statistics(
    file: Annotated[Path, typer.Argument(help="JSON lines: prompt, model_a, model_b, score_a or outcome; .gz too.")],
    judge: Annotated[list[str] | None, typer.Option(help="A rater that is a judge, not a person; repeatable.")] = None,
    length_effect: Annotated[
        float | None, typer.Option(help="Length coefficient of this judge's earlier runs, for length control.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Win rates, ratings and agreement from a file of outcomes. Bad rows are told, left out, and end in status 1."""
    from storage.errors import Invalid
    from storage.transfer.reading import read_lines, rewindable
    from trainer.evaluation.outcomes import read_outcomes
    from trainer.evaluation.report import report

    try:
        with rewindable(file) as stream:
            outcomes, left_out = read_outcomes((line.number, line.raw) for line in read_lines(stream))
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from error
    for row in left_out:
        print(f"line {row.line}: left out: {row.reason}", file=sys.stderr)
    if not outcomes and not left_out:
        raise Invalid(f"There are no outcomes in {file}.", hint="It needs one JSON object per line.")
    figures = report(outcomes, judges=judge or [], known_effect=length_effect)
    figures |= {"rows": len(outcomes), "left_out": [{"line": row.line, "reason": row.reason} for row in left_out]}
    if as_json:
        print(json.dumps(figures, indent=1, allow_nan=False))
    else:
        _print_tables(figures)
    if left_out:
        print(f"{len(outcomes)} rows used, {len(left_out)} left out", file=sys.stderr)
        sys.exit(1)


def _print_tables(figures: dict[str, Any]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # in a file nothing needs to wrap
    console.print(_pair_table(figures["pairs"]))
    if len(figures["models"]) > 2:
        console.print(_model_table(figures["models"]))
    if figures["paired"]:
        console.print(_paired_table(figures["paired"]))
    if figures["slices"]:
        console.print(_slice_table(figures["slices"]))
    if figures["raters"]:
        console.print(_rater_table(figures["raters"]))
    for name, found in figures["agreement"].items():
        console.print(_agreement_table(name, found))
    for line in [*_sentences(figures), *figures["notes"]]:
        console.print(line, markup=False, highlight=False)


def _pair_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("model", "against", "n", "w / t / l", "win rate", "95%", "at equal length", "flips", "invalid")
    for row in rows:
        counts = f"{row['wins']} / {row['ties']} / {row['losses']}"
        found = [_percent(row["win_rate"]), _range(row["interval"]), _percent(row["length_controlled_win_rate"])]
        names = (_text(row["model_a"]), _text(row["model_b"]))
        table.add_row(*names, str(row["n"]), counts, *found, str(row["flips"]), str(row["invalid"]))
    return table


def _model_table(models: dict[str, dict[str, Any]]) -> Table:
    table = Table("ranks", "model", "rating", "95%", "comparisons", "", title="Bradley-Terry")
    rated = sorted(models.items(), key=lambda item: (item[1]["ranks"] is None, -(item[1]["rating"] or 0)))
    for name, row in rated:
        ranks = "" if row["ranks"] is None else "-".join(str(rank) for rank in dict.fromkeys(row["ranks"]))
        ends = "" if row["interval"] is None else f"{row['interval'][0]:.0f} to {row['interval'][1]:.0f}"
        rating = "" if row["rating"] is None else f"{row['rating']:.0f}"
        table.add_row(ranks, _text(name), rating, ends, str(row["comparisons"]), row["reason"] or "")
    return table


def _paired_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("against", "model", "minus", "n", "difference", "95%", "p (Holm)", "McNemar p", title="Same prompts")
    for row in rows:
        names = [_text(row[key]) for key in ("baseline", "model_b", "model_a")]
        figures = [_percent(row["difference"]), _range(row["interval"]), _p(row["p_holm"]), _p(row["mcnemar_p_holm"])]
        table.add_row(*names, str(row["n"]), *figures)
    return table


def _slice_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("tag", "model", "against", "n", "win rate", "95%", "p (Holm)", title="By tag")
    for row in rows:
        names = [_text(row[key]) for key in ("tag", "model_a", "model_b")]
        table.add_row(*names, str(row["n"]), _percent(row["win_rate"]), _range(row["interval"]), _p(row["p_holm"]))
    return table


def _rater_table(raters: dict[str, Any]) -> Table:
    alpha = raters["alpha"]
    value = "unknown" if alpha["value"] is None else f"{alpha['value']:.3f} on {alpha['items']} items"
    table = Table("rater", "labels", "with the others", "ties", "took first", "", title=f"Krippendorff's alpha {value}")
    for name, row in raters["by_rater"].items():
        first = row["took_first"]["rate"] if row["took_first"] else None
        figures = [_percent(row["others"]["with_ties"]["rate"]), _percent(row["ties"]), _percent(first)]
        table.add_row(_text(name), str(row["labels"]), *figures, "differs" if row["outlier"] else "")
    return table


def _agreement_table(name: str, found: dict[str, Any]) -> Table:
    kappa = "" if found["kappa"] is None else f", kappa {found['kappa']:.2f}"
    title = f"{_text(name)} against people on {found['items']} items{kappa}"
    table = Table("", "with ties", "n", "without ties", "n", title=title)
    for row, label in (
        ("people", "the judge"),
        ("ceiling", "two people"),
        ("longest", "the longest wins"),
        ("always_first", "the first wins"),
        ("most_common", "the most common verdict"),
    ):
        if found[row]:
            ways = [found[row]["with_ties"], found[row]["without_ties"]]
            table.add_row(label, *(text for way in ways for text in (_percent(way["rate"]), str(way["total"]))))
    return table


def _sentences(figures: dict[str, Any]) -> list[str]:
    made = []
    position, longer = figures["position"], figures["prefers_longer"]
    if position and position["effect"] is not None:
        alarm = " (too much)" if position["alarm"] else ""
        made.append(f"Shown first scores {100 * position['effect']:+.1f} points more than shown second{alarm}.")
    if longer:
        made.append(f"The longer text wins {longer['rate']:.1%} of {longer['n']} prompts with unequal lengths.")
    return made


def _text(value: str) -> str:
    return value.replace("[", r"\[")  # rich would take it for markup


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _range(interval: list[float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
