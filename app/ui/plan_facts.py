"""The gate's plan as a person reads it on a run's page: what was going to be asked, before anything was known."""

from collections.abc import Mapping
from typing import Any

Fact = tuple[str, str]


def plan_facts(plan: Mapping[str, Any]) -> list[Fact]:
    """Name and sentence of everything that the plan settles (trainer/gate_plan.py)."""
    facts = [(f"Question {number}", question) for number, question in enumerate(plan["questions"], 1)]
    facts += [("Rule", _rule(plan)), ("Prompts", _prompts(plan)), ("Judge", _judge(plan["judge"]))]
    facts += [("Seeds", f"samples: {plan['seeds']['samples']}; folds and bootstrap: {plan['seeds']['folds']}")]
    if replaced := plan.get("replaces"):
        differing = ", ".join(name.replace("_", " ") for name in replaced["differing"])
        facts.append(("Replaces", f"the plan of {_moment(replaced['written_at'])}, which differed in {differing}"))
    return [*facts, ("Written", f"{_moment(plan['written_at'])}, before the first sample")]


def _rule(plan: Mapping[str, Any]) -> str:
    alpha = plan["alpha"]
    if plan["rule"] == "sequential":
        return f"sequential: stops once the evidence is {1 / alpha:.0f} to 1 for either side, alpha {alpha:g} each"
    return f"fixed: one look, at {1 - alpha:.0%} intervals"


def _prompts(plan: Mapping[str, Any]) -> str:
    most = "at most " if plan["rule"] == "sequential" else ""
    told = f"{most}{plan['prompts']} held-out ones, {plan['samples']} samples a side; {plan['pairs']} decided pairs. "
    told += (
        f"To find a true win rate of {0.5 + plan['minimum_effect']:.0%} in {plan['power']:.0%} of gates takes "
        f"{plan['prompts_needed']}"
    )
    if plan["detectable"] is None:
        return f"{told}; so few find next to nothing."
    return f"{told}; these find one of {plan['detectable']:.1%}."


def _judge(judge: Mapping[str, Any]) -> str:
    if not judge["name"]:
        return str(judge["note"])
    rubric = f", rubric {judge['rubric']} {judge['rubric_digest'][:8]}" if judge["rubric"] else ""
    shown = "the first sample" if judge["samples"] == 1 else f"{judge['samples']} samples"
    return f"{judge['name']}, revision {judge['revision'][:12]}{rubric}; sees {shown} a side. {judge['note']}"


def _moment(written: str) -> str:
    return written.replace("T", " ").replace("+00:00", " UTC")
