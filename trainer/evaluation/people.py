"""How far a judge agrees with this project's own people: it is shown what they chose between, in both orders.

Each comparison they decided is one item; its verdict is the judge's over both orders, a flip counting as a tie. The
figures are agreement.py's. Leaves out which choices (storage/preferences.py) and what follows (trainer/gate.py).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trainer.evaluation.agreement import KAPPA_ITEMS, KAPPA_LEAST, Item, JudgeAgreement, judge_agreement
from trainer.evaluation.judges.base import Judge, Messages
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.protocol import Case, Progress, Verdict, judge_cases

ASKED = 200  # newest choices that a judge is measured on: kappa to some .12, at 400 calls that are kept

Choice = tuple[Messages, str, str, StrEnum]  # prompt, left text, right text, what was chosen (storage.tables.Choice)

SIGN = {"left": 1, "right": -1, "tie": 0, "both_bad": 0}
_SAID = {Verdict.win: 1, Verdict.loss: -1, Verdict.tie: 0, Verdict.flip: 0}


@dataclass(frozen=True)
class PeopleAgreement:
    """`measured` is None where the judge has a valid verdict on none of the comparisons. `invalid` had none."""

    measured: JudgeAgreement | None
    invalid: int

    @property
    def choices(self) -> int:
        return self.measured.items if self.measured else 0

    @property
    def kappa(self) -> float | None:
        return self.measured.kappa if self.measured else None

    @property
    def speaks(self) -> bool:
        """Whether the judge may speak for these people."""
        return self.choices >= KAPPA_ITEMS and self.kappa is not None and self.kappa >= KAPPA_LEAST

    @property
    def sentence(self) -> str:
        """How far they agree, with the ceiling where two people judged the same."""
        if self.measured is None:
            return "How far it agrees with this project's people is not known: there are no choices to compare with."
        both = self.measured.majority
        kappa = "not defined, as one side always says the same" if self.kappa is None else f"{self.kappa:.2f}"
        told = f"It agrees with this project's people on {both.agree} of {both.total} choices (kappa {kappa})"
        among = self.measured.ceiling.with_ties
        return told + (f"; two of them agree on {among.agree} of {among.total}." if among.total else ".")


def measure_agreement(
    judge: Judge | Panel,
    cache: ReplyCache,
    choices: Sequence[Choice],
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PeopleAgreement:
    """Ask the judge about what people chose between. Choices on the same two texts are one item.

    Raises Stopped once should_stop() is true, and whatever stops the judge.
    """
    people: dict[Item, list[int]] = {}
    cases: dict[Item, Case] = {}
    for messages, left, right, chosen in choices:
        prompt = json.dumps(list(messages), sort_keys=True)
        item = (prompt, left, right)
        people.setdefault(item, []).append(SIGN[chosen])
        cases[item] = Case(prompt, messages, left, right)
    judged = judge_cases(list(cases.values()), judge, cache, on_progress=on_progress, should_stop=should_stop)
    said = {
        item: _SAID[one.verdict]
        for item, one in zip(cases, judged.verdicts, strict=True)
        if one.verdict is not Verdict.invalid
    }
    measured = judge_agreement(said, people) if said else None
    return PeopleAgreement(measured, len(cases) - len(said))
