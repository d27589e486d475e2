"""Live guards on rollouts: the initial model's completions they compare with, sampled once and kept with the run.

    guards = open_guards(config, roller, questions, work, reporter, seed=config.seed)
    metrics |= guards.look(step, seen(rollouts), reward=...)      # trainer/live_guards.py

Left out: what guards measure and when they trip (trainer/live_guards.py), and what completions are worth
(`appraisal.py`).
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainer.algorithms import together
from trainer.algorithms.division import is_main
from trainer.algorithms.rollouts import Roller, Rollouts, questions_of
from trainer.examples import Question
from trainer.guard_results import Sample
from trainer.live_guard_config import LiveGuardSettings
from trainer.live_guards import WINDOW, LiveGuards, Rollout
from trainer.reporter import Reporter

FILE = "guards.json"


def open_guards(
    settings: LiveGuardSettings,
    roller: Roller,
    questions: Sequence[Question],
    work: Path,
    reporter: Reporter,
    *,
    seed: int,
    each: int = 1,
) -> LiveGuards:
    """The guards of a run that shows them `each` completions of a prompt at a time; of the initial model's as many.

    A resumed one finds in `work` what it compared with before. Raises Stopped.
    """
    kept = work / FILE
    if not together.agreed(kept.exists(), roller.actor.model.device):
        reporter.stage("sampling the initial model for the guards")
        asked = [q for q in questions_of(questions, first=0, count=WINDOW // each, seed=seed) for _ in range(each)]
        seeds = [random.Random(f"{seed}:{number}:guards").randrange(2**31) for number in range(WINDOW)]
        rows = [[prompt, asdict(sample)] for prompt, sample in seen(roller.roll_reference(asked, seeds))]
        if is_main():
            _write(kept, rows)
        together.wait()
        reporter.stage("training")
    initial = [(prompt, Sample(**fields)) for prompt, fields in json.loads(kept.read_text(encoding="utf-8"))]
    return LiveGuards(settings, initial)


def _write(kept: Path, rows: list[list[Any]]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".tmp")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    partial.replace(kept)


def seen(rollouts: Rollouts) -> list[Rollout]:
    """The rollouts as guards take them."""
    mask = rollouts.old.mask
    own, initial = (rollouts.old.logprobs * mask).sum(dim=1), (rollouts.reference * mask).sum(dim=1)
    rows = zip(rollouts.questions, rollouts.texts, rollouts.ended, mask.sum(dim=1), own, initial, strict=True)
    return [
        (
            "\n".join(turn["content"] for turn in question.prompt),
            Sample(text, int(tokens), not bool(ended), float(logprob), float(under_initial)),
        )
        for question, text, ended, tokens, logprob, under_initial in rows
    ]
