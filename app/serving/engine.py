"""The decode loop: one thread that advances all requests in turn, a token at a time.

A request is a list of conversations on one checkpoint, decoded as one batch (both sides of a comparison, for
instance). Live batches are stepped in turn, so that a long chat does not hold up a comparison; a bounded number of
rows is live, the rest waits in order of arrival. What fails in one request ends that request only. Leaves out: which
checkpoint is served (`app/serving/slot.py`) and the decoding itself (`trainer/decoding.py`).
"""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from app.serving.slot import Lease, Slot
from app.serving.ticket import Event, RowFinished, TextPiece, Ticket
from storage.errors import Conflict, NotFound, PrefLoopError, Unavailable
from trainer.decoding import DecodingBatch
from trainer.policy import Policy
from trainer.prompting import Messages, fit_messages, position_limit
from trainer.sampling import Sampling

__all__ = ["Engine", "EngineBusy", "EngineClosed", "Event", "GenerationFailed", "RowFinished", "TextPiece", "Ticket"]

log = logging.getLogger(__name__)


class EngineClosed(Unavailable):
    """The program is shutting down."""

    code = "closing"


class EngineBusy(Unavailable):
    """Too many requests are waiting."""

    code = "busy"


class CheckpointUnusable(Conflict):
    """The checkpoint named cannot be loaded; the message says why."""

    code = "checkpoint_unusable"


class GenerationFailed(PrefLoopError):
    """The model failed in the middle of this request; the log has the details."""

    code = "generation_failed"


@dataclass(eq=False)
class _Request:
    ticket: Ticket
    lease: Lease
    batch: DecodingBatch

    def end(self, error: Exception | None = None) -> None:
        self.lease.release()
        self.ticket.end(error)


class Engine:
    """Generates on the slot's models. `resolve` loads a checkpoint, by its id, that the slot has not loaded.

    max_live_rows: rows decoded at a time, over all requests; a larger request runs when no other does.
    max_waiting: requests kept waiting before new ones are turned away.
    """

    def __init__(self, slot: Slot, *, max_live_rows: int = 32, max_waiting: int = 256) -> None:
        self.resolve: Callable[[str], Policy] = _unknown
        self._slot = slot
        self._max_live_rows = max_live_rows
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._waiting: deque[_Request] = deque()
        self._live: list[_Request] = []
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def live_rows(self) -> int:
        """Rows that are being decoded."""
        return sum(request.batch.live for request in list(self._live))

    @property
    def waiting(self) -> int:
        """Requests that are not being decoded yet."""
        return len(self._waiting)

    def submit(
        self,
        messages_list: Sequence[Messages],
        *,
        sampling: Sampling | Sequence[Sampling],
        seeds: Sequence[int],
        checkpoint_id: str | None = None,
    ) -> Ticket:
        """Ask for one completion of each conversation, by the served checkpoint or the one named.

        The checkpoint is leased and stamped on the ticket now. Returns at once, except that a named checkpoint that is
        not loaded is loaded first: from asyncio call that in a thread. Raises PromptTooLong, PromptRefused,
        EngineBusy, EngineClosed, Unavailable while nothing is served, NotFound, CheckpointUnusable.
        """
        settings = [sampling] * len(messages_list) if isinstance(sampling, Sampling) else list(sampling)
        with self._changed:
            self._refuse_if_full()
        lease = self._lease(checkpoint_id)
        try:
            request = _open_request(lease, messages_list, settings, seeds)
            with self._changed:
                self._refuse_if_full()
                self._waiting.append(request)
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="decode-loop", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
        except BaseException:
            lease.release()
            raise
        return request.ticket

    def close(self, timeout: float = 1.0) -> None:
        """End the loop after the step that is running; every request that is not finished raises EngineClosed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        self._fail_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lease(self, checkpoint_id: str | None) -> Lease:
        try:
            return self._slot.acquire(checkpoint_id, lambda: self.resolve(str(checkpoint_id)))
        except PrefLoopError:
            raise
        except Exception as error:
            told = f"{checkpoint_id} cannot be used: {type(error).__name__}: {error}"
            raise CheckpointUnusable(told, hint="Restore its folder, or name another checkpoint.") from error

    def _refuse_if_full(self) -> None:
        if self._closing:
            raise EngineClosed("The program is shutting down.", hint="Start it again, then repeat the request.")
        if len(self._waiting) >= self._max_waiting:
            raise EngineBusy(f"{len(self._waiting)} requests are waiting already.", hint="Try again in a few seconds.")

    def _run(self) -> None:
        try:
            while self._has_work():
                self._step_all()
        finally:
            self._fail_all()

    def _has_work(self) -> bool:
        """Waits until there is a request; false when closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._live or self._waiting)
            return not self._closing

    def _step_all(self) -> None:
        # a function of its own, so that no local variable keeps a finished request, and its model, while waiting
        for request in self._admit():
            if self._closing:
                return
            self._advance(request)

    def _admit(self) -> list[_Request]:
        """Moves waiting requests to the live ones while there is room, in their order. Returns what is to be stepped:
        the live ones, and those that were cancelled while waiting."""
        with self._changed:
            cancelled = [request for request in self._waiting if request.ticket.cancelled]
            for request in cancelled:
                self._waiting.remove(request)
            rows = self.live_rows
            while self._waiting and (rows == 0 or rows + self._waiting[0].batch.live <= self._max_live_rows):
                request = self._waiting.popleft()
                rows += request.batch.live
                self._live.append(request)
            return [*cancelled, *self._live]

    def _advance(self, request: _Request) -> None:
        try:
            updates = request.batch.cancel() if request.ticket.cancelled else request.batch.step()
            request.ticket.deliver(updates)
            error = None
        except Exception as failure:
            # as text, and without its cause: the traceback would keep the model as long as the record and the ticket
            log.error("a request on %s failed\n%s", request.ticket.checkpoint_id, traceback.format_exc())
            error = GenerationFailed(f"The model failed: {type(failure).__name__}: {failure}", hint="Try again.")
        if error is not None or not request.batch.live:
            with self._changed:
                self._live = [other for other in self._live if other is not request]
            request.end(error)

    def _fail_all(self) -> None:
        with self._changed:
            left = [*self._live, *self._waiting]
            self._live = []
            self._waiting.clear()
        for request in left:
            request.end(EngineClosed("The program shut down before this was finished.", hint="Repeat the request."))


def _open_request(
    lease: Lease, messages_list: Sequence[Messages], settings: list[Sampling], seeds: Sequence[int]
) -> _Request:
    policy = lease.policy
    positions = position_limit(policy.model)
    prompts = [
        fit_messages(policy.tokenizer, messages, max_positions=positions, max_new_tokens=setting.max_new_tokens)
        for messages, setting in zip(messages_list, settings, strict=True)
    ]
    batch = DecodingBatch(policy, prompts, sampling=settings, seeds=seeds)
    return _Request(Ticket(lease.checkpoint_id, prompt_tokens=[len(prompt) for prompt in prompts]), lease, batch)


def _unknown(checkpoint_id: str) -> Policy:
    raise NotFound(f"The checkpoint {checkpoint_id!r} is not loaded.", hint="Name a checkpoint of this project.")
