"""Guards of a run under way on its page: how much of the way to its limit each is, those that are nearest.

Leaves out what they measure (trainer/live_guards.py) and the guards before the gate, a table in detail.html.
"""

from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app.ui.charts import ACCENT, MUTED, SIDE_B, Series, base_figure
from app.ui.html import plain, render

TITLE = "Guards while it trains"
SHOWN = 3
HIGHEST = 3.0  # of a limit; what is further beyond is drawn here
LOOKS = ((ACCENT, "solid"), (SIDE_B, "dot"), (MUTED, "dash"))


def guards_chart(metrics: Series) -> tuple[str, Any]:
    """The newest look in words, and the update of the plot; both hidden for runs that are not watched."""
    used = guards_used(metrics)
    if not used:
        return "", gr.update(visible=False)
    return render("chart_told.html", title=TITLE, told=guards_told(used)), gr.update(
        value=guards_figure(used), visible=True
    )


def guards_used(metrics: Series) -> dict[str, list[tuple[int, float]]]:
    """(step, share of the way to its limit) of each guard, the one nearest at the newest look first."""
    found = {name.split("/")[1]: list(points) for name, points in metrics.items() if _is_used(name) and points}
    return dict(sorted(found.items(), key=lambda one: -one[1][-1][1]))


def guards_told(used: dict[str, list[tuple[int, float]]]) -> str:
    """Which hold at the newest look, and which is nearest."""
    last = {_said(name): points[-1][1] for name, points in used.items()}
    beyond = [name for name, share in last.items() if share > 1]
    nearest, share = next(iter(last.items()))
    now = (
        f"Beyond the limit: {', '.join(beyond)}."
        if beyond
        else f"All {len(last)} hold; nearest to its limit is {nearest}, {share:.0%} of the way."
    )
    return f"The newest completions against the initial model’s own, for the same kind of prompts. {now}"


def guards_figure(used: dict[str, list[tuple[int, float]]]) -> go.Figure:
    """The guards nearest to their limits over the steps: 0 is the initial model, the dashed line the limit."""
    figure = base_figure(height=240)
    for (name, points), (colour, dash) in zip(list(used.items())[:SHOWN], LOOKS, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[step for step, _ in points],
                y=[100 * min(HIGHEST, share) for _, share in points],
                customdata=[share for _, share in points],
                name=plain(_said(name)),
                mode="lines" if len(points) > 1 else "markers",
                line={"color": colour, "width": 2.2, "dash": dash},
                hovertemplate="step %{x}: %{customdata:.0%} of the way<extra>" + plain(_said(name)) + "</extra>",
            )
        )
    figure.add_hline(y=100, line={"color": MUTED, "width": 1.5, "dash": "dash"})
    figure.add_annotation(text="limit", xref="paper", x=0.01, xanchor="left", y=100, yanchor="bottom", showarrow=False)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    )
    figure.update_yaxes(ticksuffix="%", nticks=5, rangemode="tozero")
    figure.update_xaxes(title={"text": "step", "font": {"size": 12}}, showgrid=False, nticks=5, rangemode="tozero")
    return figure


def _is_used(name: str) -> bool:
    return name.startswith("guards/") and name.endswith("/used")


def _said(name: str) -> str:
    return name.replace("_", " ").replace("self bleu", "self-BLEU").replace("kl", "KL")
