"""Requests on the decode loop: in turn, on the checkpoint they began on, and each with its own failures only."""

import gc
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable

import pytest

from app.serving.engine import (
    CheckpointUnusable,
    Engine,
    EngineBusy,
    EngineClosed,
    GenerationFailed,
    RowFinished,
    TextPiece,
    Ticket,
)
from app.serving.slot import Slot
from storage.errors import NotFound
from trainer.generation import generate
from trainer.policy import Policy
from trainer.prompting import PromptTooLong
from trainer.sampling import Sampling

MakePolicy = Callable[..., Policy]
WaitUntil = Callable[[Callable[[], bool]], None]


def asked(text: str = "Hi") -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def submit(engine: Engine, new: int = 10, *, seed: int = 1, checkpoint_id: str | None = None) -> Ticket:
    return engine.submit([asked()], sampling=Sampling(max_new_tokens=new), seeds=[seed], checkpoint_id=checkpoint_id)


def said(policy: Policy, new: int = 10, *, seed: int = 1) -> str:
    return generate(policy, [asked()], sampling=Sampling(max_new_tokens=new), seeds=[seed])[0].text


def text_of(events: Iterable[object], row: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece) and event.row == row)


def test_the_rows_of_a_request_come_back_in_order_with_their_own_seed_and_settings(
    engine: Engine, make_policy: MakePolicy
) -> None:
    ticket = engine.submit(
        [asked("Hi"), asked("How is the weather?")],
        sampling=[Sampling(max_new_tokens=5), Sampling(0.0, max_new_tokens=9)],
        seeds=[3, 4],
    )
    events = list(ticket)
    first, second = ticket.result(0)
    assert (ticket.checkpoint_id, ticket.prompt_tokens) == ("a", (4, 21))
    assert (first.tokens, second.tokens) == (5, 9)
    assert first.text == said(make_policy("a"), 5, seed=3)
    assert [text_of(events, 0), text_of(events, 1)] == [first.text, second.text]
    assert [e.row for e in events if isinstance(e, RowFinished)] == [0, 1]


def test_a_short_request_overtakes_a_long_one(engine: Engine) -> None:
    long = submit(engine, 240)
    events = iter(long)
    next(events)
    short = submit(engine, 5)
    assert len(short.result(10)) == 1
    assert not long.done
    assert long.result(10)[0].tokens == 240


def test_a_request_finishes_on_the_checkpoint_it_began_on_and_the_next_one_has_the_new(make_policy: MakePolicy) -> None:
    slot = Slot(max_loaded=1)
    slot.swap("a", lambda: make_policy("a", delay=0.003))
    successor = make_policy("b")
    with Engine(slot) as engine:
        running = submit(engine, 120)
        events = iter(running)
        next(events)
        slot.swap("b", lambda: successor)
        after = submit(engine, 20)
        assert (after.checkpoint_id, after.result(10)[0].text) == ("b", said(make_policy("b"), 20))
        assert not running.done
        assert slot.leases("a") == 1
        assert (running.checkpoint_id, running.result(10)[0].text) == ("a", said(make_policy("a"), 120))
        assert slot.leases("a") == 0
        assert slot.loaded_ids == ["b"]


def test_many_clients_through_many_swaps_get_whole_completions_of_the_checkpoint_on_their_ticket(
    engine: Engine, slot: Slot, make_policy: MakePolicy
) -> None:
    expected = {name: [said(make_policy(name), 20, seed=seed) for seed in range(6)] for name in "abc"}
    assert len({tuple(texts) for texts in expected.values()}) == 3
    outcomes: list[tuple[str, int, str]] = []
    swapped, ended = threading.Event(), []

    def client(number: int) -> None:
        asked = 0
        while asked < 6 or not swapped.is_set():  # on a busy machine all are answered before the first swap
            seed = (number + asked) % 6
            ticket = submit(engine, 20, seed=seed)
            outcomes.append((ticket.checkpoint_id, seed, ticket.result(30)[0].text))
            asked += 1
        ended.append(number)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in clients:
        thread.start()
    for name in "bcabcab":  # not back to the first one
        slot.swap(name, lambda name=name: make_policy(name), expected_digest=f"digest of {name}")
        time.sleep(0.03)
    swapped.set()
    for thread in clients:
        thread.join()
    assert sorted(ended) == list(range(8)) and len(outcomes) >= 48
    assert len({checkpoint_id for checkpoint_id, _, _ in outcomes}) >= 2
    assert all(text == expected[checkpoint_id][seed] for checkpoint_id, seed, text in outcomes)
    assert [slot.leases(name) for name in "abc"] == [0, 0, 0]


def test_cancel_stops_with_the_step_that_is_running(slot: Slot, make_policy: MakePolicy, wait_until: WaitUntil) -> None:
    allowed, begun = threading.Semaphore(8), 0  # eight steps for the warm-up

    def on_step(rows: int) -> None:
        nonlocal begun
        begun += 1
        allowed.acquire()

    slot.swap("paced", lambda: make_policy("paced", on_step=on_step))
    with Engine(slot) as engine:
        ticket = submit(engine, 100)
        allowed.release(3)
        wait_until(lambda: begun == 8 + 4)
        ticket.cancel()
        allowed.release(1)
        (row,) = ticket.result(5)
        assert (row.tokens, row.finish_reason) == (4, "cancelled")
        assert slot.leases("paced") == 0


def test_leaving_an_iteration_early_cancels_the_request(engine: Engine) -> None:
    ticket = submit(engine, 240)
    for _ in ticket:
        break
    gc.collect()
    assert ticket.result(5)[0].finish_reason == "cancelled"


def test_a_request_cancelled_while_it_waits_ends_without_a_token(slot: Slot) -> None:
    with Engine(slot, max_live_rows=1) as engine:
        first, second = submit(engine, 200), submit(engine, 200)
        second.cancel()
        (row,) = second.result(5)
        assert (row.tokens, row.finish_reason) == (0, "cancelled")
        assert not first.done
        assert slot.leases("a") == 1


def test_no_more_rows_are_live_than_allowed_and_the_rest_comes_in_order(slot: Slot, make_policy: MakePolicy) -> None:
    live: list[int] = []
    engine = Engine(slot, max_live_rows=2)
    slot.swap("b", lambda: make_policy("b", on_step=lambda rows: live.append(engine.live_rows)))
    with engine:
        order: list[int] = []
        tickets = [submit(engine, 15) for _ in range(6)]
        watchers = [
            threading.Thread(target=lambda i=i, t=t: (t.result(10), order.append(i))) for i, t in enumerate(tickets)
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
    assert max(live) == 2
    assert [sorted(order[i : i + 2]) for i in (0, 2, 4)] == [[0, 1], [2, 3], [4, 5]]


def test_a_request_with_more_rows_than_may_be_live_runs_alone(slot: Slot) -> None:
    with Engine(slot, max_live_rows=2) as engine:
        ticket = engine.submit([asked()] * 5, sampling=Sampling(max_new_tokens=3), seeds=range(5))
        assert [row.tokens for row in ticket.result(5)] == [3] * 5


def test_a_model_that_fails_ends_its_own_request_only(
    engine: Engine, slot: Slot, make_policy: MakePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    steps = 0

    def fail_later(rows: int) -> None:
        nonlocal steps
        steps += 1
        if steps > 12:  # eight of them are the warm-up's
            raise RuntimeError("out of memory, for instance")

    healthy = submit(engine, 60)
    engine.resolve = lambda checkpoint_id: make_policy(checkpoint_id, on_step=fail_later)
    failing = submit(engine, 60, checkpoint_id="b")
    events: list[object] = []
    with pytest.raises(GenerationFailed, match="RuntimeError: out of memory, for instance"):
        for event in failing:
            events.append(event)
    assert 1 <= len(events) <= 4, "what came before the failure was delivered"
    with pytest.raises(GenerationFailed):
        failing.result(5)
    assert healthy.result(10)[0].text == said(make_policy("a"), 60)
    assert slot.leases("b") == 0
    assert "a request on b failed" in caplog.text
    assert submit(engine, 3).result(5)[0].tokens == 3


def test_a_failed_request_does_not_keep_its_model(slot: Slot, make_policy: MakePolicy) -> None:
    def fail(rows: int) -> None:
        if engine.live_rows:
            raise RuntimeError("no")

    engine = Engine(slot)
    engine.resolve = lambda checkpoint_id: make_policy(checkpoint_id, on_step=fail)
    with engine:
        ticket = submit(engine, checkpoint_id="b")
        with slot.acquire("b") as lease:
            model = weakref.ref(lease.policy.model)
        with pytest.raises(GenerationFailed):
            ticket.result(5)
        slot.close()
        gc.collect()
        assert model() is None
        assert ticket.done


def test_an_idle_loop_keeps_no_model(make_policy: MakePolicy) -> None:
    slot = Slot(max_loaded=1)
    slot.swap("a", lambda: make_policy("a"))
    with slot.acquire() as lease:
        model = weakref.ref(lease.policy.model)
    with Engine(slot) as engine:
        ticket = submit(engine)
        ticket.result(5)
        slot.swap("b", lambda: make_policy("b"))
        gc.collect()
        assert model() is None


def test_a_checkpoint_by_name_is_resolved_and_an_unknown_one_is_refused(
    engine: Engine, make_policy: MakePolicy
) -> None:
    with pytest.raises(NotFound, match="'b'"):
        submit(engine, checkpoint_id="b")
    engine.resolve = make_policy
    ticket = submit(engine, checkpoint_id="b")
    assert (ticket.checkpoint_id, ticket.result(5)[0].text) == ("b", said(make_policy("b")))


def test_a_checkpoint_whose_folder_is_gone_is_told_as_such(engine: Engine, slot: Slot) -> None:
    def gone(checkpoint_id: str) -> Policy:
        raise FileNotFoundError("no manifest.json in checkpoints/b")

    engine.resolve = gone
    with pytest.raises(CheckpointUnusable, match=r"b cannot be used: FileNotFoundError: no manifest\.json"):
        submit(engine, checkpoint_id="b")
    assert (slot.leases("b"), slot.loaded_ids) == (0, ["a"])


def test_a_prompt_that_is_too_long_is_refused_at_once_and_leases_nothing(engine: Engine, slot: Slot) -> None:
    with pytest.raises(PromptTooLong):
        engine.submit([asked("x" * 300)], sampling=Sampling(max_new_tokens=5), seeds=[1])
    with pytest.raises(ValueError, match="2 seeds"):
        engine.submit([asked()], sampling=Sampling(max_new_tokens=5), seeds=[1, 2])
    assert slot.leases("a") == 0


def test_requests_beyond_the_waiting_room_are_turned_away(slot: Slot) -> None:
    with Engine(slot, max_live_rows=1, max_waiting=2) as engine:
        running = iter(submit(engine, 240))
        next(running)
        waiting = [submit(engine), submit(engine)]
        with pytest.raises(EngineBusy, match="2 requests are waiting"):
            submit(engine)
        assert slot.leases("a") == 3
        assert not any(ticket.done for ticket in waiting)


def test_closing_ends_the_loop_within_a_second_and_tells_everybody(slot: Slot) -> None:
    engine = Engine(slot, max_live_rows=1)
    running, waiting = submit(engine, 240), submit(engine, 240)
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 1
    for ticket in (running, waiting):
        with pytest.raises(EngineClosed, match="shut down before this was finished"):
            ticket.result(1)
    assert slot.leases("a") == 0
    assert not any(thread.name == "decode-loop" for thread in threading.enumerate())
    with pytest.raises(EngineClosed):
        submit(engine)


def test_result_waits_no_longer_than_asked(engine: Engine) -> None:
    ticket = submit(engine, 240)
    with pytest.raises(TimeoutError):
        ticket.result(0.001)
    ticket.cancel()


def test_random_cancellations_leave_nothing_behind(engine: Engine, slot: Slot) -> None:
    rng = random.Random(0)
    tickets = [submit(engine, rng.randint(1, 60), seed=i) for i in range(40)]
    for ticket in rng.sample(tickets, 20):
        ticket.cancel()
    assert all(len(ticket.result(20)) == 1 for ticket in tickets)
    assert (slot.leases("a"), engine.live_rows, engine.waiting) == (0, 0, 0)
