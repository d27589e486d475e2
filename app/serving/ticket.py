"""What a caller holds of a request that is being generated: its events as they come, its result, and `cancel`.

Works from threads and from asyncio. Leaves out: who produces the events (`app/serving/engine.py`).
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from trainer.decoding import RowUpdate
from trainer.sampling import Generated


@dataclass(frozen=True)
class TextPiece:
    """New text of one row; the pieces of a row add up to its text."""

    row: int
    text: str


@dataclass(frozen=True)
class RowFinished:
    """The last event of a row."""

    row: int
    generated: Generated


Event = TextPiece | RowFinished


class Ticket:
    """A request of one or several rows on one checkpoint.

    Iterate it, with `for` or `async for`, to get its events from the first one on; leaving the iteration early cancels
    the request. Or wait for all rows with `result`, or `await ticket.wait()`. A request that failed raises its error in
    each of these; a cancelled one ends with its rows `cancelled` and as far as they came.
    """

    def __init__(self, checkpoint_id: str, *, prompt_tokens: Sequence[int]) -> None:
        self.checkpoint_id = checkpoint_id
        self.prompt_tokens = tuple(prompt_tokens)  # one number a row
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._generated: dict[int, Generated] = {}
        self._error: Exception | None = None
        self._ended = False
        self._cancelled = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def done(self) -> bool:
        """Whether no more events will come."""
        return self._ended

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` came before the end."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop after the step that is running. Does nothing once the request is done."""
        with self._changed:
            self._cancelled = self._cancelled or not self._ended

    def result(self, timeout: float | None = None) -> list[Generated]:
        """The rows in order, once all are finished. Raises the request's error, or TimeoutError after `timeout`
        seconds, which leaves the request running."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, timeout):
                raise TimeoutError(f"the request is not finished after {timeout} s; wait longer, or cancel it")
        if self._error is not None:
            raise self._error
        return [self._generated[row] for row in range(len(self.prompt_tokens))]

    async def wait(self) -> list[Generated]:
        """`result` for asyncio. Cancelling the awaiting task cancels the request."""
        async for _ in self:
            pass
        return self.result(0)

    def __iter__(self) -> Iterator[Event]:
        seen = 0
        try:
            while True:
                new, ended = self._beyond(seen, wait=True)
                yield from new
                seen += len(new)
                if ended:
                    break
        finally:
            self.cancel()
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._changed:
            self._listeners.append(wake)
        seen = 0
        try:
            while True:
                woken.clear()
                new, ended = self._beyond(seen, wait=False)
                for event in new:
                    yield event
                seen += len(new)
                if ended:
                    break
                await woken.wait()
        finally:
            with self._changed:
                self._listeners.remove(wake)
            self.cancel()
        if self._error is not None:
            raise self._error

    def deliver(self, updates: Sequence[RowUpdate]) -> None:
        """For the engine: append what one step has produced."""
        events: list[Event] = []
        for update in updates:
            if update.text:
                events.append(TextPiece(update.row, update.text))
            if update.generated is not None:
                events.append(RowFinished(update.row, update.generated))
        self._append(events, ended=False, error=None)

    def end(self, error: Exception | None = None) -> None:
        """For the engine: no more events. A second call does nothing."""
        self._append([], ended=True, error=error)

    def _beyond(self, seen: int, *, wait: bool) -> tuple[list[Event], bool]:
        """The events after the first `seen`, and whether they are the last."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._ended or len(self._events) > seen)
            return self._events[seen:], self._ended

    def _append(self, events: list[Event], *, ended: bool, error: Exception | None) -> None:
        with self._changed:
            if self._ended or not (events or ended):
                return
            self._events += events
            self._generated.update((e.row, e.generated) for e in events if isinstance(e, RowFinished))
            self._ended, self._error = ended, error
            self._changed.notify_all()
            listeners = list(self._listeners)
        for wake in listeners:
            try:
                wake()
            except RuntimeError:
                self.cancel()  # that listener's event loop is closed: nobody is left to read
