"""A judge as somebody asked for it, opened: its rubric found and its version kept, checkpoints found by their ids.

The one place where JudgeSettings are made, for evaluations (trainer/evaluation/judging.py) and for the gate
(trainer/evaluation/gate_judge.py). Leaves out what the names mean (named.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.evaluation.judges.base import Judge
from trainer.evaluation.judges.budget import Prices
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.identity import ASKED_BY_RUBRIC
from trainer.evaluation.judges.named import JudgeSettings, close_judges, open_judges
from trainer.evaluation.judges.panel import Panel, Rule
from trainer.evaluation.judges.rubric import Rubric
from trainer.evaluation.judges.rubric_shelf import RubricShelf
from trainer.evaluation.judges.transport import Patience
from trainer.evaluation.protocol import Orders

RUBRIC = "helpful"  # where nobody named one


@dataclass(frozen=True)
class JudgeOptions:
    """Who is asked, and how. Prices are of a million tokens read and written; the key is never stored."""

    judges: Sequence[str]
    rubric: str = RUBRIC
    way: str = "auto"
    rule: Rule = "majority"
    orders: Orders = "both"
    prices: tuple[float, float] = (0.0, 0.0)
    budget: float | None = None
    concurrency: int = 8
    key: str = field(default="", repr=False)
    patience: Patience = field(default_factory=Patience)


def open_asked(
    options: JudgeOptions, cache: ReplyCache, *, data_dir: Path, device: str, base: str
) -> tuple[Judge | Panel, Rubric | None]:
    """The judge, and the rubric that it is asked by, None for the kinds that have none of their own.

    Raises ValueError (a RubricError among them), FileNotFoundError and JudgeRefused; then nothing is left open.
    """
    shelf = RubricShelf(data_dir)
    shelved = shelf.find(options.rubric)
    settings = JudgeSettings(
        shelved.rubric,
        way=options.way,
        device=device,
        base=base,
        key=options.key,
        prices=Prices(*options.prices),
        budget=options.budget,
        concurrency=options.concurrency,
        patience=options.patience,
    )
    own = [data_dir / "checkpoints" / name for name in options.judges]  # checkpoints by their ids
    sources = [str(at) if at.is_dir() else name for name, at in zip(options.judges, own, strict=True)]
    judge = open_judges(sources, settings, cache, rule=options.rule)
    if judge.kind not in ASKED_BY_RUBRIC:
        return judge, None
    try:
        shelf.keep(shelved)
    except BaseException:
        close_judges(judge)
        raise
    return judge, shelved.rubric
