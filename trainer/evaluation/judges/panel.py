"""A panel: several judges on the same comparison, and the stated rule by which they count as one.

`majority`: the verdict that more than half of the members give; without one, a tie. `mean`: the mean of their scores.
`unanimous`: the verdict that all give, else a tie. A panel is invalid where fewer than a majority of its members could
be read. Two judges of one family err together; a panel is worth most where its members differ.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, get_args

from trainer.evaluation.judges.base import Judge, Reading, Said, invalid, reading_of
from trainer.evaluation.statistics import SAME

Rule = Literal["majority", "mean", "unanimous"]


@dataclass(frozen=True)
class Panel:
    """Judges that differ, and their rule. Raises ValueError for fewer than two, for twins, or for an unknown rule."""

    members: tuple[Judge, ...]
    rule: Rule = "majority"
    kind: str = "panel"

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"a panel needs two or more different judges, got {', '.join(names) or 'none'}")
        if self.rule not in get_args(Rule):
            raise ValueError(f"there is no rule {self.rule!r}; use one of {', '.join(get_args(Rule))}")

    @property
    def name(self) -> str:
        return f"panel({self.rule}: {'; '.join(member.name for member in self.members)})"

    @property
    def revision(self) -> str:
        return "; ".join(member.revision for member in self.members)

    @property
    def sees_order(self) -> bool:
        return any(member.sees_order for member in self.members)

    def combine(self, readings: Sequence[Reading]) -> Reading:
        """The panel's reading of one comparison in one order, from its members' readings."""
        valid = [reading for reading in readings if reading.score is not None]
        if 2 * len(valid) <= len(readings):
            return invalid(f"{len(readings) - len(valid)} of {len(readings)} members gave no verdict")
        said = Counter(reading.said for reading in valid)
        if self.rule == "mean":
            score = fmean(reading.score for reading in valid if reading.score is not None)
            side = Said.tie if abs(score - 0.5) <= SAME else Said.first if score > 0.5 else Said.second
            return Reading(side, score)
        verdict, count = said.most_common(1)[0]
        needed = len(valid) if self.rule == "unanimous" else len(valid) // 2 + 1
        return reading_of(verdict if count >= needed else Said.tie)
