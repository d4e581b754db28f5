from __future__ import annotations

import asyncio
import threading
import time

import dramatiq
import pytest
from dramatiq.middleware import TimeLimitExceeded
from structlog.testing import capture_logs

from streams.broker import Delivered, StreamsBroker
from streams.gate import Gate
from streams.interrupts import Halted, RetryLater, ReturnTo
from streams.middleware import LoopThread
from streams.transport.port import DEAD, LATER, RELEASED, Entry, Publication
from tests.integration.streams.workers import BLOCK_S, LEASE_S, PATIENCE_S, RENDER, SCRIPT, Server, Signals, Workers

STREAM = SCRIPT.streams[0]


def _settled(server: Server, stream: str = STREAM, group: str = "script") -> bool:
    """Waits until nothing of the group is pending."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if server.xpending(stream, group)["pending"] == 0:
            return True
        time.sleep(0.01)
    return False


def _entries(server: Server, stream: str, count: int = 1) -> list[dict[bytes, bytes]]:
    """The fields of a stream's entries, once there are so many."""
    end_s = time.monotonic() + PATIENCE_S
    while server.xlen(stream) < count and time.monotonic() < end_s:
        time.sleep(0.01)
    return [fields for _, fields in server.xrange(stream)]


def test_what_an_operator_adds_by_hand_is_the_job(workers: Workers, server: Server, signals: Signals) -> None:
    broker = workers.broker(signals)
    workers.start(broker)
    entry_id = server.xadd(STREAM, {"topic": "Why octopuses have three hearts", b"odd": b"\xff\x00"}).decode()
    delivered: Delivered = signals.next()
    assert delivered.entry.fields == {b"topic": b"Why octopuses have three hearts", b"odd": b"\xff\x00"}
    assert (delivered.entry.origin_id, delivered.consumer) == (entry_id, broker.transport.consumer)
    assert _settled(server)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_an_actor_returns_is_published_when_its_entry_is_acknowledged(
    workers: Workers, server: Server, kind: str
) -> None:
    def plain(delivered: Delivered) -> tuple[Publication, ...]:
        return (Publication("stream:scripts", {"of": delivered.entry.id}),)

    async def later(delivered: Delivered) -> tuple[Publication, ...]:
        await asyncio.sleep(0.01)
        return plain(delivered)

    workers.work(plain if kind == "plain" else later)
    entry_id = server.xadd(STREAM, {"a": "b"})
    assert _entries(server, "stream:scripts") == [{b"of": entry_id}]
    assert _settled(server)


def test_a_failing_event_is_tried_again_and_then_kept_among_the_dead_as_it_came(
    workers: Workers, server: Server, signals: Signals
) -> None:
    class BrokenError(Exception):
        hint = "mend it"

    def fails(delivered: Delivered) -> None:
        signals((delivered.entry.retries, delivered.entry.origin_id))
        raise BrokenError("it is broken")

    workers.work(fails, max_retries=2)
    entry_id = server.xadd(STREAM, {b"topic": b"\xff odd", b"n": b"1"}).decode()
    assert [signals.next() for _ in range(3)] == [(0, entry_id), (1, entry_id), (2, entry_id)]
    assert _entries(server, DEAD) == [
        {
            b"topic": b"\xff odd",
            b"n": b"1",
            b"error": b"BrokenError: it is broken",
            b"hint": b"mend it",
            b"from_stream": STREAM.encode(),
            b"from_id": entry_id.encode(),
            b"group": b"script",
        }
    ]
    assert _settled(server)
    assert _settled(server, "lane:script")
    assert server.xlen(STREAM) == 1


@pytest.mark.parametrize("wish", [RetryLater("soon", delay_s=0.02), dramatiq.Retry("soon", delay=20)])
def test_work_that_asks_to_come_back_does_so_for_as_long_as_it_asks(
    workers: Workers, server: Server, signals: Signals, wish: Exception
) -> None:
    async def asks(delivered: Delivered) -> None:
        signals(delivered.entry)
        if delivered.entry.retries < 4:
            raise wish

    workers.work(asks, max_retries=1, lease_s=3 * PATIENCE_S)  # not by the turns of housekeeping
    server.xadd(STREAM, {"a": "b"})
    entries: list[Entry] = [signals.next() for _ in range(5)]
    assert [(entry.retries, entry.failures) for entry in entries] == [(n, 0) for n in range(5)]
    assert _settled(server, "lane:script")
    assert server.exists(DEAD) == 0


def test_a_long_job_is_not_given_to_anybody_else(workers: Workers, server: Server, signals: Signals) -> None:
    end = threading.Event()

    def long(delivered: Delivered) -> None:
        signals(delivered.entry.id)
        end.wait(PATIENCE_S)

    workers.work(long)
    workers.work(long)
    server.xadd(STREAM, {"a": "b"})
    signals.next()
    assert signals.none_within(3 * LEASE_S)
    end.set()
    assert _settled(server)


def test_a_dead_workers_event_is_done_by_another(workers: Workers, server: Server, signals: Signals) -> None:
    dead = workers.transport("dead")
    server.xadd(STREAM, {"a": "b"})
    assert len(dead.read(SCRIPT, 1, BLOCK_S)) == 1
    workers.work(signals)
    assert signals.next().entry.deliveries == 2
    assert _settled(server)


def test_an_event_that_kills_every_worker_ends_among_the_dead(
    workers: Workers, server: Server, signals: Signals
) -> None:
    server.xadd(STREAM, {"poison": "yes"})
    (entry,) = workers.transport("dead").read(SCRIPT, 1, BLOCK_S)
    server.xclaim(STREAM, "script", "dead", 0, [entry.id], idle=10_000, retrycount=3, justid=True)
    workers.work(signals, max_deliveries=3)
    (fields,) = _entries(server, DEAD)
    assert fields[b"poison"] == b"yes"
    assert fields[b"error"] == b"delivered 4 times without an end, 3 are allowed"
    assert signals.none_within(0.05)
    assert _settled(server)


def test_a_shut_gate_takes_nothing_and_gives_back_what_had_not_begun(
    workers: Workers, server: Server, signals: Signals
) -> None:
    gate = Gate("paused")
    broker = workers.broker(signals, gate=gate, budget=4)
    server.xadd(STREAM, {"n": "1"})
    workers.start(broker)
    assert signals.none_within(2 * BLOCK_S)
    assert server.exists("lane:script") == 0
    gate.set("open")
    assert signals.next().entry.fields == {b"n": b"1"}
    assert _settled(server)


def test_what_waits_for_a_thread_when_the_gate_shuts_is_handed_back_not_begun(
    workers: Workers, server: Server, signals: Signals
) -> None:
    gate, go = Gate(), threading.Event()

    def blocks(delivered: Delivered) -> None:
        signals(delivered.entry.fields)
        go.wait(PATIENCE_S)

    workers.start(workers.broker(blocks, gate=gate, budget=2), threads=1)
    for n in range(2):
        server.xadd(STREAM, {"n": str(n)})
    assert signals.next() == {b"n": b"0"}
    while server.xpending(STREAM, "script")["pending"] < 2:
        time.sleep(0.01)
    gate.set("paused")
    go.set()
    while True:
        pending = server.xpending_range(STREAM, "script", "-", "+", 9)
        if [(item["consumer"].decode(), item["times_delivered"]) for item in pending] == [(RELEASED, 0)]:
            break
        time.sleep(0.01)
    assert signals.none_within(0.05)
    gate.set("open")
    assert signals.next() == {b"n": b"1"}


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_halted_job_is_done_after_the_resume_and_no_retry_is_spent(
    workers: Workers, server: Server, signals: Signals, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    async def renders(delivered: Delivered) -> None:
        signals(delivered.entry)
        for _ in range(20):
            gate.checkpoint()
            await asyncio.sleep(0.02)

    def plainly(delivered: Delivered) -> None:
        signals(delivered.entry)
        for _ in range(20):
            gate.checkpoint()
            time.sleep(0.02)

    workers.work(plainly if kind == "plain" else renders, gate=gate, max_retries=0)
    server.xadd(STREAM, {"a": "b"})
    first: Entry = signals.next()
    gate.set("halted")
    assert signals.none_within(2 * LEASE_S)
    gate.set("open")
    again: Entry = signals.next()
    assert (again.id, again.retries, again.deliveries) == (first.id, 0, 1)
    assert _settled(server)
    assert server.exists(DEAD, LATER) == 0
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_an_event_that_another_worker_works_on_is_returned_to_it(
    workers: Workers, server: Server, signals: Signals
) -> None:
    def returns(delivered: Delivered) -> None:
        signals(delivered.entry.id)
        raise ReturnTo("the-worker", idle_s=LEASE_S / 2)

    workers.work(returns)
    server.xadd(STREAM, {"a": "b"})
    first = signals.next()
    started_s = time.monotonic()
    assert signals.next() == first
    assert time.monotonic() - started_s > LEASE_S * 0.4


def test_async_actors_run_on_the_loop_they_are_lent_and_leave_it_running(
    workers: Workers, server: Server, signals: Signals
) -> None:
    async def reports(delivered: Delivered) -> None:
        signals((delivered.entry.id, asyncio.get_running_loop()))

    async def answers() -> str:
        return "still there"

    lent = LoopThread()
    lent.start()
    try:
        worker = workers.work(reports, loop_thread=lent)
        entry_id = server.xadd(STREAM, {"a": "b"}).decode()
        assert signals.next() == (entry_id, lent.loop)
        assert _settled(server)
        workers.stop(worker)
        assert lent.run_coroutine(answers()) == "still there"
    finally:
        lent.stop()  # type: ignore[no-untyped-call] # dramatiq types its threads in part


def test_a_time_limit_ends_an_async_job_and_its_entry_is_kept_until_it_has_ended(
    workers: Workers, server: Server, signals: Signals
) -> None:
    async def hangs(delivered: Delivered) -> None:
        signals("begun")
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            await asyncio.shield(asyncio.sleep(1.5))
            signals((delivered.entry.id, server.xpending(STREAM, "script")["pending"], server.xlen(DEAD)))

    workers.work(hangs, time_limit=100, max_retries=0)
    entry_id = server.xadd(STREAM, {"a": "b"}).decode()
    assert signals.next() == "begun"
    assert signals.next() == (entry_id, 1, 0)
    (fields,) = _entries(server, DEAD)
    assert fields[b"error"].startswith(TimeLimitExceeded.__name__.encode())


def test_a_stopped_worker_leaves_its_work_to_others_and_takes_its_name_off(
    workers: Workers, server: Server, signals: Signals
) -> None:
    end = threading.Event()

    def waits(delivered: Delivered) -> None:
        signals(delivered.entry.fields[b"n"])
        end.wait(PATIENCE_S)

    broker = workers.broker(waits, budget=3)
    worker = workers.start(broker, threads=1)
    for n in range(3):
        server.xadd(STREAM, {"n": str(n)})
    assert signals.next() == b"0"
    while server.xpending(STREAM, "script")["pending"] < 3:
        time.sleep(0.01)
    stopping = threading.Thread(target=workers.stop, args=(worker,))
    stopping.start()
    while worker.workers[0].running:
        time.sleep(0.01)
    end.set()
    stopping.join()
    names = {consumer["name"].decode() for consumer in server.xinfo_consumers(STREAM, "script")}
    assert names == {RELEASED}
    workers.work(lambda delivered: signals((delivered.entry.fields[b"n"], delivered.entry.deliveries)), budget=2)
    assert {signals.next(), signals.next()} == {(b"1", 1), (b"2", 1)}


def test_a_group_of_two_streams_with_a_budget_of_one_never_holds_two(
    workers: Workers, server: Server, signals: Signals
) -> None:
    def renders(_: Delivered) -> None:
        held = [server.xpending(stream, "render") for stream in RENDER.streams]
        mine = [item for pending in held for item in pending["consumers"] if item["name"] != RELEASED.encode()]
        signals(sum(item["pending"] for item in mine))

    workers.work(renders, RENDER)
    for n in range(10):
        for stream in RENDER.streams:
            server.xadd(stream, {"n": str(n)})
    assert [signals.next() for _ in range(20)] == [1] * 20


def test_a_job_that_ran_while_redis_was_wiped_publishes_all_the_same(
    workers: Workers, server: Server, signals: Signals
) -> None:
    wiped = threading.Event()

    def writes(delivered: Delivered) -> tuple[Publication, ...]:
        signals(delivered.entry.id)
        wiped.wait(PATIENCE_S)
        return (Publication("stream:scripts", {"type": "script.written"}),)

    workers.work(writes)
    server.xadd(STREAM, {"a": "b"})
    signals.next()
    server.flushall()
    wiped.set()
    assert _entries(server, "stream:scripts") == [{b"type": b"script.written"}]
    server.xadd(STREAM, {"a": "c"})
    signals.next()
    assert len(_entries(server, "stream:scripts", 2)) == 2


def test_a_result_that_is_no_publication_is_a_failure(workers: Workers, server: Server) -> None:
    workers.work(lambda _: "a string", max_retries=0)
    server.xadd(STREAM, {"a": "b"})
    (fields,) = _entries(server, DEAD)
    assert fields[b"error"] == b"TypeError: an actor returned str, expected None or a tuple of Publication"


def test_an_idle_worker_sends_at_most_two_commands_a_second(workers: Workers, server: Server, signals: Signals) -> None:
    workers.work(signals, lease_s=2.0, block_s=1.0)  # half of the defaults: twice as many
    server.xadd(STREAM, {"a": "b"})
    signals.next()
    assert _settled(server)
    before = server.info("stats")["total_commands_processed"]  # those inside scripts included
    time.sleep(4)
    sent = server.info("stats")["total_commands_processed"] - before - 1
    assert 4 <= sent <= 2 * 2 * 4 + 1


def test_a_group_has_one_actor_and_work_enters_by_its_stream_only(workers: Workers, signals: Signals) -> None:
    broker: StreamsBroker = workers.broker(signals)
    with pytest.raises(ValueError, match="group script has the actor script already"):
        dramatiq.actor(actor_name="other", queue_name="script", broker=broker)(signals)
    with pytest.raises(ValueError, match="no subscription for group 'render'; there are: script"):
        dramatiq.actor(actor_name="other", queue_name="render", broker=broker)(signals)
    with pytest.raises(TypeError, match="publish an event to its stream instead"):
        broker.actors["script"].send()


def test_a_halt_is_logged_as_no_error(workers: Workers, server: Server, signals: Signals) -> None:
    def halted(delivered: Delivered) -> None:
        signals(delivered.entry.id)
        if delivered.entry.fields[b"n"] == b"0":
            raise Halted

    with capture_logs() as logs:
        workers.work(halted, budget=2)
        for n in range(2):
            server.xadd(STREAM, {"n": str(n)})
        assert len({signals.next(), signals.next()}) == 2
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []
