from __future__ import annotations

from schema.flow import STAGES
from schema.telemetry import metrics
from streams import figures, names
from streams.transport.in_memory import InMemoryTransport
from streams.transport.in_memory_server import InMemoryServer
from streams.transport.port import Publication, Settlement

SCRIPT = names.SUBSCRIPTIONS["script"]
STREAM = SCRIPT.streams[0]


def _sample(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_the_figures_of_a_group_are_exported_and_unknown_is_no_sample() -> None:
    server = InMemoryServer()
    me = InMemoryTransport(server)
    me.publish([Publication(STREAM, {"n": str(n)}) for n in range(4)])
    first, _ = me.read(SCRIPT, 2, 0.01)
    me.settle([Settlement(first, retry_delay_s=60.0)])
    figures.export(me, [SCRIPT])
    where = {"stream": STREAM, "group": "script"}
    assert _sample("ytempire_stream_depth", **where) == 2
    assert _sample("ytempire_stream_pending", **where) == 1
    assert _sample("ytempire_stream_oldest_pending_seconds", **where) is not None
    assert _sample("ytempire_delayed", group="script") == 1
    assert _sample("ytempire_dead_letters") == 0
    server.wipe()
    figures.export(me, [SCRIPT])
    assert _sample("ytempire_stream_depth", **where) is None
    assert _sample("ytempire_stream_oldest_pending_seconds", **where) is None
    assert _sample("ytempire_stream_pending", **where) == 0


def test_every_stream_that_is_written_to_is_kept_small() -> None:
    read = {stream for subscription in names.SUBSCRIPTIONS.values() for stream in subscription.sources}
    written = {stage.stream for stage in STAGES} | {names.INTAKE, names.CONTROL, names.REJECTED, names.NOTICES}
    assert written | {names.DEAD} <= read | set(names.UNREAD)


def test_what_a_broker_tells_is_counted() -> None:
    tally = figures.Tally()
    before = _sample("ytempire_settles_total", outcome="lost") or 0.0
    tally.settled("lost", 3)
    tally.redelivered("tally-test")
    tally.lease_lost("tally-test")
    assert _sample("ytempire_settles_total", outcome="lost") == before + 3
    assert _sample("ytempire_redelivered_total", group="tally-test") == 1
    assert _sample("ytempire_leases_lost_total", group="tally-test") == 1
