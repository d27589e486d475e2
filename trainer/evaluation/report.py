"""Every figure that a set of outcomes holds, as plain data: what `prefloop statistics` prints.

Each figure's mathematics is in the file that it is imported from; its formula and what it is wrong for, in
docs/statistics.md. A figure that the data do not bear is null, with a sentence under `notes` where someone might look
for it. Judges and people are never pooled silently: where the file holds both, `pairs` and `models` are the people's;
each judge's own are under `judges`, beside its agreement with people and the one estimate made of both.
"""

from collections.abc import Sequence
from typing import Any

from trainer.evaluation.agreement import RankAgreement, rank_agreement
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.pair_report import pair_rows, paired_rows, slice_rows, suspicions
from trainer.evaluation.pairs import Pair, aligned, gather
from trainer.evaluation.plain import plain
from trainer.evaluation.rater_report import rater_report, self_preferences
from trainer.evaluation.rating_report import rating_report
from trainer.evaluation.row_report import row_report, unknown_orders
from trainer.evaluation.sample_size import prompts_needed

PLANNED = [(score, power) for score in (0.55, 0.6, 0.65) for power in (0.8, 0.9)]


def report(
    outcomes: Sequence[Outcome], *, judges: Sequence[str] = (), known_effect: float | None = None
) -> dict[str, Any]:
    """All figures. judges: raters that are judges; those named `judge` or `judge:...` are, too.

    known_effect: the length coefficient of earlier runs of the judge; it holds length control where nothing else does.
    """
    rows = aligned(outcomes)
    raters = dict.fromkeys(row.rater for row in rows if row.rater)
    named = [name for name in raters if name in judges or name.partition(":")[0].lower() == "judge"]
    people = [row for row in rows if row.rater not in named]
    both = bool(named and people)
    notes = [f"No row is of a rater named {name!r}." for name in judges if name not in raters]
    if both:
        notes.append(f"pairs and models are those of people; those of {', '.join(named)} are under judges.")
    if len(named) > 1 and not people:
        notes.append(f"All rows are of judges ({', '.join(named)}): each prompt's score is their mean.")
    counted = people if both else rows
    pairs = gather(counted)
    made: dict[str, Any] = {
        "pairs": pair_rows(pairs, notes, known_effect),
        **rating_report(counted, notes),
        "paired": paired_rows(pairs, notes),
        "slices": slice_rows(pairs),
        **row_report(counted),
        **rater_report(rows, named),
        "self_preference": self_preferences(rows, named) if both else {},
        "judges": {name: _of_judge(rows, name, known_effect) for name in named} if both else {},
        "plan": _plan(pairs),
        "notes": notes,
    }
    made["rank_agreement"] = {
        name: _rank_agreement(made["models"], own["models"]) for name, own in made["judges"].items()
    }
    notes += suspicions(pairs) + unknown_orders(counted)
    return {key: plain(value) for key, value in made.items()}


def _of_judge(rows: Sequence[Outcome], name: str, known_effect: float | None) -> dict[str, Any]:
    own, notes = [row for row in rows if row.rater == name], list[str]()
    return {
        "pairs": pair_rows(gather(own), notes, known_effect),
        "models": rating_report(own, notes)["models"],
        **row_report(own),
        "notes": notes,
    }


def _rank_agreement(people: dict[str, Any], judge: dict[str, Any]) -> RankAgreement | None:
    both = [name for name in people if people[name]["ranks"] and judge.get(name, {}).get("ranks")]
    try:
        return rank_agreement([people[name]["rating"] for name in both], [judge[name]["rating"] for name in both])
    except ValueError:
        return None


def _plan(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Prompts that a next fixed comparison needs if its ties are as frequent as here."""
    apart = [pair for pair in pairs if pair.model_a != pair.model_b]
    n = sum(pair.n for pair in apart)
    ties = sum(pair.ties for pair in apart) / n if n else 0.0
    return [
        {"score": score, "power": power, "tie_rate": ties, "n": prompts_needed(score, tie_rate=ties, power=power)}
        for score, power in PLANNED
        if score - 0.5 <= (1 - ties) / 2
    ]
