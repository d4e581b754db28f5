from __future__ import annotations

import pytest

from streams.transport.over_redis import RedisTransport
from streams.transport.port import LATER, Entry, Publication, Settlement
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import BLOCK_S, PATIENCE_S, SCRIPT, Server, Workers

STREAM = SCRIPT.streams[0]
NEXT = Publication("stream:scripts", {"type": "script.written"})


def _one(transport: RedisTransport) -> Entry:
    entries = transport.read(SCRIPT, 1, BLOCK_S)
    assert len(entries) == 1
    return entries[0]


def test_a_settlement_that_the_server_refuses_holds_up_no_other(workers: Workers, server: Server) -> None:
    me = workers.transport()
    for _ in range(3):
        server.xadd(STREAM, {"type": "video.admitted"})
    first, second, third = me.read(SCRIPT, 3, BLOCK_S)
    server.set("stream:taken", "not a stream")
    outcomes = me.settle(
        [
            Settlement(first, (NEXT,)),
            Settlement(second, (Publication("stream:taken", {"a": "b"}),)),
            Settlement(third, (NEXT,)),
        ]
    )
    assert outcomes == ["settled", "lost", "settled"]
    assert server.xlen("stream:scripts") == 2
    assert [item["message_id"].decode() for item in server.xpending_range(STREAM, "script", "-", "+", 9)] == [second.id]


def test_a_settlement_whose_reply_was_lost_publishes_once(
    workers: Workers, server: Server, proxy: CuttingProxy
) -> None:
    me = workers.transport(url=proxy.url)
    for _ in range(2):
        server.xadd(STREAM, {"type": "video.admitted"})
    first, second = me.read(SCRIPT, 2, BLOCK_S)
    assert me.settle([Settlement(first, (NEXT,))]) == ["settled"]
    proxy.swallow_reply_to(b"script.written")
    assert me.settle([Settlement(second, (NEXT,))]) == ["settled"]
    assert proxy.swallowed.wait(PATIENCE_S)
    assert server.xlen("stream:scripts") == 2


def test_a_publication_whose_reply_was_lost_is_not_repeated(
    workers: Workers, server: Server, proxy: CuttingProxy
) -> None:
    me = workers.transport(url=proxy.url)
    me.publish([Publication("stream:notices", {"n": "0"})])
    proxy.swallow_reply_to(b"stream:notices")
    (entry_id,) = me.publish([Publication("stream:notices", {"n": "1"})])
    assert proxy.swallowed.wait(PATIENCE_S)
    assert [(key, fields[b"n"]) for key, fields in server.xrange("stream:notices")][1:] == [(entry_id.encode(), b"1")]


def test_an_event_that_was_replayed_is_delayed_as_often_as_it_was_delivered(workers: Workers, server: Server) -> None:
    me = workers.transport()
    server.xadd(STREAM, {"a": "b"})
    for _ in range(2):
        me.settle([Settlement(_one(me), retry_delay_s=0.0)])
        server.xgroup_setid(STREAM, "script", "0")
    assert server.zcard(LATER) == 2
    assert me.move_due() is None
    assert server.xlen("lane:script") == 2


def test_what_somebody_else_wrote_among_the_delayed_is_kept_and_holds_up_nothing(
    workers: Workers, server: Server
) -> None:
    me = workers.transport()
    server.zadd(LATER, {"typed by hand": 1})
    server.xadd(STREAM, {"a": "b"})
    me.settle([Settlement(_one(me), retry_delay_s=0.0)])
    assert me.move_due() is None
    assert len(me.read(SCRIPT, 5, BLOCK_S)) == 1
    assert server.zrange(LATER, 0, -1) == [b"typed by hand"]


def test_an_event_without_fields_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="stream:notices has no fields"):
        Publication("stream:notices", {})
