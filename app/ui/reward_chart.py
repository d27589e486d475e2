"""Over-optimisation on a run's page: the reward that is trained on and gold ones that are not, against KL and steps.

After Gao et al. 2023. Rewards of different units are drawn on one scale: the change of the mean since the first step,
in deviations within that step's completions. Leaves out how they are measured (trainer/rewards/gold.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app.ui.charts import ACCENT, MUTED, SIDE_B, Series, base_figure
from app.ui.html import plain, render

TITLE = "Over-optimisation"
KL = "objective/kl"
PROXY = "the reward"
LOOKS = ((ACCENT, "solid", "circle"), (SIDE_B, "dot", "square"), (MUTED, "dash", "diamond"))
Points = dict[int, float]


def reward_charts(metrics: Series, config: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """The figures in words, and the updates of two plots, against KL and over steps; hidden for runs without both."""
    lines = reward_lines(metrics, config)
    kl = dict(metrics.get(KL, ()))
    if PROXY not in lines or not kl:
        return "", gr.update(visible=False), gr.update(visible=False)
    against = {
        name: [(kl[step], y, step) for step, y in points.items() if step in kl] for name, points in lines.items()
    }
    over = {name: [(step, y, step) for step, y in points.items()] for name, points in lines.items()}
    return (
        render("chart_told.html", title=TITLE, told=reward_told(metrics, config)),
        gr.update(value=reward_figure(against, "KL to the initial model, nats per completion"), visible=True),
        gr.update(value=reward_figure(over, "step"), visible=True),
    )


def reward_lines(metrics: Series, config: Mapping[str, Any]) -> dict[str, Points]:
    """By name, the reward's change and each gold reward's, at each step."""
    weights = _weights(config)
    terms = [_change(metrics, f"rewards/{name}/mean", f"rewards/{name}/std") for name in weights]
    lines: dict[str, Points] = {}
    if weights and all(terms):
        steps = [step for step in terms[0] if all(step in one for one in terms)]
        lines[PROXY] = {
            step: sum(weight * one[step] for weight, one in zip(weights.values(), terms, strict=True)) for step in steps
        }
    elif scores := _change(metrics, "objective/scores", "objective/scores_std"):
        lines[PROXY] = scores
    for name in gold_names(metrics):
        lines[f"gold: {name}"] = _change(metrics, f"gold/{name}/mean", f"gold/{name}/std")
    return {name: points for name, points in lines.items() if points}


def gold_names(metrics: Series) -> list[str]:
    return [name.split("/")[1] for name in metrics if name.startswith("gold/") and name.endswith("/mean")]


def reward_told(metrics: Series, config: Mapping[str, Any]) -> str:
    """First and last mean of every reward, raw, and how far the policy has gone for it."""
    names = [(name, f"rewards/{name}/mean") for name in _weights(config)]
    names += [(f"gold {name}", f"gold/{name}/mean") for name in gold_names(metrics)]
    told = [
        f"{name} went from {metrics[key][0][1]:.3g} to {metrics[key][-1][1]:.3g}"
        for name, key in names
        if key in metrics
    ] or [f"the reward went from {metrics['objective/scores'][0][1]:.3g} to {metrics['objective/scores'][-1][1]:.3g}"]
    said = "; ".join(told)
    gold = "" if gold_names(metrics) else " No gold reward is measured: name one as gold to see whether it keeps pace."
    return f"{said[:1].upper()}{said[1:]}; KL is {metrics[KL][-1][1]:.3g} nats per completion.{gold}"


def reward_figure(lines: Mapping[str, Sequence[tuple[float, float, int]]], x: str) -> go.Figure:
    """Points (x, change, step) of each line, joined in the order of the steps."""
    figure = base_figure(height=260)
    for (name, points), (colour, dash, symbol) in zip(lines.items(), LOOKS, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[at for at, _, _ in points],
                y=[change for _, change, _ in points],
                customdata=[step for _, _, step in points],
                name=plain(name),
                mode="lines+markers",
                marker={"size": 4, "symbol": symbol, "color": colour},
                line={"color": colour, "width": 2.2, "dash": dash},
                hovertemplate="step %{customdata}: %{y:.2f} deviations of step 1<extra>" + plain(name) + "</extra>",
            )
        )
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    )
    figure.update_xaxes(title={"text": x, "font": {"size": 12}}, showgrid=False, nticks=5, rangemode="tozero")
    figure.update_yaxes(title={"text": "change, in deviations of step 1", "font": {"size": 12}}, nticks=5)
    return figure


def _weights(config: Mapping[str, Any]) -> dict[str, float]:
    """The terms that are trained on, by the name their metrics have."""
    terms = config.get("rewards") or ()
    return {term.get("name") or term["kind"]: term.get("weight", 1.0) for term in terms}


def _change(metrics: Series, mean: str, spread: str) -> Points:
    """The change of a mean since its first step, in that step's deviation, or raw where nothing deviated."""
    points = list(metrics.get(mean, ()))
    if not points:
        return {}
    first, began = points[0]
    unit = dict(metrics.get(spread, ())).get(first, 0.0) or 1.0
    return {step: (value - began) / unit for step, value in points}
