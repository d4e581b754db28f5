# mypy: ignore-errors
# (its packages are in an environment of their own, where mypy does not look)
"""taskiq on Redis Streams, by its own command."""

from __future__ import annotations

import asyncio

from taskiq_redis import RedisStreamBroker

from tests.bench import probe

LEASE = {"idle_timeout": round(1000 * probe.LEASE_S)} if probe.LEASE_S else {}

broker = RedisStreamBroker(url=probe.URL, xread_count=probe.IN_FLIGHT, **LEASE)


@broker.task(task_name="noop")
async def noop(job: int, event: dict) -> None:
    """The job."""
    del event
    probe.began(job)


@broker.task(task_name="victim")
async def victim() -> None:
    """The long job."""
    await asyncio.sleep(probe.victim_s())


async def produce(jobs: int, rate: float) -> None:
    """One send a job."""
    await broker.startup()
    async for job in probe.paced_async(jobs, rate):
        probe.sent(job)
        await noop.kiq(job, probe.event(job))
    await broker.shutdown()


async def send_victim() -> None:
    """The long job."""
    await broker.startup()
    await victim.kiq()
    await broker.shutdown()


if __name__ == "__main__":
    probe.main(produce, send_victim)
