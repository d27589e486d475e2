"""The models that are loaded, which of them is served, and the swap from one to the next without a dropped request.

A request takes a `Lease` on a whole model and keeps it to its end, whatever is served meanwhile. `swap` loads the new
checkpoint beside the old one, verifies and warms it, and only then publishes it; a checkpoint that fails any of that
leaves the old one serving. Where the device has no room for two, serving pauses for the swap and says so. A few more
checkpoints stay loaded (least recently leased go first), so that a baseline can be leased by its id. Leaves out:
decoding (`app/serving/engine.py`), and the ledger (`app/promotion.py`), which hears of each step through `on_event`.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import torch

from app.serving.memory import free_device_memory, give_back_main_memory
from storage.errors import NotFound, PrefLoopError, Unavailable
from trainer.decoding import DecodingBatch
from trainer.policy import Policy
from trainer.prompting import fit_messages
from trainer.sampling import Sampling

log = logging.getLogger(__name__)

SwapEvent = Literal["loading", "verified", "warmed", "serving", "drained", "failed"]
OnEvent = Callable[[SwapEvent, str], None]

DRAIN_SECONDS = 120.0  # how long a paused slot waits for the requests that are running
WARM_UP = Sampling(temperature=0.0, max_new_tokens=8)


class SwapFailed(PrefLoopError):
    """The checkpoint was not put into service; the message says at which step and why. The old one is still served."""

    code = "swap_failed"


@dataclass
class _Loaded:
    checkpoint_id: str
    policy: Policy
    leases: int = 0
    set_aside: bool = False  # moved off its device, to make room for its successor
    when_drained: list[Callable[[], None]] = field(default_factory=list)


class Lease:
    """The right to use one loaded checkpoint until `release` (also a context manager)."""

    def __init__(self, slot: "Slot", loaded: _Loaded) -> None:
        self.checkpoint_id = loaded.checkpoint_id
        self._slot = slot
        self._loaded: _Loaded | None = loaded

    @property
    def policy(self) -> Policy:
        if self._loaded is None:
            raise RuntimeError(f"the lease on {self.checkpoint_id} has been released; acquire another one")
        return self._loaded.policy

    def release(self) -> None:
        """Give the checkpoint back. A second call does nothing."""
        self._slot._release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Slot:
    """The published model and the others that are loaded, at most `max_loaded` of them beyond those in use."""

    def __init__(self, *, max_loaded: int = 3) -> None:
        if max_loaded < 1:
            raise ValueError(f"max_loaded is {max_loaded}; give at least 1, for the served model")
        self._max_loaded = max_loaded
        self._changed = threading.Condition()
        self._swapping = threading.Lock()
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()  # least recently leased first
        self._loading: set[str] = set()
        self._current: str | None = None
        self._paused = ""  # why nothing can be leased for the moment

    @property
    def current_id(self) -> str | None:
        """The id of the served checkpoint; None before the first swap."""
        return self._current

    @property
    def loaded_ids(self) -> list[str]:
        """The loaded checkpoints, least recently leased first."""
        with self._changed:
            return list(self._loaded)

    def leases(self, checkpoint_id: str) -> int:
        """How many leases on this checkpoint are out."""
        with self._changed:
            loaded = self._loaded.get(checkpoint_id)
            return loaded.leases if loaded else 0

    def acquire(self, checkpoint_id: str | None = None, load: Callable[[], Policy] | None = None) -> Lease:
        """Lease the served checkpoint, or the one named, which `load` loads where it is not (this takes seconds).

        Raises Unavailable while nothing is served, serving is paused or the device has no room for one more, NotFound
        where the one named is not loaded and `load` not given, and whatever `load` raises.
        """
        with self._changed:
            if self._paused:
                raise Unavailable(self._paused, hint="Try again in a few seconds.", code="paused")
            wanted = checkpoint_id or self._current
            if wanted is None:
                raise Unavailable("No model is served yet.", hint="It is being loaded; try again.", code="not_ready")
            if wanted in self._loaded:
                return self._lease(wanted)
        if load is None:
            raise NotFound(f"The checkpoint {wanted!r} is not loaded.", hint="Name a checkpoint of this project.")
        try:
            return self._open(wanted, load, prepare=warm_up)
        except torch.OutOfMemoryError as error:
            message = f"The device has no room for {wanted} beside {self._current}."
            raise Unavailable(message, hint="Promote it, or use a larger device.", code="no_room") from error

    def swap(
        self,
        checkpoint_id: str,
        load: Callable[[], Policy],
        *,
        expected_digest: str | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        """Serve this checkpoint from now on. One swap at a time; returns once it is published.

        on_event(event, detail) hears "loading", "verified", "warmed", "serving", or "failed" with the reason, and
        "drained" with the old checkpoint's id once its last lease is back (from another thread, and not at all if it
        is served again before). Raises SwapFailed, with the old one still served.
        """
        tell: OnEvent = on_event or (lambda event, detail: None)

        def prepare(policy: Policy) -> None:
            if expected_digest is not None and policy.digest != expected_digest:
                raise ValueError(f"its digest is {policy.digest}, but {expected_digest} was recorded")
            tell("verified", policy.digest)
            warm_up(policy)
            tell("warmed", "")

        with self._swapping:
            try:
                tell("loading", checkpoint_id)
                lease = self._open_beside(checkpoint_id, load, prepare, tell)
            except Exception as error:
                self._paused = ""
                reason = f"{checkpoint_id} could not be put into service: {type(error).__name__}: {error}"
                _quietly(tell, "failed", reason)
                raise SwapFailed(reason, hint=f"{self._current or 'nothing'} is still served.") from error
            with lease:
                self._publish(checkpoint_id, tell)
            give_back_main_memory()

    def close(self) -> None:
        """Serve nothing any more, and free the models that are not leased (the others with their last lease)."""
        with self._changed:
            self._current = None
            self._max_loaded = 0
            self._evict()

    def _publish(self, checkpoint_id: str, tell: OnEvent) -> None:
        with self._changed:
            old = self._loaded.get(self._current) if self._current else None
            self._current = checkpoint_id
            self._paused = ""
            self._loaded[checkpoint_id].when_drained.clear()
        _quietly(tell, "serving", checkpoint_id)
        if old is None or old.checkpoint_id == checkpoint_id:
            return
        drained = partial(_quietly, tell, "drained", old.checkpoint_id)
        with self._changed:
            in_use = old.leases > 0
            if in_use:
                old.when_drained.append(drained)
            self._evict()
        if not in_use:
            drained()

    def _open_beside(
        self, checkpoint_id: str, load: Callable[[], Policy], prepare: Callable[[Policy], None], tell: OnEvent
    ) -> Lease:
        try:
            return self._open(checkpoint_id, load, prepare=prepare)
        except torch.OutOfMemoryError:
            with self._changed:
                served = self._loaded.get(self._current) if self._current else None
                if served is None or served.checkpoint_id == checkpoint_id:
                    raise
                self._paused = f"Serving is paused: the device has no room for {checkpoint_id} beside {self._current}."
        tell("loading", self._paused)
        return self._open_alone(served, checkpoint_id, load, prepare)

    def _open_alone(
        self, served: _Loaded, checkpoint_id: str, load: Callable[[], Policy], prepare: Callable[[Policy], None]
    ) -> Lease:
        """Lets the served model's requests finish, moves it to main memory, and back where the load fails."""
        with self._changed:
            if not self._changed.wait_for(lambda: served.leases == 0, DRAIN_SECONDS):
                raise TimeoutError(
                    f"{served.leases} requests on {served.checkpoint_id} ran on for {DRAIN_SECONDS:.0f} s"
                )
            self._evict(room=self._max_loaded)
        model: Any = served.policy.model
        device, served.set_aside = model.device, True
        model.to("cpu")
        free_device_memory()
        try:
            return self._open(checkpoint_id, load, prepare=prepare)
        except Exception as error:
            failure = error.with_traceback(None)  # which holds what had been loaded
        free_device_memory()
        model.to(device)
        served.set_aside = False
        raise failure

    def _open(self, checkpoint_id: str, load: Callable[[], Policy], *, prepare: Callable[[Policy], None]) -> Lease:
        """A lease on a checkpoint that has been loaded, if need be, and prepared. It is loaded once, outside the lock,
        so that the others are leased meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: checkpoint_id not in self._loading)
            ready = self._lease(checkpoint_id) if checkpoint_id in self._loaded else None
            if ready is None:
                self._loading.add(checkpoint_id)
                self._evict(room=1)
        if ready is not None:
            try:
                prepare(ready.policy)
            except BaseException:
                ready.release()
                raise
            return ready
        try:
            policy = load()
            prepare(policy)
            with self._changed:
                self._loaded[checkpoint_id] = _Loaded(checkpoint_id, policy)
                return self._lease(checkpoint_id)
        finally:
            with self._changed:
                self._loading.discard(checkpoint_id)
                self._changed.notify_all()

    def _lease(self, checkpoint_id: str) -> Lease:
        loaded = self._loaded[checkpoint_id]
        loaded.leases += 1
        self._loaded.move_to_end(checkpoint_id)
        return Lease(self, loaded)

    def _release(self, lease: Lease) -> None:
        with self._changed:
            loaded, lease._loaded = lease._loaded, None
            if loaded is None:
                return
            loaded.leases -= 1
            self._changed.notify_all()
            drained = [] if loaded.leases else loaded.when_drained
            if drained:
                loaded.when_drained = []
            self._evict()
        for callback in drained:
            # the last lease may be the decode loop's, and a ledger may wait for its database
            threading.Thread(target=callback, name="slot-drained", daemon=True).start()

    def _evict(self, room: int = 0) -> None:
        """Forget the least recently leased ones, until `room` more can be loaded. The lock is held."""
        for checkpoint_id, loaded in list(self._loaded.items()):
            wanted = len(self._loaded) + room <= self._max_loaded and not loaded.set_aside
            if not wanted and loaded.leases == 0 and checkpoint_id != self._current:
                del self._loaded[checkpoint_id]


def warm_up(policy: Policy) -> None:
    """Generate a few tokens, so that a broken model fails here and not before a person.

    It is also the tokenizer's first use, which may change its padding settings; later ones only read them, and so may
    happen in several threads.
    """
    hello = [{"role": "user", "content": "Hello"}]
    prompt = fit_messages(policy.tokenizer, hello, max_positions=None, max_new_tokens=WARM_UP.max_new_tokens)
    batch = DecodingBatch(policy, [prompt], sampling=WARM_UP, seeds=[0])
    while batch.live:
        batch.step()


def _quietly(tell: OnEvent, event: SwapEvent, detail: str) -> None:
    """For events that report what has happened already: a listener's failure cannot undo it."""
    try:
        tell(event, detail)
    except Exception:
        log.exception("the event %r (%s) of a swap could not be reported", event, detail)
