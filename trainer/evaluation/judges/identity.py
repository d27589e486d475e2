"""By what a judge is stored: its kind, and the hash of everything that tells its verdicts from another's."""

from trainer.evaluation.judges.base import Judge
from trainer.evaluation.judges.cache import digest
from trainer.evaluation.judges.panel import Panel

ASKED_BY_RUBRIC = frozenset({"local", "endpoint", "panel"})


def judge_id(judge: Judge | Panel, rubric_digest: str) -> str:
    """`kind-hash`. A rubric counts for the kinds that are asked by one; the digest is empty for the others."""
    return f"{judge.kind}-{digest([judge.name, judge.revision, rubric_digest])[:12]}"
