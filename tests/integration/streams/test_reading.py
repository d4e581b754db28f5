from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from streams.transport.connection import UnsafeServerError
from streams.transport.port import BusClosedError, BusUnavailableError, Publication, Settlement
from streams.transport.reading import _Sweeps
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import (
    BLOCK_S,
    LEASE_S,
    PATIENCE_S,
    RENDER,
    SCRIPT,
    Later,
    Server,
    Workers,
)

STREAM = SCRIPT.streams[0]


def test_a_reader_waits_for_what_comes(workers: Workers, server: Server, later: Later) -> None:
    me = workers.transport(block_s=PATIENCE_S, lease_s=PATIENCE_S)
    me.ensure_groups(SCRIPT)
    later(0.2, lambda: server.xadd(STREAM, {"a": "b"}))
    started_s = time.monotonic()
    assert len(me.read(SCRIPT, 1, PATIENCE_S)) == 1
    assert time.monotonic() - started_s < PATIENCE_S / 2


def test_what_two_streams_bring_at_once_is_handed_back_beyond_the_room(workers: Workers, server: Server) -> None:
    me = workers.transport()
    me.ensure_groups(RENDER)
    for stream in RENDER.streams:
        server.xadd(stream, {"a": "b"})
    # What came between the look at what is there and the wait for more.
    sweeps = _Sweeps(RENDER)
    me._reading._sweeps[RENDER.group] = sweeps
    assert len(me._reading._wait(RENDER, 1, BLOCK_S, sweeps)) == 1
    (left,) = me.read(RENDER, 5, BLOCK_S)
    assert left.deliveries == 1


def test_a_dead_workers_entry_is_back_within_a_lease_and_a_sweep(workers: Workers, server: Server) -> None:
    dead, heir = workers.transport("dead"), workers.transport("heir")
    server.xadd(STREAM, {"a": "b"})
    (entry,) = dead.read(SCRIPT, 1, BLOCK_S)
    died_s = time.monotonic()
    while not (found := heir.read(SCRIPT, 1, BLOCK_S)):
        assert time.monotonic() - died_s < PATIENCE_S
    took_s = time.monotonic() - died_s
    assert (found[0].id, found[0].deliveries) == (entry.id, 2)
    assert LEASE_S * 0.9 < took_s < LEASE_S * 4 / 3 + 0.5


def test_an_orphan_behind_many_running_jobs_is_found(workers: Workers, server: Server) -> None:
    busy, dead, heir = workers.transport("busy"), workers.transport("dead"), workers.transport("heir")
    for n in range(301):
        server.xadd(STREAM, {"n": str(n)})
    running = busy.read(SCRIPT, 300, BLOCK_S)
    (orphan,) = dead.read(SCRIPT, 1, BLOCK_S)
    server.xclaim(STREAM, "script", dead.consumer, 0, [orphan.id], idle=10_000, justid=True)
    busy.renew(running)
    found = [entry.id for _ in range(4) for entry in heir.read(SCRIPT, 1, 0.001)]
    assert found[:1] == [orphan.id]


def test_a_server_that_is_away_is_waited_for_and_said_once(
    workers: Workers, server: Server, proxy: CuttingProxy, later: Later
) -> None:
    me = workers.transport(url=proxy.url)
    server.xadd(STREAM, {"a": "b"})
    (entry,) = me.read(SCRIPT, 1, BLOCK_S)
    with capture_logs() as logs:
        proxy.cut()
        assert me.read(SCRIPT, 1, BLOCK_S) == []
        assert me.read(SCRIPT, 1, BLOCK_S) == []
        with pytest.raises(BusUnavailableError, match=r"no answer from Redis within 0\.1 s"):
            me.publish([Publication(STREAM, {"a": "b"})], wait_s=0.1)
        later(0.3, proxy.mend)
        assert me.settle([Settlement(entry)]) == ["settled"]
        me.read(SCRIPT, 1, 0.01)
    assert [line["event"] for line in logs if line["event"].startswith("redis.")] == ["redis.away", "redis.back"]


def test_closing_ends_all_waiting(workers: Workers, proxy: CuttingProxy, later: Later) -> None:
    me = workers.transport(url=proxy.url)
    proxy.cut()
    later(0.2, me.close)
    with pytest.raises(BusClosedError):
        me.publish([Publication(STREAM, {"a": "b"})])
    assert me.read(SCRIPT, 1, BLOCK_S) == []


@pytest.mark.parametrize(
    ("setting", "bad", "good"), [("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendonly", "no", "yes")]
)
def test_a_server_that_may_lose_events_is_refused_by_the_name_of_its_setting(
    workers: Workers, server: Server, setting: str, bad: str, good: str
) -> None:
    me = workers.transport()
    me.refuse_unsafe_server()
    server.config_set(setting, bad)
    try:
        with pytest.raises(UnsafeServerError, match=f"{setting} is {bad}, expected {good}"):
            me.refuse_unsafe_server()
    finally:
        server.config_set(setting, good)


def test_the_queue_keys_are_replaced_as_a_whole(workers: Workers, server: Server) -> None:
    me = workers.transport()
    me.mirror("queue:priority", {"a": 1.0, "b": 2.5}, "queue:processing", {"c"})
    assert server.zrange("queue:priority", 0, -1, withscores=True) == [(b"a", 1.0), (b"b", 2.5)]
    assert server.smembers("queue:processing") == {b"c"}
    me.mirror("queue:priority", {}, "queue:processing", set())
    assert server.exists("queue:priority", "queue:processing") == 0
