"""Whether a judge still judges as it did: fixed pairs judged again once it has become another revision.

A hosted alias changes under the same name; a folder's weights may be replaced. The replies stored under the judge's
name tell both. Leaves out what follows from an alarm.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from trainer.evaluation.judges.asking import Asking
from trainer.evaluation.judges.base import Ask, Judge, Reply
from trainer.evaluation.judges.cache import ReplyCache

PAIRS = 50
LEAST_AGREEMENT = 0.9


@dataclass(frozen=True)
class Drift:
    """`agree` of `n` pairs got the verdict again that `before` had given; `alarm` below 90 per cent."""

    before: str
    now: str
    agree: int
    n: int

    @property
    def agreement(self) -> float | None:
        return self.agree / self.n if self.n else None

    @property
    def alarm(self) -> bool:
        return self.n > 0 and self.agree < LEAST_AGREEMENT * self.n


def check_drift(
    judge: Judge,
    cache: ReplyCache,
    *,
    now: str,
    pairs: int = PAIRS,
    should_stop: Callable[[], bool] = lambda: False,
) -> Drift | None:
    """Judges `pairs` stored pairs again where the judge was called otherwise than `now` before; None where it was not.

    The pairs are always the same ones, with their old fences. The new replies are stored apart from the old ones, so
    that a second check asks nothing. Raises what asking raises.
    """
    earlier = [model for model in cache.models(judge.name) if model != now]
    if not earlier:
        return None
    before = earlier[-1]
    stored = cache.of_model(judge.name, before, pairs)
    asks = [replace(one.ask, repeat=f"drift:{now}") for one in stored]
    again = _replies(judge, asks, cache, should_stop)
    read = [(judge.read(one.reply), judge.read(reply)) for one, reply in zip(stored, again, strict=True) if reply]
    return Drift(before, now, sum(old.said is new.said for old, new in read), len(read))


def _replies(judge: Judge, asks: list[Ask], cache: ReplyCache, should_stop: Callable[[], bool]) -> list[Reply | None]:
    """One try each, stored; None where a call failed."""
    asking = Asking(cache, should_stop=should_stop)
    made = asking.replies(judge, dict(enumerate(asks)))
    return [None if reply.failure else reply for _, (_, reply) in sorted(made.items())]
