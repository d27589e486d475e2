"""A judge as a reward: the probability that the completion wins against a fixed text.

The fixed text is the prompt's reference, or one text for all prompts. The value is P(win) + P(tie) / 2, the mean of
both orders, as in every evaluation (trainer/evaluation/protocol.py); a text equal to the fixed one gives 1/2. None
where there is no reference or the judge gave no usable verdict. Judges behind an address are refused: a training run
asks many thousand times. Leaves out the judges themselves (trainer/evaluation/judges).
"""

from collections.abc import Sequence
from pathlib import Path

from trainer.evaluation.judges.base import Judge
from trainer.evaluation.judges.budget import Ledger, Prices
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.named import JudgeSettings, kind_of, open_judge
from trainer.evaluation.judges.rubric_shelf import read_rubric
from trainer.evaluation.protocol import Case, judge_cases
from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources

IN_MEMORY = Path(":memory:")


class JudgeReward:
    """`fixed` is the text that all completions are compared with; each prompt's reference where it is None."""

    def __init__(self, judge: Judge, cache: ReplyCache, *, fixed: str | None = None) -> None:
        self._judge, self._cache, self._fixed = judge, cache, fixed

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        opponents = [self._fixed if self._fixed is not None else reference for reference in references]
        asked = [index for index, opponent in enumerate(opponents) if opponent is not None]
        cases = [
            Case(str(index), prompts[index], completions[index], opponents[index] or "", references[index])
            for index in asked
        ]
        made: list[float | None] = [None] * len(completions)
        for index, verdict in zip(asked, judge_cases(cases, self._judge, self._cache).verdicts, strict=True):
            made[index] = verdict.score
        return made

    def close(self) -> None:
        self._cache.close()


def open_reward(term: terms.Judge, sources: RewardSources) -> JudgeReward:
    """Raises RewardError for a judge behind an address, and whatever stops a local one from being opened."""
    source = sources.locate(term.judge)
    if kind_of(source) == "endpoint":
        raise RewardError(
            f"{source} is a server, and a reward is asked for every completion of a run.",
            hint="Name a local judge: starter, or the id, folder or hub id of a model.",
        )
    project = sources.checkpoints.parent if sources.checkpoints else None  # its own rubrics lie beside them
    settings = JudgeSettings(read_rubric(term.rubric, project), device=sources.device, base=sources.base)
    cache = ReplyCache(sources.replies or IN_MEMORY)
    try:
        judge = open_judge(source, settings, cache, Ledger(Prices(), None))
        if not judge.revision:  # asked here, because a folder that is not there is refused by it
            raise ValueError("the judge has no revision, so its replies could not be told from another's")
    except BaseException:
        cache.close()
        raise
    return JudgeReward(judge, cache, fixed=term.text if term.against == "text" else None)
