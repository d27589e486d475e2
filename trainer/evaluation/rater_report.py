"""Raters of a file: people among themselves, each labeller, judges against people, and both as one estimate."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.evaluation.agreement import Item, ceiling, judge_agreement, verdict
from trainer.evaluation.alpha import krippendorff_alpha
from trainer.evaluation.diagnostics import self_preference
from trainer.evaluation.labellers import Labelled, labeller_figures
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.pairs import gather
from trainer.evaluation.pooling import MIN_PEOPLE, pool

Row = dict[str, Any]


def rater_report(rows: Sequence[Outcome], judges: Sequence[str]) -> Row:
    """`raters` where there are two or more people, `agreement` and `pooled` by judge where there are both kinds.

    rows are aligned; a rater's several rows on one item are averaged into one verdict first.
    """
    people = _labels([row for row in rows if row.rater and row.rater not in judges])
    by_judge = {name: _labels([row for row in rows if row.rater == name]) for name in judges}
    verdicts: dict[Item, list[int]] = {}
    for label in people:
        verdicts.setdefault(label.item, []).append(label.verdict)
    made: Row = {"raters": None, "agreement": {}, "pooled": {}}
    if len({label.rater for label in people}) > 1:
        made["raters"] = {
            "alpha": krippendorff_alpha(verdicts),
            "ordinal_alpha": krippendorff_alpha(verdicts, level="ordinal"),
            "people": ceiling(verdicts),
            "by_rater": labeller_figures(people),
        }
    for name, labels in by_judge.items():
        own = {label.item: label.verdict for label in labels}
        known = [*people, *labels]
        try:
            made["agreement"][name] = judge_agreement(
                own,
                verdicts,
                longer={label.item: label.longer for label in known if label.longer is not None},
                first={label.item: label.first for label in known if label.first is not None},
            )
        except ValueError:
            continue  # no item in common
        made["pooled"][name] = _pooled(rows, name, judges)
    return made


def self_preferences(rows: Sequence[Outcome], judges: Sequence[str]) -> Row:
    """Of judges that are a rated model themselves (same name, or judge:NAME): by how much they favour it."""
    made: Row = {}
    of_people = [row for row in rows if row.rater not in judges]
    for name in judges:
        model = name.partition(":")[2] or name
        own = _scores_of(model, [row for row in rows if row.rater == name])
        theirs = _scores_of(model, of_people)
        shared = [key for key in own if key in theirs]
        if len(shared) > 1:
            made[name] = self_preference([own[key] for key in shared], [theirs[key] for key in shared])
    return made


def _scores_of(model: str, rows: Sequence[Outcome]) -> dict[str, float]:
    """Per prompt the model's mean score over everyone it met there."""
    by_prompt: dict[str, list[float]] = {}
    for pair in gather(rows):
        if model in (pair.model_a, pair.model_b) and pair.model_a != pair.model_b:
            for prompt, score in zip(pair.prompts, pair.scores.tolist(), strict=True):
                by_prompt.setdefault(prompt, []).append(score if pair.model_a == model else 1 - score)
    return {prompt: float(np.mean(scores)) for prompt, scores in by_prompt.items()}


def _pooled(rows: Sequence[Outcome], judge: str, judges: Sequence[str]) -> list[Row]:
    """One estimate per pair of models with enough choices of people; the weight is the one with the least error."""
    people = {(p.model_a, p.model_b): p for p in gather([row for row in rows if row.rater not in judges])}
    made = []
    for pair in gather([row for row in rows if row.rater == judge]):
        theirs = people.get((pair.model_a, pair.model_b))
        if theirs is None:
            continue
        human = dict(zip(theirs.prompts, theirs.scores.tolist(), strict=True))
        judged = dict(zip(pair.prompts, pair.scores.tolist(), strict=True))
        both = [prompt for prompt in judged if prompt in human]
        rest = [score for prompt, score in judged.items() if prompt not in human]
        if len(both) < MIN_PEOPLE or len(rest) < 2:
            continue
        labelled = np.array([human[prompt] for prompt in both]), np.array([judged[prompt] for prompt in both])
        found = pool(*labelled, np.array(rest), weight=None)
        made.append({"model_a": pair.model_a, "model_b": pair.model_b, **vars(found)})
    return made


def _labels(rows: Sequence[Outcome]) -> list[Labelled]:
    """One label per rater and item, in first-seen order; what is known of the texts is of the first row."""
    seen: dict[tuple[str, Item], list[Outcome]] = {}
    for row in rows:
        if row.score_a is not None and row.model_a != row.model_b:
            seen.setdefault((row.rater or "", (row.prompt, row.model_a, row.model_b)), []).append(row)
    labels = []
    for (rater, item), own in seen.items():
        score = float(np.mean([row.score_a for row in own]))
        first = own[0].a_first if len(own) == 1 else None  # of several rows no one order is the label's
        labels.append(
            Labelled(item, rater, verdict(score), None if first is None else 1 if first else -1, _longer(own[0]))
        )
    return labels


def _longer(row: Outcome) -> int | None:
    if row.length_a is None or row.length_b is None:
        return None
    return int(np.sign(row.length_a - row.length_b))
