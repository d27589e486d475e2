"""A labeller who decides every pair by one rule; nothing here knows a browser.

The rule says which texts are liked; where it does not tell the two sides apart, fixed tie-breaks do, in this order:
more sentences that satisfy the rule, then the longer (or the shorter) text, then the first in alphabetical order.
Which side stands left never matters, except for two equal texts: then the left one is taken.
"""

import re
from dataclasses import dataclass
from typing import Literal

from trainer.starter.rules import Rule

Messages = list[dict[str, str]]
Side = Literal["left", "right"]
Reason = Literal["rule", "sentences", "length", "alphabet", "equal"]

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


@dataclass(frozen=True)
class Decision:
    """The side that is chosen, and what told the sides apart."""

    side: Side
    by: Reason


@dataclass(frozen=True)
class Labeller:
    """Prefers what satisfies `rule`; `otherwise` is the length it likes where the rule says nothing."""

    rule: Rule
    otherwise: Literal["longer", "shorter"] = "longer"

    def decide(self, messages: Messages, left: str, right: str) -> Decision:
        """Choose one of two completions of the prompt `messages`."""
        sign = 1 if self.otherwise == "longer" else -1
        for by, a, b in (
            ("rule", int(self.rule(messages, left)), int(self.rule(messages, right))),
            ("sentences", self._matches(messages, left), self._matches(messages, right)),
            ("length", sign * len(left), sign * len(right)),
        ):
            if a != b:
                return Decision("left" if a > b else "right", by)  # type: ignore[arg-type]
        return Decision("left" if left <= right else "right", "equal" if left == right else "alphabet")

    def _matches(self, messages: Messages, text: str) -> int:
        """How many of the text's sentences satisfy the rule by themselves."""
        return sum(self.rule(messages, sentence) for sentence in _SENTENCE.findall(text))
