"""What the operator settles about the gate, as it travels from the app's settings to the trainer's process.

Plain data, free of numpy: a trainer claims its run before it loads anything slow. The key of a judge's server is no
part of the command line, where every user of the machine could read it.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

OFF = "off"  # as the judge's name: none, not even the starter's


class Rule(StrEnum):
    """How the gate looks at its scores: once, or as often as it likes (gate_rules.py)."""

    fixed = "fixed"
    sequential = "sequential"


@dataclass(frozen=True)
class GateOptions:
    """`judge` as `prefloop evaluate --judge` takes it; empty: the starter's judge for a starter's descendants.

    for_people: the judge claims to speak for people, and answers question (b) once it agrees with this project's.
    Prices are per million tokens read and written; the budget, in the same money, is of one gate.
    """

    rule: Rule = Rule.fixed
    judge: str = ""
    rubric: str = "quality"
    way: str = "auto"
    for_people: bool = False
    prices: tuple[float, float] = (0.0, 0.0)
    budget: float | None = None
    starter: bool = False  # the initial model is the embedded starter
    key: str = field(default="", repr=False)

    def argument(self) -> str:
        """All but the key, as one argument of the trainer's command."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "key"})

    @classmethod
    def parse(cls, argument: str, *, key: str = "") -> "GateOptions":
        """What `argument` wrote. Raises ValueError and TypeError for anything else."""
        given = json.loads(argument)
        prices = given.pop("prices")
        values: dict[str, Any] = {**given, "rule": Rule(given["rule"]), "prices": (prices[0], prices[1]), "key": key}
        return cls(**values)
