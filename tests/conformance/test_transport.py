"""What every transport promises, over each bus there is; names of tests say which pitfall they stand for.

It is long because it is the one list of what a transport promises.
"""

from __future__ import annotations

import threading
from itertools import chain

import pytest

from streams.transport.dead_letters import letter_fields
from streams.transport.port import DEAD, BusClosedError, Entry, Publication, Settlement, Subscription, Transport
from tests.conformance.buses import BLOCK_S, LEASE_S, Bus

SCRIPT = Subscription(group="script", streams=("stream:admitted",), lane="lane:script")
AUDIT = Subscription(group="audit", streams=("stream:admitted",), lane="lane:audit")
RENDER = Subscription(group="render", streams=("stream:media", "stream:audio"), lane="lane:render")
STREAM = SCRIPT.streams[0]
NEXT = Publication("stream:scripts", {"type": "script.written"})
ODD = {b"topic": b"octopuses \xff\x00\r\n", b"": b"", b"\xfe": b"x"}
#: Longer than a lease by enough that a busy machine agrees.
OVER_S = 1.5 * LEASE_S


def _add(transport: Transport, *values: str, stream: str = STREAM) -> list[str]:
    return transport.publish([Publication(stream, {"n": value}) for value in values])


def _read(transport: Transport, subscription: Subscription = SCRIPT, room: int = 1) -> list[Entry]:
    return transport.read(subscription, room, BLOCK_S)


def _one(transport: Transport, subscription: Subscription = SCRIPT) -> Entry:
    (entry,) = _read(transport, subscription)
    return entry


def _all(transport: Transport, stream: str) -> list[Entry]:
    return transport.observe({stream: "0-0"}, 0.01)


def _pending(transport: Transport, subscription: Subscription = SCRIPT) -> int:
    return sum(figures.pending for figures in transport.figures(subscription))


def _letter(transport: Transport, entry: Entry) -> None:
    """The entry becomes a dead letter, as the broker makes one."""
    fields = letter_fields(entry, "it is broken", "mend it")
    assert transport.settle([Settlement(entry, (Publication(DEAD, fields),))]) == ["settled"]


# Delivery


def test_a_group_sees_what_was_published_before_it_was_made(bus: Bus) -> None:
    me = bus.transport()
    (entry_id,) = me.publish([Publication(STREAM, ODD)])
    entry = _one(me)
    assert (entry.id, entry.fields) == (entry_id, ODD)
    assert (entry.origin_stream, entry.origin_id, entry.retries, entry.deliveries) == (STREAM, entry_id, 0, 1)


def test_each_group_gets_every_entry_once_and_a_retry_is_seen_by_its_own_group_only(bus: Bus) -> None:
    me = bus.transport(lease_s=60.0)
    _add(me, "1")
    entry, _ = _one(me), _one(me, AUDIT)
    assert me.settle([Settlement(entry, retry_delay_s=0.0)]) == ["settled"]
    me.move_due()
    assert _one(me).stream == "lane:script"
    assert _read(me, AUDIT) == []
    assert len(_all(me, STREAM)) == 1


@pytest.mark.parametrize("room", [1, 2])
def test_a_reader_of_two_streams_never_has_more_than_it_asked_for_and_misses_nothing(bus: Bus, room: int) -> None:
    me = bus.transport(lease_s=60.0)
    for stream in RENDER.streams:
        _add(me, "1", "2", "3", stream=stream)
    reads = [_read(me, RENDER, room) for _ in range(6 // room)]
    assert [len(entries) for entries in reads] == [room] * (6 // room)
    assert len({(entry.stream, entry.id) for entry in chain(*reads)}) == 6
    assert {entry.deliveries for entry in chain(*reads)} == {1}


def test_a_dead_workers_entry_is_back_after_a_lease_on_a_quiet_stream(bus: Bus) -> None:
    dead, heir = bus.transport("dead"), bus.transport("heir")
    _add(heir, "1")
    entry = _one(dead)
    assert heir.read(SCRIPT, 1, 0.01) == []
    bus.elapse(OVER_S)
    again = _one(heir)
    assert (again.id, again.deliveries) == (entry.id, 2)


def test_my_own_entry_that_i_do_not_hold_comes_back_to_me(bus: Bus) -> None:
    me = bus.transport()
    _add(me, "1")
    forgotten = _one(me)  # as when the reply of a read is lost
    bus.elapse(OVER_S)
    assert _one(me).id == forgotten.id


def test_a_renewed_entry_is_not_taken_by_others_and_a_lost_one_is_not_stolen_back(bus: Bus) -> None:
    me, other = bus.transport("me"), bus.transport("other")
    _add(me, "1")
    entry = _one(me)
    for _ in range(4):
        bus.elapse(LEASE_S / 3)
        assert me.renew([entry]) == []
        assert other.read(SCRIPT, 1, 0.01) == []
    me.return_to(entry, other.consumer)
    assert me.renew([entry]) == [entry]
    assert other.renew([entry]) == []
    bus.wipe()
    assert other.renew([entry]) == [entry]


def test_renewing_counts_no_delivery(bus: Bus) -> None:
    me, heir = bus.transport("me"), bus.transport("heir")
    _add(me, "1")
    entry = _one(me)
    for _ in range(5):
        me.renew([entry])
    bus.elapse(OVER_S)
    assert _one(heir).deliveries == 2


def test_an_orphan_behind_many_running_jobs_is_found(bus: Bus) -> None:
    busy, dead, heir = bus.transport("busy"), bus.transport("dead"), bus.transport("heir")
    _add(busy, *(str(n) for n in range(301)))
    running = _read(busy, room=300)
    orphan = _one(dead)
    bus.elapse(OVER_S)
    busy.renew(running)
    assert _one(heir).id == orphan.id


def test_an_entry_that_was_trimmed_while_it_was_pending_is_forgotten(bus: Bus) -> None:
    dead, heir = bus.transport("dead"), bus.transport("heir")
    _add(dead, *(str(n) for n in range(250)))
    assert len(_read(dead, room=250)) == 250
    bus.elapse(OVER_S)
    dead.trim((), (STREAM,), retention_s=0.0)  # as no code declares the group
    kept = {entry.id for entry in _all(heir, STREAM)}
    assert {entry.id for entry in _read(heir, room=250)} == kept


def test_handing_back_costs_no_delivery_and_another_worker_takes_it_at_once(bus: Bus) -> None:
    me, other = bus.transport("me"), bus.transport("other")
    _add(me, "1")
    entry = _one(me)
    me.hand_back([entry])
    taken = _one(other)
    assert (taken.id, taken.deliveries) == (entry.id, 1)
    me.hand_back([entry])  # it is not ours any more
    assert other.renew([taken]) == []


def test_an_entry_returned_to_its_worker_is_not_taken_again_before_a_lease_is_over(bus: Bus) -> None:
    worker, curious = bus.transport("worker"), bus.transport("curious")
    _add(worker, "1")
    entry = _one(worker)
    bus.elapse(OVER_S)
    seen = _one(curious)
    curious.return_to(seen, worker.consumer, LEASE_S / 2)
    assert worker.renew([entry]) == []
    worker.return_to(entry, worker.consumer, LEASE_S / 2)
    assert curious.read(SCRIPT, 1, 0.01) == []
    bus.elapse(LEASE_S)
    assert _one(curious).deliveries == 1


# Ends


def test_settling_publishes_and_acknowledges(bus: Bus) -> None:
    me = bus.transport()
    _add(me, "1")
    assert me.settle([Settlement(_one(me), (NEXT, NEXT))]) == ["settled"]
    assert [entry.fields for entry in _all(me, "stream:scripts")] == [{b"type": b"script.written"}] * 2
    assert _pending(me) == 0


def test_an_entry_that_another_worker_took_over_publishes_nothing(bus: Bus) -> None:
    slow, quick = bus.transport("slow"), bus.transport("quick")
    _add(slow, "1")
    entry = _one(slow)
    slow.return_to(entry, quick.consumer)
    assert slow.settle([Settlement(entry, (NEXT,))]) == ["lost"]
    assert _all(slow, "stream:scripts") == []
    assert _pending(slow) == 1
    assert quick.settle([Settlement(entry, (NEXT,))]) == ["settled"]


def test_settling_twice_publishes_once(bus: Bus) -> None:
    me = bus.transport()
    _add(me, "1")
    settlement = Settlement(_one(me), (NEXT,))
    assert me.settle([settlement, settlement]) == ["settled", "gone"]
    assert me.settle([settlement]) == ["gone"]
    assert len(_all(me, "stream:scripts")) == 1


def test_more_settlements_than_one_call_takes_are_all_answered_in_their_order(bus: Bus) -> None:
    me, other = bus.transport("me"), bus.transport("other")
    _add(me, *(str(n) for n in range(250)))
    entries = _read(me, room=250)
    me.return_to(entries[120], other.consumer)
    outcomes = me.settle([Settlement(entry) for entry in entries])
    assert [place for place, outcome in enumerate(outcomes) if outcome != "settled"] == [120]


def test_a_retry_waits_for_its_time_and_comes_back_as_it_was(bus: Bus) -> None:
    me = bus.transport()
    me.publish([Publication(STREAM, ODD)])
    entry = _one(me)
    me.settle([Settlement(entry, retry_delay_s=0.3)])
    due_s = me.move_due()
    assert due_s is not None
    assert 0 < due_s <= 0.3
    assert me.delayed() == {"lane:script": 1}
    assert me.read(SCRIPT, 1, 0.01) == []
    bus.elapse(0.31)
    assert me.move_due() is None
    again = _one(me)
    assert (again.fields, again.stream, again.origin_stream, again.origin_id) == (ODD, "lane:script", STREAM, entry.id)
    assert (again.retries, again.failures, again.deliveries) == (1, 1, 1)
    me.settle([Settlement(again, retry_delay_s=0.0, failed=False)])
    me.move_due()
    third = _one(me)
    assert (third.retries, third.failures, third.origin_id, third.fields) == (2, 1, entry.id, ODD)


def test_a_group_holds_what_is_new_in_work_on_its_lane_and_delayed(bus: Bus) -> None:
    me = bus.transport()
    _add(me, "0", "1", "2", "3", "4")
    done, _working, lane, delayed = _read(me, room=4)
    me.settle([Settlement(done), Settlement(lane, retry_delay_s=0.0)])
    me.move_due()
    me.settle([Settlement(delayed, retry_delay_s=60.0)])
    held = me.held(SCRIPT)
    assert sorted(entry.fields[b"n"] for entry in held) == [b"1", b"2", b"3", b"4"]
    assert {entry.origin_stream for entry in held} == {STREAM}
    bus.wipe()
    assert me.held(SCRIPT) == []


def test_a_wipe_heals_at_the_beginning_of_the_stream_and_is_reported(bus: Bus) -> None:
    reported: list[str] = []
    me = bus.transport(on_wiped=reported.append)
    _add(me, "1")
    entry = _one(me)
    bus.wipe()
    assert me.settle([Settlement(entry, (NEXT,))]) == ["gone"]
    _add(me, "2")
    assert me.read(SCRIPT, 1, 0.01) == []
    assert set(reported) == {STREAM, "lane:script"}
    assert _one(me).fields == {b"n": b"2"}


def test_a_wipe_under_a_waiting_reader_heals_and_is_reported(bus: Bus) -> None:
    reported: list[str] = []
    me = bus.transport(lease_s=60.0, on_wiped=reported.append)
    _add(me, "1")
    _one(me)
    wiping = threading.Timer(BLOCK_S / 3, bus.wipe)
    wiping.start()
    while not reported:
        assert me.read(SCRIPT, 1, BLOCK_S) == []
    wiping.join()
    assert set(reported) == {STREAM, "lane:script"}
    _add(me, "2")
    assert _one(me).fields == {b"n": b"2"}


def test_the_first_reader_of_all_reports_no_wipe(bus: Bus) -> None:
    reported: list[str] = []
    assert bus.transport(on_wiped=reported.append).read(SCRIPT, 1, 0.01) == []
    assert reported == []


# Publishing and observing


def test_the_same_token_publishes_once_and_answers_the_same_ids(bus: Bus) -> None:
    me, other = bus.transport(), bus.transport()
    events = [Publication("stream:notices", {"n": "1"}), Publication("stream:renders", {"n": "2"})]
    assert me.publish(events, "redis.wiped") == other.publish(events, "redis.wiped")
    assert (len(_all(me, "stream:notices")), len(_all(me, "stream:renders"))) == (1, 1)
    me.publish(events)
    assert len(_all(me, "stream:notices")) == 2


def test_observing_takes_nothing_and_keeps_the_order(bus: Bus) -> None:
    me = bus.transport()
    ids = _add(me, *(str(n) for n in range(20)))
    assert [entry.id for entry in me.observe({STREAM: "0-0"}, BLOCK_S)] == ids
    assert [entry.id for entry in me.observe({STREAM: ids[9]}, BLOCK_S)] == ids[10:]
    assert me.observe({STREAM: ids[-1]}, 0.01) == []
    assert len(_read(me, room=20)) == 20
    assert (me.last_generated_id(STREAM), me.last_generated_id("stream:none")) == (ids[-1], None)


def test_a_receipt_is_kept_for_its_time(bus: Bus) -> None:
    me = bus.transport()
    me.put_receipt("receipt:1-0", {"status": "queued", "video": "v-1"}, 60.0)
    me.put_receipt("receipt:1-0", {"status": "accepted"}, 0.1)
    assert me.get_receipt("receipt:1-0") == {"status": "accepted"}
    bus.elapse(0.2)
    assert me.get_receipt("receipt:1-0") is None


# Names


def test_a_name_is_removed_only_where_nothing_is_pending(bus: Bus) -> None:
    me = bus.transport("leaver")
    _add(me, "1")
    entry = _one(me)
    bus.elapse(0.05)
    me.leave(SCRIPT)
    assert me.retire(SCRIPT, 0.02) == []
    assert me.renew([entry]) == []
    me.settle([Settlement(entry)])
    bus.elapse(0.05)
    assert me.retire(SCRIPT, 60.0) == []
    assert me.retire(SCRIPT, 0.02) == [me.consumer]
    _add(me, "2")
    assert _one(me).fields == {b"n": b"2"}


# Memory


def test_trimming_keeps_what_the_slowest_declared_group_still_needs(bus: Bus) -> None:
    me = bus.transport()
    ids = _add(me, *(str(n) for n in range(300)))
    for subscription in (SCRIPT, AUDIT):
        me.ensure_groups(subscription)
    script, audit = _read(me, room=300), _read(me, AUDIT, room=250)
    me.settle([Settlement(entry) for entry in (*script, *audit[:120])])
    bus.elapse(0.01)
    assert me.trim((SCRIPT, AUDIT), (), retention_s=0.0) is not None
    kept = [entry.id for entry in _all(me, STREAM)]
    assert kept[-180:] == ids[120:]
    assert len(kept) <= 280
    assert len(me.held(AUDIT)) == 180
    assert me.trim((SCRIPT,), (), retention_s=0.0)  # nobody declares the other one any more
    assert len(_all(me, STREAM)) <= 100


def test_trimming_removes_nothing_that_is_young_or_of_a_group_that_is_not_there_yet(bus: Bus) -> None:
    me = bus.transport()
    _add(me, *(str(n) for n in range(250)))
    me.settle([Settlement(entry) for entry in _read(me, room=250)])
    assert me.trim((SCRIPT,), ("stream:none",), retention_s=3600.0) == 0
    bus.elapse(0.01)
    assert me.trim((SCRIPT, AUDIT), (), retention_s=0.0) == 0
    assert len(_all(me, STREAM)) == 250


def test_a_stream_that_no_group_reads_is_bounded_by_age_alone(bus: Bus) -> None:
    me = bus.transport()
    _add(me, *(str(n) for n in range(250)), stream="stream:notices")
    bus.elapse(0.2)
    _add(me, "young", stream="stream:notices")
    assert me.trim((), ("stream:notices",), retention_s=0.1)
    kept = _all(me, "stream:notices")
    assert kept[-1].fields == {b"n": b"young"}
    assert len(kept) <= 101


def test_a_lane_is_kept_as_small_as_its_stream(bus: Bus) -> None:
    me = bus.transport(lease_s=60.0)
    _add(me, *(str(n) for n in range(250)))
    me.settle([Settlement(entry, retry_delay_s=0.0) for entry in _read(me, room=250)])
    while me.delayed():
        me.move_due()
    again = [entry for _ in range(2) for entry in _read(me, room=250)]
    assert len(again) == 250
    me.settle([Settlement(entry) for entry in again])
    bus.elapse(0.01)
    assert me.trim((SCRIPT,), (), retention_s=0.0)
    assert len(_all(me, "lane:script")) <= 100


def test_there_is_one_janitor_at_a_time(bus: Bus) -> None:
    me, other = bus.transport(), bus.transport()
    _add(me, *(str(n) for n in range(500)))
    me.settle([Settlement(entry) for entry in _read(me, room=500)])
    bus.elapse(0.01)
    assert me.trim((SCRIPT,), (), retention_s=0.0, every_s=60.0)
    assert other.trim((SCRIPT,), (), retention_s=0.0, every_s=60.0) is None


# Dead letters


def test_a_dead_letter_is_put_back_once_with_its_own_fields_for_its_own_group(bus: Bus) -> None:
    me = bus.transport(lease_s=60.0)
    fields = {**ODD, b"error": b"the event's own", b"group": b"also"}
    me.publish([Publication(STREAM, fields)])
    entry, _ = _one(me), _one(me, AUDIT)
    _letter(me, entry)
    (letter,) = me.dead_letters()
    assert (letter.group, letter.origin_stream, letter.origin_id) == ("script", STREAM, entry.id)
    assert (letter.error, letter.hint, letter.requeued, letter.fields) == ("it is broken", "mend it", False, fields)
    assert me.requeue(letter, "lane:script") == "requeued"
    assert me.requeue(letter, "lane:script") == "again"
    assert [known.requeued for known in me.dead_letters()] == [True]
    again = _one(me)
    assert (again.fields, again.origin_id, again.retries, again.failures) == (fields, entry.id, 1, 0)
    assert _read(me, room=5) == _read(me, AUDIT, room=5) == []
    assert me.dead() == 1
    bus.wipe()
    assert me.requeue(letter, "lane:script") == "missing"


# Figures


def test_figures_tell_what_is_left_and_never_take_unknown_for_nothing(bus: Bus) -> None:
    me = bus.transport()
    assert [(figures.undelivered, figures.pending) for figures in me.figures(SCRIPT)] == [(None, 0), (None, 0)]
    _add(me, "1", "2", "3")
    _one(me)
    bus.elapse(0.05)
    lane, stream = me.figures(SCRIPT)
    assert (lane.undelivered, lane.pending, lane.oldest_pending_s) == (0, 0, None)
    assert (stream.stream, stream.group, stream.undelivered, stream.pending) == (STREAM, "script", 2, 1)
    assert stream.oldest_pending_s is not None
    assert 0.04 < stream.oldest_pending_s < 30


# Keys that people read


def test_the_queue_keys_are_read_as_they_were_written(bus: Bus) -> None:
    me, keys = bus.transport(), ("queue:priority", "queue:processing")
    assert me.mirrored(*keys) == ({}, set())
    me.mirror(keys[0], {"a": 1.0, "b": 2.5}, keys[1], {"c"})
    assert me.mirrored(*keys) == ({"a": 1.0, "b": 2.5}, {"c"})
    me.mirror(keys[0], {}, keys[1], set())
    assert me.mirrored(*keys) == ({}, set())


# The end


def test_a_closed_transport_waits_for_nothing(bus: Bus) -> None:
    me = bus.transport()
    me.close()
    me.close()
    assert me.read(SCRIPT, 1, BLOCK_S) == []
    assert me.observe({STREAM: "0-0"}, BLOCK_S) == []
    with pytest.raises(BusClosedError):
        _add(me, "1")
