"""Each labeller beside the others: agreement with the rest, and habits that are not about the texts.

Leave-one-out: a labeller's verdict against the majority of the others on the same item, so that nobody agrees with
himself. Outliers are flagged by an interval that lies below the median agreement; nothing is deleted. Speed is not
here: it needs the times. Wrong for: labellers who saw other items than the rest did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.agreement import Agreement, BothWays, Item, agreement, majority
from trainer.evaluation.statistics import Accuracy, accuracy


@dataclass(frozen=True)
class Labelled:
    """One label: the item, who gave it, the verdict (1 win of model_a, 0 tie, -1 loss), and what is known of the texts.

    first and longer: 1 where model_a's text was shown first or is longer, -1 for model_b's, 0 equal, None unknown.
    """

    item: Item
    rater: str
    verdict: int
    first: int | None = None
    longer: int | None = None


@dataclass(frozen=True)
class LabellerFigures:
    """`others`: agreement with the majority of the others. took_first and took_longer: of decided labels."""

    labels: int
    others: BothWays
    ties: float
    took_first: Accuracy | None
    took_longer: Accuracy | None
    outlier: bool


def labeller_figures(labels: Sequence[Labelled]) -> dict[str, LabellerFigures]:
    """Figures of every labeller, by name in first-seen order."""
    by_item: dict[Item, list[Labelled]] = {}
    by_rater: dict[str, list[Labelled]] = {}
    for label in labels:
        by_item.setdefault(label.item, []).append(label)
        by_rater.setdefault(label.rater, []).append(label)
    left_out = {rater: _others(rater, own, by_item) for rater, own in by_rater.items()}
    rates = [ways.with_ties.rate for ways in left_out.values() if ways.with_ties.rate is not None]
    usual = float(np.median(rates)) if rates else 0.0
    return {
        rater: LabellerFigures(
            labels=len(own),
            others=left_out[rater],
            ties=sum(label.verdict == 0 for label in own) / len(own),
            took_first=_took([label.verdict * label.first for label in own if label.verdict and label.first]),
            took_longer=_took([label.verdict * label.longer for label in own if label.verdict and label.longer]),
            outlier=_below(left_out[rater].with_ties, usual),
        )
        for rater, own in by_rater.items()
    }


def _others(rater: str, own: Sequence[Labelled], by_item: Mapping[Item, Sequence[Labelled]]) -> BothWays:
    rows = []
    for label in own:
        rest = [other.verdict for other in by_item[label.item] if other.rater != rater]
        if rest:
            rows.append((label.verdict, majority(rest), label.item[0]))
    return agreement(rows)


def _took(signs: Sequence[int]) -> Accuracy | None:
    return accuracy([sign > 0 for sign in signs]) if signs else None


def _below(found: Agreement, usual: float) -> bool:
    return found.interval is not None and found.interval.high < usual
