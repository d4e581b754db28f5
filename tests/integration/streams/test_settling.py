from __future__ import annotations

import time

import pytest

from streams.transport.over_redis import RedisTransport
from streams.transport.port import LATER, Entry, Publication, Settlement
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import BLOCK_S, LEASE_S, PATIENCE_S, SCRIPT, Server, Workers

STREAM = SCRIPT.streams[0]
NEXT = Publication("stream:scripts", {"type": "script.written"})


def _one(transport: RedisTransport) -> Entry:
    entries = transport.read(SCRIPT, 1, BLOCK_S)
    assert len(entries) == 1
    return entries[0]


def test_settling_publishes_and_acknowledges(workers: Workers, server: Server) -> None:
    me = workers.transport()
    server.xadd(STREAM, {"type": "video.admitted"})
    entry = _one(me)
    assert me.settle([Settlement(entry, (NEXT, NEXT))]) == ["settled"]
    assert server.xlen("stream:scripts") == 2
    assert server.xpending(STREAM, "script")["pending"] == 0


def test_an_entry_that_another_worker_took_over_publishes_nothing(workers: Workers, server: Server) -> None:
    slow, quick = workers.transport("slow"), workers.transport("quick")
    server.xadd(STREAM, {"type": "video.admitted"})
    entry = _one(slow)
    server.xclaim(STREAM, "script", quick.consumer, 0, [entry.id])
    assert slow.settle([Settlement(entry, (NEXT,))]) == ["lost"]
    assert server.xlen("stream:scripts") == 0
    assert server.xpending(STREAM, "script")["pending"] == 1
    assert quick.settle([Settlement(entry, (NEXT,))]) == ["settled"]
    assert server.xlen("stream:scripts") == 1


def test_settling_twice_publishes_once(workers: Workers, server: Server) -> None:
    me = workers.transport()
    server.xadd(STREAM, {"type": "video.admitted"})
    settlement = Settlement(_one(me), (NEXT,))
    assert me.settle([settlement]) == ["settled"]
    assert me.settle([settlement]) == ["gone"]
    assert server.xlen("stream:scripts") == 1


def test_a_wiped_entry_is_gone_and_publishes_nothing(workers: Workers, server: Server) -> None:
    me = workers.transport()
    server.xadd(STREAM, {"type": "video.admitted"})
    entry = _one(me)
    server.flushall()
    assert me.settle([Settlement(entry, (NEXT,))]) == ["gone"]
    assert server.exists("stream:scripts") == 0


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


def test_the_same_token_publishes_once_and_answers_the_same_ids(workers: Workers, server: Server) -> None:
    me, other = workers.transport(), workers.transport()
    events = [Publication("stream:notices", {"n": "1"}), Publication("stream:renders", {"n": "2"})]
    assert me.publish(events, "redis.wiped") == other.publish(events, "redis.wiped")
    assert (server.xlen("stream:notices"), server.xlen("stream:renders")) == (1, 1)
    me.publish(events)
    assert server.xlen("stream:notices") == 2


def test_a_retry_waits_for_its_time_and_is_seen_by_its_own_group_only(workers: Workers, server: Server) -> None:
    me = workers.transport()
    odd = {b"topic": b"octopuses \xff\x00\r\n", b"": b"", b"\xfe": b"x"}
    server.xadd(STREAM, odd)
    entry = _one(me)
    assert me.settle([Settlement(entry, retry_delay_s=0.3)]) == ["settled"]
    due_s = me.move_due()
    assert due_s is not None
    assert 0 < due_s <= 0.3
    assert server.zcard(LATER) == 1
    assert me.read(SCRIPT, 1, 0.001) == []
    while (wait_s := me.move_due()) is not None:
        time.sleep(wait_s)
    again = _one(me)
    assert server.xlen(STREAM) == 1
    assert again.fields == odd
    assert (again.stream, again.origin_stream, again.origin_id) == ("lane:script", STREAM, entry.id)
    assert (again.retries, again.failures, again.deliveries) == (1, 1, 1)
    assert me.settle([Settlement(again, retry_delay_s=0.0, failed=False)]) == ["settled"]
    assert me.move_due() is None
    third = _one(me)
    assert (third.retries, third.failures, third.origin_id, third.fields) == (2, 1, entry.id, odd)


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


def test_a_renewed_entry_is_not_taken_by_others_and_a_lost_one_is_not_stolen_back(
    workers: Workers, server: Server
) -> None:
    me, other = workers.transport("me"), workers.transport("other")
    server.xadd(STREAM, {"a": "b"})
    entry = _one(me)
    end_s = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < end_s:
        assert me.renew([entry]) == []
        assert other.read(SCRIPT, 1, LEASE_S / 4) == []
    server.xclaim(STREAM, "script", other.consumer, 0, [entry.id])
    assert me.renew([entry]) == [entry]
    assert server.xpending_range(STREAM, "script", "-", "+", 1)[0]["consumer"].decode() == other.consumer
    server.flushall()
    assert me.renew([entry]) == [entry]
