"""How far a judge agrees with people, beside what people reach among themselves and what a trivial judge reaches.

Every verdict is the sign of a score (win, loss, tie; a flip is a tie). Two setups: with ties (a coin over three reaches
a third) and without (rows where either side says tie are left out; a coin reaches half). An item is one prompt and
pair; intervals are clustered by prompt. Leaves out agreement among many labellers as one number (alpha.py) and
each labeller's own figures (labellers.py). High agreement on models' ranks can coexist with chance here: report both.
Source: Zheng et al. (2023), Judging LLM-as-a-judge, whose counts it reproduces; kappa: Cohen (1960).
"""

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from trainer.evaluation.bootstrap import percentile_interval
from trainer.evaluation.statistics import SAME, Interval, interval_of_estimate, wilson

Item = tuple[str, str, str]  # prompt, model_a, model_b
# a judge that speaks for people needs at least this kappa on at least so many of their choices
KAPPA_LEAST = 0.4
KAPPA_ITEMS = 100


def verdict(score: float) -> int:
    """1 win, 0 tie, -1 loss."""
    return 0 if abs(score - 0.5) <= SAME else 1 if score > 0.5 else -1


@dataclass(frozen=True)
class Agreement:
    """`agree` of `total` comparisons of two verdicts; the interval is clustered by prompt. rate is None for none."""

    agree: int
    total: int
    interval: Interval | None

    @property
    def rate(self) -> float | None:
        return self.agree / self.total if self.total else None


@dataclass(frozen=True)
class BothWays:
    """The same agreement with ties as a verdict of their own, and on rows where neither side says tie."""

    with_ties: Agreement
    without_ties: Agreement


@dataclass(frozen=True)
class JudgeAgreement:
    """A judge against people. `majority` and `kappa` are against each item's most frequent human verdict.

    `ceiling`: two people on the same item; `longest` and `always_first`: trivial judges on the very same rows, None
    where lengths or orders are unknown; `most_common`: the most frequent human verdict said every time.
    """

    people: BothWays
    ceiling: BothWays
    longest: BothWays | None
    always_first: BothWays | None
    most_common: BothWays
    majority: Agreement
    kappa: float | None
    items: int


def agreement(pairs: Iterable[tuple[int, int, str]], confidence: float = 0.95) -> BothWays:
    """Of pairs of verdicts with the prompt they are about."""
    rows = list(pairs)
    return BothWays(
        _agreement([(x == y, prompt) for x, y, prompt in rows], confidence),
        _agreement([(x == y, prompt) for x, y, prompt in rows if x and y], confidence),
    )


def majority(verdicts: Sequence[int]) -> int:
    """The most frequent verdict; a split is a tie."""
    counts = Counter(verdicts).most_common(2)
    return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else 0


def ceiling(people: Mapping[Item, Sequence[int]], confidence: float = 0.95) -> BothWays:
    """Every two verdicts of people on the same item: what a judge can hope for."""
    return agreement(
        (
            (said[i], said[j], item[0])
            for item, said in people.items()
            for i in range(len(said))
            for j in range(i + 1, len(said))
        ),
        confidence,
    )


def judge_agreement(
    judge: Mapping[Item, int],
    people: Mapping[Item, Sequence[int]],
    *,
    longer: Mapping[Item, int] | None = None,
    first: Mapping[Item, int] | None = None,
    confidence: float = 0.95,
) -> JudgeAgreement:
    """One verdict of the judge per item against every human verdict on it, and against the majority.

    longer: per item 1 where model_a's text is longer, -1 where model_b's is, 0 for equal; first: the same of the text
    that was shown first. Raises ValueError where judge and people share no item.
    """
    shared = [item for item in people if item in judge and people[item]]
    if not shared:
        raise ValueError("judge and people have no comparison in common: have people label some that it judged")
    rows = [(judge[item], said, item) for item in shared for said in people[item]]
    common = Counter(said for _, said, _ in rows).most_common(1)[0][0]
    of_people = [majority(people[item]) for item in shared]
    of_judge = [judge[item] for item in shared]
    return JudgeAgreement(
        people=agreement(((mine, said, item[0]) for mine, said, item in rows), confidence),
        ceiling=ceiling(people, confidence),
        longest=_trivial(longer, rows, confidence),
        always_first=_trivial(first, rows, confidence),
        most_common=agreement(((common, said, item[0]) for _, said, item in rows), confidence),
        majority=_agreement(
            [(x == y, item[0]) for x, y, item in zip(of_judge, of_people, shared, strict=True)], confidence
        ),
        kappa=kappa(of_judge, of_people),
        items=len(shared),
    )


@dataclass(frozen=True)
class RankAgreement:
    """Spearman's correlation of two ratings of `models` models, with its bootstrap interval over models."""

    correlation: float
    interval: Interval
    models: int


def rank_agreement(a: Sequence[float], b: Sequence[float], confidence: float = 0.95, seed: int = 0) -> RankAgreement:
    """Whether two raters put models in the same order; models in the same order in both. Raises ValueError below four.

    With nine models the interval is some .4 wide: no judge is chosen by .95 against .97.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(
            f"a rank correlation needs four or more models of different ratings, got {len(x)} and {len(y)}"
        )
    drawn = np.random.default_rng(seed).integers(0, len(x), size=(1000, len(x)))
    first, second = stats.rankdata(x[drawn], axis=1), stats.rankdata(y[drawn], axis=1)
    first, second = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # a draw of one model only has no correlation
        draws = (first * second).sum(axis=1) / np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return RankAgreement(float(stats.spearmanr(x, y).statistic), percentile_interval(draws, confidence), len(x))


def kappa(a: Sequence[int], b: Sequence[int]) -> float | None:
    """Cohen's kappa: agreement above what both sides' shares of verdicts give by chance. None where that is all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single verdict throughout; the NaN says it
        value = float(cohen_kappa_score(a, b))
    return None if math.isnan(value) else value


def _trivial(said: Mapping[Item, int] | None, rows: list[tuple[int, int, Item]], confidence: float) -> BothWays | None:
    known = [(said[item], human, item[0]) for _, human, item in rows if item in said] if said else []
    return agreement(known, confidence) if known else None


def _agreement(rows: Sequence[tuple[bool, str]], confidence: float) -> Agreement:
    """Share of agreeing rows, its error summed by prompt: several rows of one prompt are not independent.

    SE^2 = C/(C-1) sum_c (sum_i (x_i - mean))^2 / n^2 over C prompts; where that is 0, Wilson with one row a prompt.
    """
    agree, total = sum(same for same, _ in rows), len(rows)
    if total == 0:
        return Agreement(0, 0, None)
    mean = agree / total
    numbers = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompt for _, prompt in rows))}
    clusters = len(numbers)
    sums = np.bincount([numbers[prompt] for _, prompt in rows], weights=[same - mean for same, _ in rows])
    error = math.sqrt(clusters / (clusters - 1) * float(np.sum(sums**2))) / total if clusters > 1 else 0.0
    if error > SAME and 0 < mean < 1:
        return Agreement(agree, total, interval_of_estimate(mean, error, confidence))
    return Agreement(agree, total, wilson(mean * clusters, clusters, confidence))
