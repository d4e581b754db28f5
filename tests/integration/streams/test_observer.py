from __future__ import annotations

import threading
import time

from streams import names, receipts
from streams.observer import Observer
from streams.publish import publish
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import BLOCK_S, PATIENCE_S, Later, Server, Workers

ONCE = "one-call"
STREAMS = ("stream:control", "stream:notices")


def _until(observer: Observer, count: int) -> list[tuple[str, bytes]]:
    """Reads until so many entries came."""
    found: list[tuple[str, bytes]] = []
    end_s = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end_s:
        found += [(entry.stream, entry.fields[b"n"]) for entry in observer.read()]
    return found


def test_entries_come_in_the_order_of_their_stream_and_once(workers: Workers, server: Server) -> None:
    for n in range(1200):
        server.xadd(STREAMS[n % 2], {"n": str(n)})
    observer = Observer(workers.transport(), STREAMS, {}, BLOCK_S)
    found = _until(observer, 1200)
    for place, stream in enumerate(STREAMS):
        assert [int(n) for of, n in found if of == stream] == list(range(place, 1200, 2))
    assert observer.read() == []
    again = Observer(workers.transport(), STREAMS, observer.cursors, BLOCK_S)
    server.xadd(STREAMS[0], {"n": "last"})
    assert _until(again, 1) == [(STREAMS[0], b"last")]


def test_an_observer_without_cursors_begins_now(workers: Workers, server: Server) -> None:
    server.xadd(STREAMS[0], {"n": "old"})
    observer = Observer(workers.transport(), STREAMS, None, BLOCK_S)
    for stream in STREAMS:
        server.xadd(stream, {"n": "new"})
    assert sorted(_until(observer, 2)) == [(STREAMS[0], b"new"), (STREAMS[1], b"new")]


def test_an_observer_that_was_made_while_redis_was_away_begins_when_it_is_back(
    workers: Workers, server: Server, proxy: CuttingProxy
) -> None:
    server.xadd(STREAMS[0], {"n": "old"})
    proxy.cut()
    observer = Observer(workers.transport(url=proxy.url), STREAMS, None, 0.05)
    assert (observer.read(), observer.cursors) == ([], {})
    proxy.mend()
    while not observer.cursors:
        observer.read()
    server.xadd(STREAMS[0], {"n": "new"})
    assert _until(observer, 1) == [(STREAMS[0], b"new")]


def test_a_wipe_under_a_waiting_observer_loses_nothing_that_comes_after(
    workers: Workers, server: Server, later: Later
) -> None:
    server.xadd(STREAMS[0], {"n": "1"})
    observer = Observer(workers.transport(), STREAMS, {}, BLOCK_S)
    assert _until(observer, 1) == [(STREAMS[0], b"1")]

    def wipe() -> None:
        server.flushall()
        server.xadd(STREAMS[0], {"n": "2"})

    later(BLOCK_S / 2, wipe)
    assert _until(observer, 1) == [(STREAMS[0], b"2")]


def test_a_cursor_beyond_its_stream_begins_at_the_first_entry(workers: Workers, server: Server) -> None:
    server.xadd(STREAMS[0], {"n": "1"})
    ahead = {STREAMS[0]: "99999999999999-0", STREAMS[1]: "99999999999999-0"}
    assert _until(Observer(workers.transport(), STREAMS, ahead, BLOCK_S), 1) == [(STREAMS[0], b"1")]


def test_a_server_whose_clock_fell_behind_is_noticed_while_reading(workers: Workers, server: Server) -> None:
    server.xadd(STREAMS[0], {"n": "1"}, id="99999999999999-0")
    observer = Observer(workers.transport(), STREAMS, {}, 0.05, check_s=0.1)
    assert _until(observer, 1) == [(STREAMS[0], b"1")]
    server.flushall()
    server.xadd(STREAMS[0], {"n": "2"})
    assert _until(observer, 1) == [(STREAMS[0], b"2")]


def test_an_observer_waits_for_a_server_that_is_away_and_ends_when_told(
    workers: Workers, server: Server, proxy: CuttingProxy
) -> None:
    observer = Observer(workers.transport(url=proxy.url), STREAMS, {}, BLOCK_S)
    proxy.cut()
    assert observer.read() == []
    proxy.mend()
    server.xadd(STREAMS[0], {"n": "1"})
    assert _until(observer, 1) == [(STREAMS[0], b"1")]
    ended = threading.Event()

    def follow() -> None:
        while not observer.stopped:
            observer.read()
        ended.set()

    threading.Thread(target=follow).start()
    observer.stop()
    assert ended.wait(PATIENCE_S)
    server.xadd(STREAMS[0], {"n": "2"})
    assert observer.read() == []


def test_publishing_answers_the_id_and_the_same_token_publishes_once(workers: Workers, server: Server) -> None:
    me = workers.transport()
    first = publish(me, names.INTAKE, {"topic": "Octopuses"}, token=ONCE)
    assert publish(me, names.INTAKE, {"topic": "Octopuses"}, token=ONCE) == first
    assert [key.decode() for key, _ in server.xrange(names.INTAKE)] == [first]
    assert publish(me, names.INTAKE, {"topic": "Octopuses"}) != first


def test_a_full_server_takes_facts_and_makes_intake_wait(workers: Workers, server: Server, later: Later) -> None:
    me = workers.transport()
    server.config_set("maxmemory", "1mb")
    try:
        publish(me, names.NOTICES, {"n": "1"}, wait_s=1.0)
        later(0.3, lambda: server.config_set("maxmemory", "0"))
        started_s = time.monotonic()
        publish(me, names.INTAKE, {"topic": "Octopuses"}, wait_s=PATIENCE_S)
        assert time.monotonic() - started_s >= 0.2
    finally:
        server.config_set("maxmemory", "0")


def test_a_receipt_is_waited_for_and_forgotten_after_its_time(workers: Workers, server: Server, later: Later) -> None:
    me, key = workers.transport(), names.receipt_key("1-0")
    assert receipts.wait(me, key, 0.05) is None
    later(0.1, lambda: receipts.write(me, key, {"status": "accepted", "video": "v-1"}))
    assert receipts.wait(me, key, PATIENCE_S) == {"status": "accepted", "video": "v-1"}
    assert 0 < server.ttl(key) <= receipts.TTL_S
    receipts.write(me, key, {"status": "rejected"})
    assert receipts.read(me, key) == {"status": "rejected"}
