"""Which way of asking a server offers: found out once with a comparison whose verdict is plain, then remembered.

What is found is told in the report and is part of every call's key; nothing falls back while an evaluation runs.
"""

from collections.abc import Callable
from typing import get_args

from trainer.evaluation.judges.base import Ask, Comparison, Reply, Said
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.endpoint import EndpointJudge, Way
from trainer.evaluation.judges.rubric import new_fence
from trainer.evaluation.judges.transport import JudgeRefused

ORDER: tuple[Way, ...] = ("json", "choice", "logprobs", "text")
PLAIN = Comparison(
    messages=({"role": "user", "content": "What is two and two?"},),
    first="Four.",
    second="xx xx xx xx",
    reference="Four.",
)


def offered_way(open_judge: Callable[[Way], EndpointJudge], cache: ReplyCache) -> Way:
    """The first of ORDER in which a server gives a verdict that can be read; remembered by address and model.

    Raises JudgeRefused where it gives none in any.
    """
    last = open_judge("text")
    last.close()  # only its address and model are wanted
    name = f"way:{last.url}#{last.model}"
    if (known := cache.fact(name)) in get_args(Way):
        return known  # type: ignore[no-any-return]
    why = ""
    for way in ORDER:
        judge = open_judge(way)
        replies: list[Reply] = []
        try:
            judge.ask([Ask(PLAIN, new_fence())], on_reply=lambda _, one: replies.append(one), should_stop=_never)  # noqa: B023
        finally:
            judge.close()
        why = replies[0].failure or judge.read(replies[0]).note
        if not replies[0].failure and judge.read(replies[0]).said is not Said.invalid:
            cache.note(name, way)
            return way
    raise JudgeRefused(f"{last.url} gave {last.model} a plain comparison and no verdict came back: {why}.")


def _never() -> bool:
    return False
