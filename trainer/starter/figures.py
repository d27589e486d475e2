"""A measured figure with its number of cases and its bar, and how figures are printed. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` of `n` cases; `bar` is what must be reached, None where nothing is asked for.

    A share in 0..1 or a count must be at least its bar, seconds at most.
    """

    name: str
    value: float
    n: int
    bar: float | None = None
    form: Literal["share", "count", "seconds"] = "share"

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.form == "seconds" else self.value >= self.bar

    def line(self) -> str:
        """The figure as one line: name, value, number of cases, bar, whether it is met."""
        verdict = {True: "met", False: "NOT met", None: ""}[self.met]
        bar = self.shown_bar and f"bar {self.shown_bar}"
        return f"{self.name:44}{self.shown:>8}  n {self.n:<5}{bar:12}{verdict}".rstrip()

    @property
    def shown(self) -> str:
        """The value as people read it."""
        return self._shown(self.value)

    @property
    def shown_bar(self) -> str:
        """The bar as people read it; empty without one."""
        return "" if self.bar is None else self._shown(self.bar)

    def _shown(self, number: float) -> str:
        return {"share": f"{number:.1%}", "count": f"{number:.1f}", "seconds": f"{number:.2f} s"}[self.form]


def share(name: str, hits: Sequence[bool], bar: float | None = None) -> Figure:
    """The share of hits. Raises ValueError without a case: nothing was measured."""
    if not hits:
        raise ValueError(f"{name}: no cases to measure.")
    return Figure(name, sum(hits) / len(hits), len(hits), bar)


def format_figures(figures: Sequence[Figure]) -> str:
    """One line per figure, and how many bars are met."""
    barred = [figure for figure in figures if figure.met is not None]
    met = sum(figure.met is True for figure in barred)
    return "\n".join([*(figure.line() for figure in figures), f"{met} of {len(barred)} bars met"])
