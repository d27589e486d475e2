"""The judge's figures on held-out questions: right against wrong, broken against fine, styles that tie, both orders."""

from pathlib import Path
from random import Random

from trainer.starter.figures import Figure, share
from trainer.starter.judge.form import Verdict, flipped
from trainer.starter.judge.pairs import Kind, Pair, draw_pair
from trainer.starter.judge.reading import Judge, Judged

LINES: tuple[tuple[str, Kind, float | None], ...] = (
    ("judge, right against wrong", "wrong", 0.85),
    ("judge, scrambled or empty against fine", "broken", 0.99),
    ("judge, same content in two styles: tie", "style", 0.80),
    ("judge, off topic against right", "off-topic", None),
    ("judge, both wrong: tie", "both bad", None),
)


def heldout_pairs(kind: Kind, count: int, seed: int) -> list[Pair]:
    """`count` pairs of a kind about questions that are in no corpus."""
    rng = Random(seed)
    return [draw_pair(rng, kind, heldout=True) for _ in range(count)]


def judge_figures(model_dir: Path, n: int, seed: int) -> list[Figure]:
    """The share of right verdicts of each kind, over both orders; and how often both orders say the same."""
    judge = Judge(model_dir)
    figures: list[Figure] = []
    consistent: list[bool] = []
    for name, kind, bar in LINES:
        pairs = heldout_pairs(kind, n if bar is not None else max(1, n // 5), seed)
        judged = judge.judge([(pair.question.messages, pair.a, pair.b) for pair in pairs])
        hits = [hit for pair, both in zip(pairs, judged, strict=True) for hit in hits_of(pair.verdict, both)]
        figures.append(Figure(name, sum(hits) / len(hits), len(pairs), bar))
        consistent += [both.consistent for both in judged]
    return [*figures, share("judge, both orders agree", consistent, 0.95)]


def hits_of(verdict: Verdict, judged: Judged) -> tuple[bool, bool]:
    """Whether each order's verdict is the right one."""
    return judged.given.verdict == verdict, judged.changed.verdict == flipped(verdict)
