# mypy: ignore-errors
# (its packages are in an environment of their own, where mypy does not look)
"""FastStream on Redis Streams with a consumer group, by its own command."""

from __future__ import annotations

import asyncio
import os
import sys

import redis.asyncio
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from redis.exceptions import ResponseError

from tests.bench import probe

GROUP = "bench"
CONSUMER = f"worker-{os.getpid()}"

broker = RedisBroker(probe.URL)
app = FastStream(broker)


async def noop(event: dict) -> None:
    """The job."""
    probe.began(event["job"])


async def victim(event: dict) -> None:
    """The long job."""
    del event
    await asyncio.sleep(probe.victim_s())


def subscribe() -> None:
    """Only a worker subscribes: the producer's broker would read as well."""
    broker.subscriber(
        stream=StreamSub("noop", group=GROUP, consumer=CONSUMER, max_records=probe.IN_FLIGHT),
        max_workers=probe.CONCURRENCY,
    )(noop)
    broker.subscriber(stream=StreamSub("victim", group=GROUP, consumer=CONSUMER))(victim)


async def make_groups() -> None:
    """A subscriber makes its group at the end of the stream, and would skip what waits already."""
    async with redis.asyncio.from_url(probe.URL) as client:
        for stream in ("noop", "victim"):
            try:
                await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise


async def produce(jobs: int, rate: float) -> None:
    """One publish a job."""
    await make_groups()
    async with broker:
        async for job in probe.paced_async(jobs, rate):
            probe.sent(job)
            await broker.publish(probe.event(job), stream="noop")


async def send_victim() -> None:
    """The long job."""
    await make_groups()
    async with broker:
        await broker.publish({"job": 0}, stream="victim")


if __name__ == "__main__":
    probe.main(produce, send_victim)
elif sys.argv[1] == "run":
    subscribe()
