"""The project's own bus with everything on: leases, the fence, and an event published with each acknowledgement."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time

import dramatiq

from schema.settings.servers import Servers
from streams.broker import Delivered, StreamsBroker
from streams.gate import Gate
from streams.publish import publish
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Publication, Subscription
from tests.bench import probe

SETTINGS = Servers()
LEASE_S = probe.LEASE_S or SETTINGS.lease_s
SHOTS = Subscription(group="shot", streams=("stream:shots",), lane="lane:shot")


def transport() -> RedisTransport:
    """As a process of the factory has it."""
    return RedisTransport(probe.URL, process="shot", lease_s=LEASE_S, block_s=SETTINGS.block_s)


def fact(delivered: Delivered) -> tuple[Publication, ...]:
    """What a job publishes when it is acknowledged."""
    job = delivered.entry.fields[b"job"]
    return (Publication("stream:takes", {b"type": b"shot.taken", b"job": job, b"project": b"demo-0001"}),)


def shot(delivered: Delivered) -> tuple[Publication, ...]:
    """The job."""
    if delivered.entry.fields[b"type"] == b"victim":
        time.sleep(probe.victim_s())
        return ()
    probe.began(int(delivered.entry.fields[b"job"]))
    return fact(delivered)


async def shot_async(delivered: Delivered) -> tuple[Publication, ...]:
    """The same as a coroutine."""
    if delivered.entry.fields[b"type"] == b"victim":
        await asyncio.sleep(probe.victim_s())
        return ()
    probe.began(int(delivered.entry.fields[b"job"]))
    return fact(delivered)


def work() -> None:
    """Works until TERM; `probe.HOST` is where it thinks it is."""
    if probe.HOST:
        socket.gethostname = lambda: probe.HOST
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    bus = transport()
    broker = StreamsBroker(
        bus,
        {SHOTS.group: SHOTS},
        budget=probe.IN_FLIGHT,
        gate=Gate(),
        lease_s=LEASE_S,
        block_s=SETTINGS.block_s,
    )
    actor = shot_async if probe.ASYNC else shot
    dramatiq.actor(broker=broker, actor_name="shot", queue_name=SHOTS.group, time_limit=float("inf"))(actor)
    worker = dramatiq.Worker(broker, worker_threads=probe.CONCURRENCY, worker_timeout=1000)
    worker.start()
    told.wait()
    worker.stop(timeout=5000)
    broker.close()
    bus.close()


def produce(jobs: int, rate: float) -> None:
    """One publish a job, as an actor's own events and the gateway's are."""
    bus = transport()
    for job in probe.paced(jobs, rate):
        fields = {name: str(value) for name, value in probe.event(job).items()}
        probe.sent(job)
        publish(bus, SHOTS.streams[0], fields)
    bus.close()


def send_victim() -> None:
    """The long job."""
    bus = transport()
    publish(bus, SHOTS.streams[0], {"type": "victim"})
    bus.close()


if __name__ == "__main__":
    probe.main(produce, send_victim, work)
