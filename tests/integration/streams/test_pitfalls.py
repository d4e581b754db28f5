"""What went wrong in other buses on Redis and no other test here stands for: each has its trap's name."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest
import redis
from structlog.testing import capture_logs

from streams.broker import Delivered
from streams.transport.connection import Connection, passes, pauses_s
from streams.transport.dead_letters import letter_fields
from streams.transport.over_redis import RedisTransport
from streams.transport.port import DEAD, BusClosedError, Entry, Publication, Settlement
from streams.transport.reading import _Sweeps
from streams.transport.trimming import Trimming
from tests.conftest import SURGEON
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import (
    BLOCK_S,
    LEASE_S,
    PATIENCE_S,
    SCRIPT,
    Later,
    Server,
    Signals,
    Workers,
)

STREAM = SCRIPT.streams[0]


def _done(transport: RedisTransport, count: int) -> None:
    """So many entries were published and settled."""
    transport.publish([Publication(STREAM, {"n": str(n)}) for n in range(count)])
    entries: list[Entry] = transport.read(SCRIPT, count, BLOCK_S)
    assert transport.settle([Settlement(entry) for entry in entries]) == ["settled"] * count


# Delivery


def test_a_job_that_holds_up_the_loop_keeps_its_lease(workers: Workers, server: Server, signals: Signals) -> None:
    end = threading.Event()

    async def busy(delivered: Delivered) -> None:
        signals(delivered.entry.id)
        end.wait(PATIENCE_S)  # no await: nothing else runs on this loop

    other = workers.transport("other")
    workers.work(busy)
    server.xadd(STREAM, {"n": "1"})
    signals.next()
    end_s = time.monotonic() + 3 * LEASE_S
    while time.monotonic() < end_s:
        assert other.read(SCRIPT, 1, BLOCK_S) == []
    end.set()


def test_who_is_cut_off_from_the_record_keeps_no_work_from_those_who_are_not(
    workers: Workers, server: Server, signals: Signals
) -> None:
    cut_off, end = threading.Event(), threading.Event()

    def works(name: str, *, waits: bool) -> Callable[[Delivered], None]:
        def work(delivered: Delivered) -> None:
            signals((name, delivered.entry.id))
            if waits:
                end.wait(PATIENCE_S)  # as a claim does that finds no record

        return work

    lonely = workers.broker(works("cut off", waits=True), budget=2, in_touch=lambda: not cut_off.is_set())
    workers.start(lonely, threads=2)
    first = server.xadd(STREAM, {"n": "1"}).decode()
    assert signals.next() == ("cut off", first)
    cut_off.set()
    workers.work(works("another", waits=False))
    assert signals.next() == ("another", first)
    second = server.xadd(STREAM, {"n": "2"}).decode()
    assert signals.next() == ("another", second)
    end.set()


def test_a_lease_that_was_lost_is_not_stolen_back_and_told_once(
    workers: Workers, server: Server, signals: Signals
) -> None:
    end = threading.Event()

    def waits(delivered: Delivered) -> None:
        signals(delivered.entry.id)
        end.wait(PATIENCE_S)

    with capture_logs() as logs:
        workers.work(waits)
        server.xadd(STREAM, {"n": "1"})
        server.xclaim(STREAM, "script", "another", 0, [signals.next()])
        time.sleep(2 * LEASE_S)  # eight renewals
    assert [line["event"] for line in logs] == ["lease.lost"]
    assert [item["name"] for item in server.xpending(STREAM, "script")["consumers"]] == [b"another"]
    end.set()


def test_workers_that_start_together_do_not_sweep_together() -> None:
    sweeps = [_Sweeps(SCRIPT) for _ in range(20)]
    now_s = time.monotonic()
    for each in sweeps:
        each.swept(["-", "-"], 4.0, [], 4.0)
    due_s = sorted(each.next_s - now_s for each in sweeps)
    assert due_s[-1] - due_s[0] > 0.01
    assert 3.8 < due_s[0] < due_s[-1] < 4.2


def test_an_orphan_behind_more_running_jobs_than_one_look_sees_is_found(workers: Workers, server: Server) -> None:
    busy, dead, heir = workers.transport("busy", lease_s=60.0), workers.transport("dead"), workers.transport("heir")
    busy.publish([Publication(STREAM, {"n": str(n)}) for n in range(2101)])
    assert len(busy.read(SCRIPT, 2100, BLOCK_S)) == 2100
    (orphan,) = dead.read(SCRIPT, 1, BLOCK_S)
    server.xclaim(STREAM, "script", dead.consumer, 0, [orphan.id], idle=10_000, justid=True)
    found = [entry.id for _ in range(4) for entry in heir.read(SCRIPT, 1, 0.001)]
    assert found[:1] == [orphan.id]


def test_an_entry_whose_delivery_was_lost_on_its_way_comes_back(
    workers: Workers, server: Server, proxy: CuttingProxy
) -> None:
    me = workers.transport(url=proxy.url)
    assert me.read(SCRIPT, 1, 0.01) == []
    server.xadd(STREAM, {"n": "1"})
    proxy.swallow_reply_to(b"XREADGROUP")
    assert me.read(SCRIPT, 1, BLOCK_S) == []
    assert proxy.swallowed.wait(PATIENCE_S)
    assert server.xpending(STREAM, "script")["pending"] == 1
    end_s = time.monotonic() + PATIENCE_S
    while not (found := me.read(SCRIPT, 1, BLOCK_S)):
        assert time.monotonic() < end_s
    assert [(entry.fields, entry.deliveries) for entry in found] == [({b"n": b"1"}, 2)]


def test_an_event_whose_acknowledgement_the_server_refuses_is_delivered_again(
    workers: Workers, server: Server, signals: Signals
) -> None:
    def writes(delivered: Delivered) -> tuple[Publication, ...]:
        signals(delivered.entry.deliveries)
        return (Publication("stream:scripts", {"type": "script.written"}),)

    server.set("stream:scripts", "not a stream")
    workers.work(writes)
    server.xadd(STREAM, {"n": "1"})
    assert (signals.next(), signals.next()) == (1, 2)
    server.delete("stream:scripts")
    while server.exists("stream:scripts") == 0:
        time.sleep(0.01)


# Connection


@pytest.mark.parametrize("block_s", [0.3, 2.0, 6.0, 60.0])
def test_the_client_waits_for_a_blocking_read_twice_as_long_as_it_takes_and_repeats_nothing(block_s: float) -> None:
    connection = Connection("redis://127.0.0.1:1/0", block_s=block_s)
    for client in (connection.blocking, connection.commands):
        assert client.connection_pool.connection_kwargs["retry"]._retries == 0
    assert connection.blocking.connection_pool.connection_kwargs["socket_timeout"] >= 2 * block_s
    connection.close()


def test_a_read_is_cut_to_the_longest_block_so_that_a_process_can_end(workers: Workers, server: Server) -> None:
    del server
    me = workers.transport(lease_s=60.0)
    began_s = time.monotonic()
    with capture_logs() as logs:
        assert me.read(SCRIPT, 1, PATIENCE_S) == []
        assert me.observe({STREAM: "0-0"}, PATIENCE_S) == []
    assert time.monotonic() - began_s < PATIENCE_S / 2
    assert logs == []  # it was the server that answered, not the client that gave up


def test_commands_and_other_readers_do_not_wait_behind_a_blocking_read(
    workers: Workers, server: Server, signals: Signals
) -> None:
    me = workers.transport(block_s=PATIENCE_S, lease_s=60.0)
    me.ensure_groups(SCRIPT)
    waiting = threading.Thread(target=lambda: signals(me.read(SCRIPT, 1, PATIENCE_S)))
    waiting.start()
    while not any(client["cmd"] == "xreadgroup" for client in server.client_list()):
        time.sleep(0.01)
    server.xadd("stream:notices", {"n": "1"})
    began_s = time.monotonic()
    assert len(me.observe({"stream:notices": "0-0"}, PATIENCE_S)) == 1
    me.publish([Publication(STREAM, {"n": "1"})])
    assert len(signals.next()) == 1
    assert time.monotonic() - began_s < PATIENCE_S / 2
    waiting.join()


def test_a_server_that_is_away_is_not_asked_in_a_hot_loop(later: Later) -> None:
    connection, tries = Connection("redis://127.0.0.1:1/0", block_s=BLOCK_S), itertools.count()

    def refused() -> None:
        next(tries)
        raise redis.ConnectionError("refused")

    end_s = time.monotonic() + 0.5
    while time.monotonic() < end_s:
        connection.attempt(refused, None)
    later(0.5, connection.close)
    with pytest.raises(BusClosedError):
        connection.call(refused)
    assert 4 <= next(tries) <= 20


def test_processes_that_lost_the_server_together_do_not_return_together() -> None:
    ones, others = ([*itertools.islice(pauses_s(), 12)] for _ in range(2))
    assert all(one != other for one, other in zip(ones, others, strict=True))
    assert (sum(ones[:2]) < 0.2, 1.0 <= min(ones[6:]) <= max(ones) <= 2.0) == (True, True)


def test_a_failover_is_waited_out(workers: Workers, server: Server, later: Later, valkey_url: str) -> None:
    surgeon = redis.Redis.from_url(valkey_url.replace("//", f"//{SURGEON}:-@"))
    me = workers.transport(lease_s=60.0)
    server.xadd(STREAM, {"n": "1"})
    (entry,) = me.read(SCRIPT, 1, BLOCK_S)
    with capture_logs() as logs:
        surgeon.replicaof("127.0.0.1", "1")  # now it is a replica, and has lost its primary
        try:
            assert me.read(SCRIPT, 1, 0.01) == []
            later(0.3, lambda: surgeon.replicaof("NO", "ONE"))
            assert me.settle([Settlement(entry, (Publication("stream:scripts", {"n": "1"}),))]) == ["settled"]
        finally:
            surgeon.replicaof("NO", "ONE")
    assert [line["event"] for line in logs] == ["redis.away", "redis.back"]
    surgeon.close()
    assert (server.xpending(STREAM, "script")["pending"], server.xlen("stream:scripts")) == (0, 1)


def test_a_server_that_lost_its_scripts_gets_them_again(workers: Workers, server: Server) -> None:
    me = workers.transport()
    _done(me, 1)
    server.script_flush()  # as after a failover
    _done(me, 1)


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("reset"),
        redis.TimeoutError("late"),
        redis.BusyLoadingError("LOADING"),
        redis.ReadOnlyError("READONLY You can't write against a read only replica."),
        redis.exceptions.MasterDownError("MASTERDOWN"),
        redis.OutOfMemoryError("OOM command not allowed"),
        redis.ResponseError("MISCONF Errors writing to the AOF file"),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    ],
)
def test_a_server_that_will_do_it_later_is_waited_for(error: Exception) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error", [redis.AuthenticationError("WRONGPASS"), redis.ResponseError("WRONGTYPE Operation against a key")]
)
def test_what_waiting_cannot_cure_is_not_waited_for(error: Exception) -> None:
    assert not passes(error)


def test_more_entries_than_lua_can_unpack_are_settled_in_one_call(workers: Workers, server: Server) -> None:
    me = workers.transport(lease_s=60.0)
    _done(me, 8500)
    assert server.xpending(STREAM, "script")["pending"] == 0


def test_a_retry_with_more_fields_than_lua_can_unpack_holds_up_no_other_and_repeats_nothing(
    workers: Workers, server: Server
) -> None:
    me = workers.transport(lease_s=60.0)
    me.publish([Publication(STREAM, {"n": "1"})])
    me.publish([Publication(STREAM, {f"f{n}": "" for n in range(5000)})])
    me.publish([Publication(STREAM, {"n": "2"})])
    first, large, last = me.read(SCRIPT, 3, BLOCK_S)
    made = (Publication("stream:scripts", {"type": "script.written"}),)
    outcomes = me.settle([Settlement(first, made), Settlement(large, retry_delay_s=0.0), Settlement(last, made)])
    assert outcomes == ["settled", "lost", "settled"]
    assert server.xlen("stream:scripts") == 2
    assert [item["message_id"].decode() for item in server.xpending_range(STREAM, "script", "-", "+", 9)] == [large.id]


def test_a_dead_letter_with_more_fields_than_lua_can_unpack_is_put_back_once(workers: Workers, server: Server) -> None:
    me = workers.transport(lease_s=60.0)
    server.xadd(STREAM, {f"f{n}": "" for n in range(5000)})
    (entry,) = me.read(SCRIPT, 1, BLOCK_S)
    assert me.settle([Settlement(entry, (Publication(DEAD, letter_fields(entry, "broken", "mend it")),))]) == [
        "settled"
    ]
    (letter,) = me.dead_letters()
    assert (me.requeue(letter, SCRIPT.lane), me.requeue(letter, SCRIPT.lane)) == ("requeued", "again")
    (again,) = me.read(SCRIPT, 5, BLOCK_S)
    assert (again.fields, again.origin_id) == (entry.fields, entry.id)
    server.delete(DEAD)
    assert me.requeue(letter, SCRIPT.lane) == "missing"


def test_a_read_that_blocks_longer_than_the_client_waits_for_an_answer_raises_nothing(
    workers: Workers, server: Server, later: Later
) -> None:
    me = workers.transport(block_s=1.5, lease_s=60.0)  # redis-py would give up on its own after its timeout
    server.xadd(STREAM, {"n": "0"})
    assert len(me.read(SCRIPT, 1, BLOCK_S)) == 1
    began_s = time.monotonic()
    assert me.read(SCRIPT, 1, 1.5) == []
    assert 1.2 < time.monotonic() - began_s < PATIENCE_S
    later(0.2, lambda: server.xadd(STREAM, {"n": "1"}))
    assert len(me.read(SCRIPT, 1, 1.5)) == 1


# Memory


def test_trimming_what_somebody_deleted_from_leaves_no_node_without_entries(workers: Workers, server: Server) -> None:
    me = workers.transport()
    _done(me, 450)
    deleted = [entry_id for entry_id, _ in server.xrange(STREAM)][420:]
    server.xdel(STREAM, *deleted)  # by hand: the bus itself deletes nothing out of the middle
    assert me.trim((SCRIPT,), (), retention_s=-1.0) == 400
    left = server.xinfo_stream(STREAM)
    assert (left["length"], left["radix-tree-keys"]) == (20, 1)


def test_trimming_goes_on_until_all_that_may_go_is_gone(
    workers: Workers, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{Trimming.__module__}._BATCH", 200)
    me = workers.transport()
    for _ in range(5):
        _done(me, 200)
    assert (me.trim((SCRIPT,), (), retention_s=-1.0) or 0) >= 800
    assert server.xlen(STREAM) <= 200


def test_the_lag_that_a_server_does_not_know_is_none(workers: Workers, server: Server) -> None:
    me = workers.transport()
    _done(me, 5)
    server.xadd(STREAM, {"n": "5"})
    server.xdel(STREAM, *(entry_id for entry_id, _ in server.xrange(STREAM)[2:3]))
    server.xgroup_setid(STREAM, "script", server.xrange(STREAM)[1][0])
    assert server.xinfo_groups(STREAM)[0]["lag"] is None
    assert [figures.undelivered for figures in me.figures(SCRIPT) if figures.stream == STREAM] == [None]


def test_every_key_that_the_bus_makes_for_itself_ends(workers: Workers, server: Server) -> None:
    me = workers.transport()
    _done(me, 1)
    server.xadd(STREAM, {"n": "dead"})
    (entry,) = me.read(SCRIPT, 1, BLOCK_S)
    letter = {"from_stream": STREAM, "from_id": entry.id, "group": "script", "n": "dead"}
    assert me.settle([Settlement(entry, (Publication(DEAD, letter),))]) == ["settled"]
    assert me.requeue(me.dead_letters()[0], SCRIPT.lane) == "requeued"
    me.trim((SCRIPT,), (), retention_s=60.0, every_s=60.0)
    streams = {STREAM.encode(), SCRIPT.lane.encode(), DEAD.encode()}  # these are trimmed
    others = [key for key in server.keys("*") if key not in streams]
    assert len(others) == 3
    assert all(server.pttl(key) > 0 for key in others)
