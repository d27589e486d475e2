"""What an evaluation's verdicts amount to, as plain data: rates with intervals, and every reason to doubt them.

The figures are those of `prefloop statistics` (pair_report.py, row_report.py); counts are of the protocol's verdicts,
where soft scores near one half are still ties. A candidate that says the same to different prompts gets no win rate,
whatever the judge thought of it. Leaves out the gate.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trainer.evaluation.judges.base import Judge
from trainer.evaluation.judges.cache import digest
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.pair_report import pair_rows, slice_rows, suspicions
from trainer.evaluation.pairs import gather
from trainer.evaluation.plain import plain
from trainer.evaluation.protocol import Judged, PromptVerdict, Verdict
from trainer.evaluation.row_report import row_report
from trainer.evaluation.sequential import anytime_interval, log_e_value
from trainer.guard_limits import GUARDS

INVALID_ALARM = 0.02
MAJORITY = 0.5  # of texts that are alike but for digits and marks
MIN_PROMPTS = 10  # for an alarm about texts that repeat themselves over prompts


@dataclass(frozen=True)
class Constant:
    """How often one side says the same: `share` of its texts are its most common one, of `distinct` ones in all.

    `alike` is the share when only letters count, so that a number put behind a constant text hides nothing; sums that
    are answered in one form are alike too, so only a majority of such texts alarms.
    """

    share: float
    alike: float
    distinct: int
    prompts: int
    alarm: bool


def constant_texts(texts: Sequence[str], others: Sequence[str]) -> Constant:
    """Whether `texts`, one per different prompt, are one text for many prompts, more often than `others` are."""
    share, distinct = _most_common([" ".join(text.split()) for text in texts])
    usual, _ = _most_common([" ".join(text.split()) for text in others])
    (alike, _), (usually_alike, _) = _most_common(_letters(texts)), _most_common(_letters(others))
    alarm = share > usual + GUARDS.same_text_above or alike > usually_alike + MAJORITY or distinct == 1
    return Constant(share, alike, distinct, len(texts), alarm and len(texts) >= MIN_PROMPTS)


def protocol_figures(judged: Judged, judge: Judge | Panel, *, candidate: str, baseline: str) -> dict[str, Any]:
    """Everything that the verdicts bear. `win_rate` is null where `trusted` is false; `alarms` say why, and what else
    to look at before believing it."""
    counts = {kind.value: sum(v.verdict is kind for v in judged.verdicts) for kind in Verdict}
    notes: list[str] = []
    pairs = gather(_prompt_rows(judged, candidate, baseline, judge.name))
    row = pair_rows(pairs, notes)[0] if pairs else {}
    wins, losses = counts["win"], counts["loss"]
    rows = _order_rows(judged, candidate, baseline, judge.name)
    shown = row_report(rows)
    different = {_digest(v.case.messages): v.case for v in judged.verdicts}.values()
    sides = [[case.candidate for case in different], [case.baseline for case in different]]
    constant = {
        "candidate": constant_texts(sides[0], sides[1]),
        "baseline": constant_texts(sides[1], sides[0]),
    }
    trusted = not constant["candidate"].alarm
    figures: dict[str, Any] = {
        "candidate": candidate,
        "baseline": baseline,
        "judge": {"name": judge.name, "kind": judge.kind, "revision": judge.revision},
        "prompts": len(judged.verdicts),
        "orders": judged.orders,
        "verdicts": counts,
        "identical": sum(not v.shown for v in judged.verdicts),
        "trusted": trusted,
        "win_rate": row.get("win_rate") if trusted else None,
        "raw_win_rate": row.get("win_rate"),
        **{key: row.get(key) if trusted or key not in _CLAIMS else None for key in _OF_PAIR},
        "log_e_value": log_e_value(wins, losses) if trusted else None,
        "anytime_interval": anytime_interval(wins, losses) if trusted else None,
        "slices": slice_rows(pairs),
        **shown,
        "constant": constant,
        "calls": asdict(judged.tally),
        "replies": {"count": len(judged.keys), "digest": digest(judged.keys)},
        "notes": [*notes, *suspicions(pairs)],
    }
    figures["alarms"] = _alarms(judged, figures, constant)
    return {key: plain(value) for key, value in figures.items()}


_OF_PAIR = (
    "n",
    "interval",
    "standard_error",
    "n_effective",
    "bounds",
    "length_controlled_win_rate",
    "length_controlled_interval",
    "mean_length_a",
    "mean_length_b",
)

_CLAIMS = frozenset({"interval", "length_controlled_win_rate", "length_controlled_interval"})


def _alarms(judged: Judged, figures: dict[str, Any], constant: dict[str, Constant]) -> list[str]:
    alarms = [
        f"The {side} gives one text to {max(one.share, one.alike):.0%} of {one.prompts} different prompts."
        + (" No win rate is given for it." if side == "candidate" else "")
        for side, one in constant.items()
        if one.alarm
    ]
    total, position = len(judged.verdicts), figures["position"]
    if total and figures["verdicts"]["invalid"] > INVALID_ALARM * total:
        reasons = Counter(
            shown.reading.note for v in judged.verdicts for shown in v.shown if shown.reading.score is None
        )
        often = f": {reasons.most_common(1)[0][0]}" if reasons else ""
        alarms.append(f"{figures['verdicts']['invalid']} of {total} prompts have no valid verdict{often}.")
    if position is not None and position.alarm:
        effect = "" if position.effect is None else f"; shown first scores {100 * position.effect:+.0f} points more"
        alarms.append(f"The judge goes by position: {position.flips} of {position.both} prompts flip{effect}.")
    if judged.orders == 1 and any(len(v.shown) == 1 for v in judged.verdicts) and figures["judge"]["kind"] in _ORDERED:
        alarms.append("Each prompt was shown in one order only: position bias is part of every verdict.")
    doubtful = sum(
        bool(shown.reading.note and shown.reading.score is not None) for v in judged.verdicts for shown in v.shown
    )
    if doubtful:
        alarms.append(f"In {doubtful} comparisons much of the judge's probability lay on no verdict.")
    if len(judged.tally.models) > 1 and figures["judge"]["kind"] != "panel":
        alarms.append(f"The judge called itself {', '.join(sorted(judged.tally.models))} within this evaluation.")
    return alarms


_ORDERED = frozenset({"starter", "local", "endpoint", "panel"})


def _prompt_rows(judged: Judged, candidate: str, baseline: str, name: str) -> list[Outcome]:
    """One row per prompt: what the win rate is made of."""
    return [
        replace(_row(v, candidate, baseline, name), score_a=v.score, flip=v.verdict is Verdict.flip)
        for v in judged.verdicts
    ]


def _order_rows(judged: Judged, candidate: str, baseline: str, name: str) -> list[Outcome]:
    """One row per valid comparison with its order and what was said there: position and length preferences."""
    return [
        replace(_row(v, candidate, baseline, name), score_a=one.side, order="ab" if one.candidate_first else "ba")
        for v in judged.verdicts
        for one in v.shown
        if one.side is not None
    ]


def _row(verdict: PromptVerdict, candidate: str, baseline: str, name: str) -> Outcome:
    """What all rows of a prompt have in common."""
    case = verdict.case
    return Outcome(
        prompt=case.prompt,
        model_a=candidate,
        model_b=baseline,
        score_a=None,
        length_a=float(len(case.candidate)),
        length_b=float(len(case.baseline)),
        rater=f"judge:{name}",
        tags=case.tags,
    )


def _most_common(texts: Sequence[str]) -> tuple[float, int]:
    """(share of the most common text, number of different texts)."""
    counts = Counter(texts)
    return (counts.most_common(1)[0][1] / len(texts), len(counts)) if texts else (0.0, 0)


def _letters(texts: Sequence[str]) -> list[str]:
    """Their letters only; a text without any stays as it is."""
    return [re.sub(r"[\W\d_]+", "", text).casefold() or text.strip() for text in texts]


def _digest(messages: Any) -> str:
    return hashlib.sha256(repr(messages).encode("utf-8", "surrogatepass")).hexdigest()
