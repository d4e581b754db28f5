"""What went wrong in other buses on Redis and no other test here stands for: each has its trap's name."""

from __future__ import annotations

import time

import pytest
import redis

from streams.transport.connection import passes
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Entry, Publication, Settlement
from streams.transport.trimming import Trimming
from tests.integration.streams.workers import BLOCK_S, PATIENCE_S, SCRIPT, Later, Server, Workers

STREAM = SCRIPT.streams[0]


def _done(transport: RedisTransport, count: int) -> None:
    """So many entries were published and settled."""
    transport.publish([Publication(STREAM, {"n": str(n)}) for n in range(count)])
    entries: list[Entry] = transport.read(SCRIPT, count, BLOCK_S)
    assert transport.settle([Settlement(entry) for entry in entries]) == ["settled"] * count


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


def test_trimming_leaves_no_node_without_entries(workers: Workers, server: Server) -> None:
    me = workers.transport()
    _done(me, 450)
    assert me.trim((SCRIPT,), (), retention_s=-1.0)
    left = server.xinfo_stream(STREAM)
    assert (left["length"] > 0, left["radix-tree-keys"]) == (True, 1)


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
    me.trim((SCRIPT,), (), retention_s=60.0, every_s=60.0)
    streams = {STREAM.encode(), SCRIPT.lane.encode()}
    others = [key for key in server.keys("*") if key not in streams]
    assert others
    assert all(server.pttl(key) > 0 for key in others)
