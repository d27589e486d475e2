"""The gate on a run's page as a figure: what its scores show, against the bounds that its plan set first.

Sequential rule: the evidence for and against the candidate after each prompt, on a scale of tens, with the line that
decides. Fixed rule: the win rate with the interval of its one look, beside the bound it must clear. The numbers are
trainer/gate_rules.py's, as the decision's are.
"""

import math
from collections.abc import Mapping
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app.ui.charts import ACCENT, MUTED, SIDE_B, base_figure
from app.ui.html import plain, render
from trainer.gate_options import Rule
from trainer.gate_rules import find, log_evidence
from trainer.score_file import PREFERENCE, QUALITY, Scores

LEAST_SHOWN = 0.01  # evidence of less than 1 to 100 is drawn at the floor
MOST_SHOWN = 300.0  # natural log: numbers end there


def gate_chart(plan: Mapping[str, Any] | None, scores: Scores) -> tuple[str, Any]:
    """The figure in words, and the update of the plot: empty and hidden before there are a plan and scores."""
    if not plan or not scores.get(PREFERENCE):
        return "", gr.update(visible=False)
    sequential = plan["rule"] == Rule.sequential
    told, figure = evidence_figure(plan, scores) if sequential else bound_figure(plan, scores)
    return render("gate_told.html", told=told), gr.update(value=figure, visible=True)


def evidence_figure(plan: Mapping[str, Any], scores: Scores) -> tuple[str, go.Figure]:
    """E-values after each prompt: that the candidate is preferred, that the served one is, that quality holds."""
    alpha = plan["alpha"]
    above, below = log_evidence(scores[PREFERENCE])
    lines = [("for the candidate", above, ACCENT, "solid"), ("against it", below, SIDE_B, "dot")]
    if scores.get(QUALITY):
        least = plan["limits"]["quality_least"]
        lines.append((f"quality above {least:.0%}", log_evidence(scores[QUALITY], least)[0], MUTED, "dash"))
    figure = base_figure(height=300)
    for name, log_e, colour, dash in lines:
        figure.add_trace(
            go.Scatter(
                x=list(range(len(log_e) + 1)),
                y=[max(LEAST_SHOWN, math.exp(min(value, MOST_SHOWN))) for value in (0.0, *log_e)],
                name=plain(name),
                mode="lines",
                line={"color": colour, "width": 2.2, "dash": dash},
                hovertemplate="after %{x} prompts: %{y:.3g} to 1<extra>" + plain(name) + "</extra>",
            )
        )
    decides = f"{1 / alpha:.0f} to 1 decides"
    _bound(figure, 1 / alpha, decides)
    top = max(100.0, 2 / alpha, *(math.exp(min(float(max(log_e)), MOST_SHOWN)) for _, log_e, _, _ in lines))
    figure.update_yaxes(
        type="log", range=[math.log10(LEAST_SHOWN), math.log10(top) + 0.15], dtick=_tens(top), tickformat="~g"
    )
    figure.update_xaxes(
        range=[0, plan["prompts"]],
        title={"text": "held-out prompts", "standoff": 6, "font": {"size": 13}},
        showgrid=False,
    )
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    )
    seen = len(scores[PREFERENCE])
    now = f"{_odds(above[-1])} that the candidate is preferred, {_odds(below[-1])} that the served one is"
    return f"Evidence after {seen} of at most {plan['prompts']} prompts: {now}. By the plan, {decides}.", figure


def bound_figure(plan: Mapping[str, Any], scores: Scores) -> tuple[str, go.Figure]:
    """The win rate of question (b), and of quality where there is a judge, each with its interval and its bound."""
    asked = [("Preference", scores[PREFERENCE], 0.5)]
    if scores.get(QUALITY):
        asked.append(("quality", scores[QUALITY], plan["limits"]["quality_least"]))
    figure = base_figure(height=300)
    told = []
    for place, ((name, row, least), colour) in enumerate(zip(asked, (ACCENT, SIDE_B), strict=False)):
        found = find(row, Rule.fixed, least=least, alpha=plan["alpha"])
        rate, interval = found.rate.rate, found.rate.interval
        figures = f"{rate:.0%} ({interval.low:.1%} to {interval.high:.1%}) on {found.rate.n} prompts"
        told.append(f"{name}: {figures}, to lie above {least:.0%}")
        figure.add_trace(
            go.Scatter(
                x=[place],
                y=[100 * rate],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (interval.high - rate)],
                    "arrayminus": [100 * (rate - interval.low)],
                    "thickness": 2.5,
                    "width": 9,
                    "color": colour,
                },
                mode="markers",
                name=plain(name),
                marker={"size": 10, "color": colour, "symbol": ("circle", "square")[place]},
                hovertemplate=f"{plain(name)}: {plain(figures)}<extra></extra>",
            )
        )
        line = {"color": MUTED, "width": 1.5, "dash": "dash"}
        figure.add_shape(type="line", x0=place - 0.4, x1=place + 0.4, y0=100 * least, y1=100 * least, line=line)
    figure.update_yaxes(range=[0, 100], ticksuffix="%", dtick=25)
    figure.update_xaxes(
        tickvals=list(range(len(asked))),
        tickangle=0,  # on a narrow page Plotly would turn them out of sight
        ticktext=[f"{plain(name)}<br>n {len(row)}<br>above {least:.0%}" for name, row, least in asked],
        range=[-0.7, max(len(asked), 2) - 0.3],
        showgrid=False,
    )
    figure.update_layout(showlegend=False)  # the ticks name them
    return f"One look at all prompts, by the plan. {'; '.join(told)}.", figure


def _bound(figure: go.Figure, at: float, told: str) -> None:
    line = {"color": MUTED, "width": 1.5, "dash": "dash"}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=at, y1=at, line=line)
    # on an axis of tens Plotly takes an annotation's place as its logarithm, a line's as it is
    figure.add_annotation(
        text=told, xref="paper", x=0.01, xanchor="left", y=math.log10(at), yanchor="bottom", showarrow=False
    )


def _tens(top: float) -> int:
    """Decades between two ticks, so that there are some five of them."""
    return max(1, round((math.log10(top) + 2) / 5))


def _odds(log_e: float) -> str:
    return f"{math.exp(min(log_e, 700.0)):.3g} to 1"
