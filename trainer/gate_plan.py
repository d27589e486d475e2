"""The gate's plan: what is asked, of how many prompts, by which rule; written down before anything is sampled.

Leaves out where it is kept (plan_file.py), the rules themselves (gate_rules.py) and the decision (gate.py).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trainer.evaluation.agreement import KAPPA_ITEMS, KAPPA_LEAST
from trainer.evaluation.nesting import HasMessages
from trainer.evaluation.protocol_report import INVALID_ALARM
from trainer.evaluation.sample_size import SEQUENTIAL_FACTOR, detectable_score, prompts_needed
from trainer.gate import DECIDED_PAIRS, QUALITY_LEAST
from trainer.gate_options import Rule
from trainer.gate_rules import ALPHA
from trainer.guard_limits import GUARDS

MINIMUM_EFFECT = 0.10  # a true win rate of 60% is worth finding
POWER = 0.8
LOOK = 50  # prompts between two looks of the sequential rule: fewer would give the guards too few texts


@dataclass(frozen=True)
class PlannedJudge:
    """Who judges quality, or preference where `answers_b`; `note` says why there is none, or how far it agrees."""

    name: str
    kind: str
    revision: str
    rubric: str
    rubric_digest: str
    samples: int  # of each side per prompt
    answers_b: bool
    note: str


@dataclass(frozen=True)
class GatePlan:
    """n is `prompts`, at most that for the sequential rule. `prompts_needed` would find MINIMUM_EFFECT with POWER.

    detectable: the true win rate that `prompts` prompts find with POWER; None where even 100% might be missed.
    """

    candidate: str
    baseline: str
    questions: list[str]
    rule: Rule
    alpha: float
    minimum_effect: float
    power: float
    prompts: int
    prompts_needed: int
    detectable: float | None
    prompts_digest: str
    samples: int
    pairs: int
    seeds: dict[str, str]
    limits: dict[str, float]
    judge: PlannedJudge


def plan_gate(
    *,
    candidate: str,
    baseline: str,
    prompts: Sequence[HasMessages],
    samples: int,
    pairs: int,
    rule: Rule,
    judge: PlannedJudge,
) -> GatePlan:
    """The plan for these held-out prompts, in their order, and `pairs` decided pairs."""
    factor = SEQUENTIAL_FACTOR if rule is Rule.sequential else 1.0
    limits = {
        "decided_pairs": float(DECIDED_PAIRS),
        "quality_least": QUALITY_LEAST,
        "invalid_most": INVALID_ALARM,
        "kappa_least": KAPPA_LEAST,
        "kappa_choices": float(KAPPA_ITEMS),
    }
    return GatePlan(
        candidate=candidate,
        baseline=baseline,
        questions=_questions(candidate, baseline, judge),
        rule=rule,
        alpha=ALPHA,
        minimum_effect=MINIMUM_EFFECT,
        power=POWER,
        prompts=len(prompts),
        prompts_needed=prompts_needed(0.5 + MINIMUM_EFFECT, power=POWER, alpha=ALPHA, factor=factor),
        detectable=detectable_score(len(prompts), power=POWER, alpha=ALPHA, factor=factor),
        prompts_digest=hashlib.sha256(json.dumps([p.messages for p in prompts]).encode()).hexdigest(),
        samples=samples,
        pairs=pairs,
        seeds={"samples": "SHA-256 of the sample's number and its prompt", "folds": "0", "bootstrap": "0"},
        limits=limits | asdict(GUARDS),
        judge=judge,
    )


def _questions(candidate: str, baseline: str, judge: PlannedJudge) -> list[str]:
    unbroken = f"Is {candidate} unbroken: does every guard hold?"
    if judge.name and not judge.answers_b:
        unbroken = f"Is {candidate} unbroken: does every guard hold, and the judge find it no worse than {baseline}?"
    prefers = "the judge, which agrees with these people," if judge.answers_b else "the preference model"
    return [
        unbroken,
        "Did it learn what people want: (a) can their choices be foretold?",
        f"(b) Does {prefers} prefer {candidate} to {baseline} on held-out prompts?",
    ]
