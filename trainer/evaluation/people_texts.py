"""What people are given by an evaluation: the cases of a judge as pairs of completions, each with its sides drawn."""

import random
from collections.abc import Sequence
from dataclasses import asdict

from storage.tables import Completion
from trainer.evaluation.protocol import Case
from trainer.evaluation.samples import SAMPLING, seed_of

Pair = tuple[int, Completion, Completion]  # prompt id, left, right


def drawn_pairs(cases: Sequence[Case], *, candidate: str, baseline: str, chance: random.Random) -> list[Pair]:
    """One per case of two checkpoints, in their order; `chance` tosses the coin for the sides."""
    pairs = []
    for case in cases:
        sides = [_completion(case, candidate, case.candidate), _completion(case, baseline, case.baseline)]
        chance.shuffle(sides)
        pairs.append((int(case.prompt), sides[0], sides[1]))
    return pairs


def _completion(case: Case, checkpoint_id: str, text: str) -> Completion:
    """The first sample of that checkpoint (judged_texts.py), as any completion that is stored."""
    return Completion(
        prompt_id=int(case.prompt),
        checkpoint_id=checkpoint_id,
        text=text,
        seed=seed_of(case.messages, 0),
        sampling=asdict(SAMPLING),
    )
