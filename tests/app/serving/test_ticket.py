"""A ticket in asyncio: events as they come, and a request that ends with its reader."""

import asyncio
import gc
import time

import pytest

from app.serving.engine import Engine, EngineClosed
from app.serving.ticket import RowFinished, TextPiece, Ticket
from trainer.decoding import RowUpdate
from trainer.sampling import Generated, Sampling


def submit(engine: Engine, new: int, rows: int = 1) -> Ticket:
    messages = [{"role": "user", "content": "Hi"}]
    return engine.submit([messages] * rows, sampling=Sampling(max_new_tokens=new), seeds=range(rows))


async def ended(ticket: Ticket, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not ticket.done:
        assert time.monotonic() < deadline, "the request goes on"
        await asyncio.sleep(0.005)


async def test_events_stream_while_the_event_loop_stays_free(engine: Engine) -> None:
    ticket = submit(engine, 60, rows=2)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while not ticket.done:
            beats += 1
            await asyncio.sleep(0)

    pulse = asyncio.create_task(beat())
    texts = {0: "", 1: ""}
    finished: dict[int, str] = {}
    async for event in ticket:
        if isinstance(event, TextPiece):
            assert event.row not in finished
            texts[event.row] += event.text
        elif isinstance(event, RowFinished):
            finished[event.row] = event.generated.text
    await pulse
    assert texts == finished
    assert beats > 10


async def test_two_readers_each_get_all_events(engine: Engine) -> None:
    ticket = submit(engine, 30)

    async def read() -> list[object]:
        return [event async for event in ticket]

    first, second = await asyncio.gather(read(), read())
    assert first == second
    assert len(first) > 2


async def test_waiting_gives_the_rows(engine: Engine) -> None:
    rows = await submit(engine, 7, rows=3).wait()
    assert [row.tokens for row in rows] == [7, 7, 7]


async def test_leaving_the_iteration_early_cancels_the_request(engine: Engine) -> None:
    ticket = submit(engine, 240)
    async for _ in ticket:
        break
    gc.collect()
    await ended(ticket)
    assert ticket.result(0)[0].finish_reason == "cancelled"


async def test_cancelling_the_reading_task_cancels_the_request(engine: Engine) -> None:
    ticket = submit(engine, 240)
    reader = asyncio.create_task(ticket.wait())
    await asyncio.sleep(0.02)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await ended(ticket)
    assert ticket.result(0)[0].finish_reason == "cancelled"


async def test_an_error_reaches_the_reader_and_not_as_a_silent_end(engine: Engine) -> None:
    ticket = submit(engine, 240)
    asyncio.get_running_loop().call_later(0.02, engine.close)
    with pytest.raises(EngineClosed):
        async for _ in ticket:
            pass


def test_a_reader_whose_event_loop_is_gone_cancels_the_request_and_disturbs_nobody() -> None:
    ticket = Ticket("a", prompt_tokens=[1])
    loop = asyncio.new_event_loop()
    events = ticket.__aiter__()

    async def start() -> None:
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(events.__anext__())), 0.01)

    with pytest.raises(TimeoutError):
        loop.run_until_complete(start())
    loop.close()
    ticket.deliver([RowUpdate(0, "x", None)])
    assert ticket.cancelled


def test_nothing_comes_after_the_end() -> None:
    ticket = Ticket("a", prompt_tokens=[1])
    generated = Generated("x", (5,), "stop", -1.0, 1)
    ticket.deliver([RowUpdate(0, "x", generated)])
    ticket.end()
    ticket.end(RuntimeError("late"))
    ticket.deliver([RowUpdate(0, "y", None)])
    ticket.cancel()
    assert list(ticket) == [TextPiece(0, "x"), RowFinished(0, generated)]
    assert ticket.result(0) == [generated]
    assert not ticket.cancelled
