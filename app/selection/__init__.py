"""Which two of several completions of one prompt people compare.

Which strategy moves the model most per label is measured by `experiments/selection.py`; the figures are in
docs/results.md. Only comparisons for training are selected; those for evaluation are single samples.
"""

from collections.abc import Callable, Mapping

from app.selection.decisive import Decisive
from app.selection.judged import Judged, Selection
from app.selection.strategies import SameContent, least_alike, plain

__all__ = ["SELECTIONS", "Decisive", "Judged", "SameContent", "Selection", "least_alike", "plain"]

SELECTIONS: Mapping[str, Callable[[], Selection]] = {
    "plain": lambda: plain,
    "least_alike": lambda: least_alike,
    "same_content": SameContent,
    "decisive": Decisive,
}
"""Name -> a new strategy of that name."""
