"""Leases and the swap: the old model serves until the new one can, and goes when nobody uses it."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
import torch

from app.serving.slot import Slot, SwapFailed
from storage.errors import NotFound, Unavailable
from trainer.policy import Policy

MakePolicy = Callable[..., Policy]
WaitUntil = Callable[[Callable[[], bool]], None]


def test_nothing_can_be_leased_before_the_first_swap() -> None:
    with pytest.raises(Unavailable, match="No model is served yet"):
        Slot().acquire()


def test_a_lease_keeps_its_model_across_a_swap_and_the_next_one_has_the_new(
    slot: Slot, make_policy: MakePolicy
) -> None:
    with slot.acquire() as before:
        slot.swap("b", lambda: make_policy("b"))
        with slot.acquire() as after:
            assert (before.checkpoint_id, before.policy.digest) == ("a", "digest of a")
            assert (after.checkpoint_id, after.policy.digest) == ("b", "digest of b")
            assert (slot.leases("a"), slot.leases("b")) == (1, 1)
    assert (slot.leases("a"), slot.leases("b")) == (0, 0)


def test_a_released_lease_gives_no_model_and_counts_once(slot: Slot) -> None:
    lease, other = slot.acquire(), slot.acquire()
    lease.release()
    lease.release()
    assert slot.leases("a") == 1
    with pytest.raises(RuntimeError, match="has been released"):
        _ = lease.policy
    other.release()


def test_the_events_of_a_swap_come_in_order_and_drained_comes_with_the_last_lease(
    slot: Slot, make_policy: MakePolicy, wait_until: WaitUntil
) -> None:
    events: list[tuple[str, str]] = []
    first, second = slot.acquire(), slot.acquire()
    slot.swap(
        "b",
        lambda: make_policy("b"),
        expected_digest="digest of b",
        on_event=lambda event, detail: events.append((event, detail)),
    )
    first.release()
    assert events == [("loading", "b"), ("verified", "digest of b"), ("warmed", ""), ("serving", "b")]
    second.release()
    wait_until(lambda: len(events) == 5)
    assert events[-1] == ("drained", "a")


def test_drained_comes_at_once_where_nobody_has_a_lease(slot: Slot, make_policy: MakePolicy) -> None:
    events: list[str] = []
    slot.swap("b", lambda: make_policy("b"), on_event=lambda event, _: events.append(event))
    assert events == ["loading", "verified", "warmed", "serving", "drained"]


def test_the_old_model_is_freed_with_its_last_lease(make_policy: MakePolicy) -> None:
    slot = Slot(max_loaded=1)
    slot.swap("a", lambda: make_policy("a"))
    lease = slot.acquire()
    old = weakref.ref(lease.policy.model)
    slot.swap("b", lambda: make_policy("b"))
    gc.collect()
    assert old() is not None
    lease.release()
    gc.collect()
    assert old() is None
    assert slot.loaded_ids == ["b"]


def not_a_number(policy: Policy) -> Policy:
    with torch.no_grad():
        policy.model.model.norm.weight.fill_(float("nan"))
    return policy


def missing() -> NoReturn:
    raise FileNotFoundError("no model.safetensors in the folder")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (lambda make: missing(), "no model.safetensors"),
        (lambda make: make("corrupted"), "its digest is digest of corrupted, but digest of b was recorded"),
        (
            lambda make: Policy(not_a_number(make("b")).model, make("b").tokenizer, "digest of b"),
            "logits are not finite",
        ),
    ],
    ids=["not loadable", "wrong digest", "broken weights"],
)
def test_a_checkpoint_that_fails_leaves_the_old_one_serving_and_says_why(
    slot: Slot, make_policy: MakePolicy, load: Callable[[MakePolicy], Policy], reason: str
) -> None:
    events: list[tuple[str, str]] = []
    with pytest.raises(SwapFailed, match=reason) as raised:
        slot.swap(
            "b",
            lambda: load(make_policy),
            expected_digest="digest of b",
            on_event=lambda event, detail: events.append((event, detail)),
        )
    assert "a is still served" in str(raised.value)
    assert events[-1][0] == "failed"
    assert reason in events[-1][1]
    assert "serving" not in dict(events)
    with slot.acquire() as lease:
        assert lease.checkpoint_id == "a"
    assert slot.loaded_ids == ["a"], "the broken one is not kept"


def test_a_broken_model_is_freed_once_its_error_is_dealt_with(slot: Slot, make_policy: MakePolicy) -> None:
    models: list[weakref.ref[torch.nn.Module]] = []

    def load() -> Policy:
        policy = not_a_number(make_policy("b"))
        models.append(weakref.ref(policy.model))
        return policy

    with pytest.raises(SwapFailed):
        slot.swap("b", load)
    gc.collect()
    assert models[0]() is None


def test_a_swap_that_cannot_be_recorded_beforehand_does_not_happen(slot: Slot, make_policy: MakePolicy) -> None:
    def full_disk(event: str, detail: str) -> None:
        if event == "verified":
            raise OSError("disk full")

    with pytest.raises(SwapFailed, match="disk full"):
        slot.swap("b", lambda: make_policy("b"), on_event=full_disk)
    assert slot.current_id == "a"


def test_a_swap_that_has_happened_stands_even_if_nobody_could_be_told(slot: Slot, make_policy: MakePolicy) -> None:
    def full_disk(event: str, detail: str) -> None:
        if event in ("serving", "drained"):
            raise OSError("disk full")

    slot.swap("b", lambda: make_policy("b"), on_event=full_disk)
    assert slot.current_id == "b"


def test_other_checkpoints_can_be_leased_by_id_and_the_least_recent_goes_first(
    slot: Slot, make_policy: MakePolicy
) -> None:
    loads: list[str] = []

    def loader(name: str) -> Callable[[], Policy]:
        return lambda: (loads.append(name), make_policy(name))[1]

    for name in ["x", "y", "x", "z"]:  # three fit: the served one and two more
        with slot.acquire(name, loader(name)) as lease:
            assert lease.policy.digest == f"digest of {name}"
    assert loads == ["x", "y", "z"]
    assert slot.loaded_ids == ["a", "x", "z"]
    with pytest.raises(NotFound, match="'y' is not loaded"):
        slot.acquire("y")


def test_a_leased_checkpoint_is_never_forgotten(slot: Slot, make_policy: MakePolicy) -> None:
    leases = [slot.acquire(name, lambda name=name: make_policy(name)) for name in "wxyz"]
    assert slot.loaded_ids == ["a", "w", "x", "y", "z"]
    for lease in leases:
        lease.release()
    assert slot.loaded_ids == ["a", "y", "z"]


def test_a_checkpoint_asked_for_by_many_at_once_is_loaded_once_and_does_not_hold_up_the_served_one(
    slot: Slot, make_policy: MakePolicy
) -> None:
    loading, go_on, loads = threading.Event(), threading.Event(), []

    def load() -> Policy:
        loads.append("x")
        loading.set()
        assert go_on.wait(5)
        return make_policy("x")

    with ThreadPoolExecutor(4) as pool:
        leases = [pool.submit(slot.acquire, "x", load) for _ in range(4)]
        assert loading.wait(5)
        slot.acquire().release()
        go_on.set()
        assert {lease.result(5).checkpoint_id for lease in leases} == {"x"}
    assert loads == ["x"]
    assert slot.leases("x") == 4


def test_after_a_load_that_failed_the_next_one_tries_again(slot: Slot, make_policy: MakePolicy) -> None:
    with pytest.raises(FileNotFoundError):
        slot.acquire("x", missing)
    slot.acquire("x", lambda: make_policy("x")).release()
    assert "x" in slot.loaded_ids


def test_rolling_back_to_a_loaded_checkpoint_loads_nothing(slot: Slot, make_policy: MakePolicy) -> None:
    slot.swap("b", lambda: make_policy("b"))
    slot.swap("a", missing, expected_digest="digest of a")
    assert slot.current_id == "a"
    with pytest.raises(SwapFailed, match="its digest is digest of b"):
        slot.swap("b", missing, expected_digest="another")
    assert slot.current_id == "a"
    assert slot.leases("b") == 0


def no_room_beside(policy: Callable[[], Policy]) -> Callable[[], Policy]:
    """A loader that finds room only the second time, once the other model is out of the way."""
    full = iter([True, False])

    def load() -> Policy:
        if next(full):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return policy()

    return load


def test_where_there_is_no_room_for_two_serving_pauses_says_so_and_goes_on_with_the_new(
    slot: Slot, make_policy: MakePolicy, wait_until: WaitUntil
) -> None:
    running, events = slot.acquire(), []
    old = weakref.ref(running.policy.model)
    load = no_room_beside(lambda: make_policy("b"))
    swap = threading.Thread(
        target=slot.swap, args=("b", load), kwargs={"on_event": lambda event, detail: events.append((event, detail))}
    )
    swap.start()
    wait_until(lambda: len(events) == 2)
    assert events[1] == ("loading", "Serving is paused: the device has no room for b beside a.")
    with pytest.raises(Unavailable, match="Serving is paused"):
        slot.acquire()
    running.release()
    swap.join(10)
    assert [event for event, _ in events[2:]] == ["verified", "warmed", "serving", "drained"]
    assert slot.loaded_ids == ["b"]
    gc.collect()
    assert old() is None
    slot.acquire().release()


def test_a_pause_that_ends_in_failure_leaves_the_old_one_serving(slot: Slot, make_policy: MakePolicy) -> None:
    def load() -> Policy:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(SwapFailed, match="CUDA out of memory"):
        slot.swap("b", load)
    with slot.acquire() as lease:
        assert lease.policy.digest == "digest of a"
    slot.swap("c", lambda: make_policy("c"))
    assert slot.loaded_ids == ["a", "c"], "nothing is set aside any more"


def test_a_pause_does_not_wait_for_ever(slot: Slot, make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.serving.slot.DRAIN_SECONDS", 0.01)
    with slot.acquire():
        with pytest.raises(SwapFailed, match="1 requests on a ran on"):
            slot.swap("b", no_room_beside(lambda: make_policy("b")))
        slot.acquire().release()


def test_a_second_model_that_finds_no_room_is_refused_without_a_pause(slot: Slot, make_policy: MakePolicy) -> None:
    with pytest.raises(Unavailable, match="no room for b beside a"):
        slot.acquire("b", no_room_beside(lambda: make_policy("b")))
    slot.acquire().release()


def test_a_closed_slot_frees_what_nobody_uses(slot: Slot) -> None:
    lease = slot.acquire()
    slot.close()
    with pytest.raises(Unavailable):
        slot.acquire()
    assert lease.policy.digest == "digest of a"
    lease.release()
    assert slot.loaded_ids == []
