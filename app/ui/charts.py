"""Plotly figures of the page: win rates with their intervals, and the curves of a run.

Colours here are those of the light page; assets/style.css repaints text, grid and traces for the dark one. Labels
pass through `plain`, because Plotly reads markup in them. Leaves out the numbers (app/win_rates.py, storage/runs.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app.ui.html import plain
from app.verdicts import item_of
from app.win_rates import PEOPLE, WinRateRow

ACCENT, SIDE_B, MUTED, LINE = "#3b5bdb", "#0b7285", "#5b6472", "#e3e6ec"
MOST_CHECKPOINTS = 12
NO_POINT = (None,)
LOSSES = ("loss", "eval_loss")
LEARNED = (
    "rewards/margins",
    "rewards/accuracies",
    "accuracy",
    "eval_accuracy",
    "mean_token_accuracy",
    "logps/completions",
    "weights/mean",
)
Series = Mapping[str, Sequence[tuple[int, float]]]
JUDGE_MARK, PEOPLE_MARK = (ACCENT, "circle", -0.09), (SIDE_B, "square", 0.09)


def win_rate_figure(rows: Sequence[WinRateRow], *, names: Mapping[str, str], told: str = "") -> go.Figure:
    """Win rate of each checkpoint in per cent, 95% intervals, the 50% line: one judge's points and people's.

    names: of the sources. told: what the rates are besides raw, in words for the hover.
    """
    shown = newest(rows)
    places = list(dict.fromkeys(r.checkpoint_id for r in shown))
    figure = base_figure(height=340)
    sources = list(dict.fromkeys(r.source for r in shown))
    for is_people, (colour, symbol, shift) in ((False, JUDGE_MARK), (True, PEOPLE_MARK)):
        points = [r for r in shown if (r.source == PEOPLE) is is_people]
        label = names.get(points[0].source, points[0].source) if points else PEOPLE if is_people else "judge"
        x = [places.index(r.checkpoint_id) + shift * (len(sources) > 1) for r in points]
        y = [100 * r.rate for r in points]
        figure.add_trace(
            go.Scatter(
                # never empty: Plotly leaves those out, and the style sheet would take the second trace for the first
                x=x or NO_POINT,
                y=y or NO_POINT,
                error_y=_intervals(points, colour),
                mode="markers",
                name=plain(label),
                marker={"symbol": symbol, "size": 9, "color": colour},
                customdata=[(_hover(r, label, told), item_of(r)) for r in points],
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
        )
    figure.add_hline(y=50, line={"color": MUTED, "width": 1.5, "dash": "dash"})
    figure.update_yaxes(range=[0, 100], ticksuffix="%", dtick=25)
    figure.update_xaxes(
        tickvals=list(range(len(places))),
        ticktext=[_tick([r for r in shown if r.checkpoint_id == name]) for name in places],
        range=[-0.6, max(len(places), 2) - 0.4],
        showgrid=False,
    )
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    )
    return figure


def _intervals(points: Sequence[WinRateRow], colour: str) -> dict[str, Any]:
    return {
        "visible": bool(points),
        "type": "data",
        "symmetric": False,
        "array": [100 * (r.high - r.rate) for r in points],
        "arrayminus": [100 * (r.rate - r.low) for r in points],
        "thickness": 2.5,
        "width": 7,  # else a narrow interval hides behind its point
        "color": colour,
    }


def newest(rows: Sequence[WinRateRow]) -> list[WinRateRow]:
    """The rows of the newest MOST_CHECKPOINTS checkpoints, given oldest first."""
    kept = list(dict.fromkeys(r.checkpoint_id for r in rows))[-MOST_CHECKPOINTS:]
    return [r for r in rows if r.checkpoint_id in kept]


def run_figures(metrics: Series) -> tuple[Any, Any]:
    """Updates of a run's two charts, loss and margin with accuracy (or what it has instead); hidden while empty."""
    losses = {n: p for n, p in metrics.items() if n in LOSSES}
    learned = {n: metrics[n] for n in LEARNED if n in metrics}
    return tuple(
        gr.update(value=curve_figure(dict(list(series.items())[:2])), visible=True)
        if series
        else gr.update(visible=False)
        for series in (losses, learned)
    )  # type: ignore[return-value]


def curve_figure(series: Series) -> go.Figure:
    """One line per metric over the steps, with the last values as its title."""
    figure = base_figure(height=190)
    for (name, points), colour in zip(series.items(), (ACCENT, SIDE_B), strict=False):
        figure.add_trace(
            go.Scatter(
                x=[step for step, _ in points],
                y=[value for _, value in points],
                name=plain(name),
                mode="lines" if len(points) > 1 else "markers",
                line={"color": colour, "width": 2.2, "dash": "solid" if colour == ACCENT else "dot"},
                hovertemplate="step %{x}: %{y:.3g}<extra>" + plain(name) + "</extra>",
            )
        )
    signs = ("— ", "··· ") if len(series) > 1 else ("",)  # which line is which, without colour
    last = zip(signs, series.items(), strict=True)
    title = " · ".join(f"{sign}{_short(name)} {points[-1][1]:.3g}" for sign, (name, points) in last)
    figure.update_layout(
        title={"text": plain(title), "font": {"size": 13}, "x": 0, "xref": "paper", "y": 0.97, "yanchor": "top"},
        showlegend=False,
    )
    figure.update_yaxes(nticks=4)
    figure.update_xaxes(showgrid=False, nticks=5, rangemode="tozero")
    return figure


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].replace("_", " ")


def base_figure(*, height: int) -> go.Figure:
    """An empty figure in the page's manner: nothing moves, no tools."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 46, "r": 12, "t": 28, "b": 36},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": MUTED},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
        modebar={
            "remove": ["zoom", "pan", "select", "lasso", "zoomIn", "zoomOut", "autoScale", "resetScale", "toImage"]
        },
        dragmode=False,
    )
    figure.update_xaxes(linecolor=LINE, zeroline=False, automargin=True, fixedrange=True)
    figure.update_yaxes(gridcolor=LINE, zeroline=False, automargin=True, fixedrange=True)
    return figure


def _tick(rows: Sequence[WinRateRow]) -> str:
    """Name, then how many prompts and the mean length in characters, beneath a point."""
    counts = " + ".join(str(r.n) for r in rows)
    return f"{plain(rows[0].checkpoint)}<br>n {counts}<br>{rows[0].mean_length:.0f} chars"


def _hover(row: WinRateRow, source: str, told: str) -> str:
    return (
        f"{plain(row.checkpoint)} against {plain(row.baseline)}, by {plain(source)}<br>"
        f"{row.rate:.0%} ({row.low:.0%} to {row.high:.0%}){plain(told)}, n {row.n}<br>"
        f"{row.mean_length:.0f} characters against {row.baseline_length:.0f}<br>click for the texts"
    )
