"""Asks a judge through the cache: what is stored is not asked, what cannot be read is asked again, all is kept.

A panel's members are asked one after the other, each with its own stored replies. Leaves out which comparisons are
made (trainer/evaluation/protocol.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trainer.evaluation.judges.base import Ask, Comparison, Judge, Reading, Reply, Said, Usage, invalid
from trainer.evaluation.judges.cache import ReplyCache, call_key
from trainer.evaluation.judges.panel import Panel
from trainer.evaluation.judges.rubric import new_fence
from trainer.reporter import Stopped


@dataclass(frozen=True, slots=True)
class Answered:
    """A comparison's reading, the keys of the replies behind it, and what the judge wrote."""

    reading: Reading
    keys: tuple[str, ...] = ()
    text: str = ""


@dataclass
class Tally:
    """What asking came to. `spent` is of calls made now, `stored` counts replies that were there already."""

    asked: int = 0
    stored: int = 0
    failed: int = 0
    reminded: int = 0
    spent: Usage = field(default_factory=Usage)
    models: dict[str, int] = field(default_factory=dict)


@dataclass
class Asking:
    """One evaluation's way to its judge. on_progress(done, total) counts comparisons, a panel's once per member."""

    cache: ReplyCache
    on_progress: Callable[[int, int], None] = lambda done, total: None
    should_stop: Callable[[], bool] = lambda: False
    tally: Tally = field(default_factory=Tally)

    def readings(
        self, judge: "Judge | Panel", comparisons: Sequence[Comparison], fences: Sequence[str] = ()
    ) -> list[Answered]:
        """One reading per comparison, in order. `fences` lets two orders of a pair share theirs, and so a prefix.

        Raises Stopped once should_stop() is true, and whatever stops a judge (budget, refusal); all replies until
        then are stored.
        """
        codes = list(fences) or [new_fence() for _ in comparisons]
        if not isinstance(judge, Panel):
            return self._of(judge, comparisons, codes, 0, len(comparisons))
        total = len(comparisons) * len(judge.members)
        each = [
            self._of(member, comparisons, codes, number * len(comparisons), total)
            for number, member in enumerate(judge.members)
        ]
        return [_together(judge, answered) for answered in zip(*each, strict=True)]

    def _of(
        self, judge: Judge, comparisons: Sequence[Comparison], fences: Sequence[str], before: int, total: int
    ) -> list[Answered]:
        asks = [Ask(comparison, fence) for comparison, fence in zip(comparisons, fences, strict=True)]
        made: list[Answered] = []
        for start in range(0, len(asks), judge.chunk):
            made += self._chunk(judge, asks[start : start + judge.chunk], before + start, total)
            self.on_progress(before + len(made), total)
        return made

    def _chunk(self, judge: Judge, asks: Sequence[Ask], before: int, total: int) -> list[Answered]:
        answered = [Answered(invalid("not asked")) for _ in asks]
        open_rows = list(range(len(asks)))
        for reminders in range(judge.reminders + 1):
            turn = {row: replace(asks[row], reminders=reminders) for row in open_rows}
            self.tally.reminded += len(turn) if reminders else 0
            for row, (key, reply) in self.replies(judge, turn, before + len(asks) - len(turn), total).items():
                reading = invalid(reply.failure) if reply.failure else judge.read(reply)
                keys = answered[row].keys + ((key,) if key and not reply.failure else ())
                answered[row] = Answered(reading, keys, reply.text)
                if reading.said is not Said.invalid or reply.failure:
                    open_rows.remove(row)
            if not open_rows:
                break
        return answered

    def replies(
        self, judge: Judge, asks: Mapping[int, Ask], before: int = 0, total: int = 0
    ) -> dict[int, tuple[str, Reply]]:
        """Row -> (key, reply), stored or new. A comparison that the judge cannot be asked is a failed call."""
        keys: dict[int, str] = {}
        made: dict[int, tuple[str, Reply]] = {}
        for row, ask in asks.items():
            try:
                keys[row] = call_key(judge, ask)
            except ValueError as error:
                made[row] = ("", Reply(failure=str(error)))
                self.tally.failed += 1
        found = self.cache.find(keys.values())
        self.tally.stored += sum(key in found for key in keys.values())
        made |= {row: (key, found[key]) for row, key in keys.items() if key in found}
        missing = [row for row in keys if row not in made]
        if missing:
            if self.should_stop():
                raise Stopped("stopped between two calls; what was judged is stored")

            def take(index: int, reply: Reply) -> None:
                row = missing[index]
                self._count(reply)
                made[row] = (
                    keys[row],
                    reply if reply.failure else self.cache.store(keys[row], judge, asks[row], reply),
                )
                self.on_progress(before + len(made), total)

            judge.ask([asks[row] for row in missing], on_reply=take, should_stop=self.should_stop)
            if len(made) < len(asks):
                raise Stopped(f"stopped after {self.tally.asked} calls; their replies are stored")
        return made

    def _count(self, reply: Reply) -> None:
        self.tally.asked += 1
        self.tally.failed += bool(reply.failure)
        self.tally.spent += reply.usage
        if reply.model:
            self.tally.models[reply.model] = self.tally.models.get(reply.model, 0) + 1


def _together(panel: Panel, answered: Sequence[Answered]) -> Answered:
    return Answered(
        panel.combine([one.reading for one in answered]),
        tuple(key for one in answered for key in one.keys),
        "\n\n".join(one.text for one in answered if one.text),
    )
