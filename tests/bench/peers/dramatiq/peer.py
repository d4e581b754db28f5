# mypy: ignore-errors
# (its package is in an environment of its own, where mypy does not look)
"""dramatiq with its own RedisBroker, by its own command."""

from __future__ import annotations

import asyncio
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from tests.bench import probe

broker = RedisBroker(url=probe.URL)
if probe.ASYNC:
    broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)


def noop(job: int, event: dict) -> None:
    """The job."""
    del event
    probe.began(job)


async def noop_async(job: int, event: dict) -> None:
    """The same as a coroutine."""
    del event
    probe.began(job)


def victim() -> None:
    """The long job."""
    time.sleep(probe.victim_s())


async def victim_async() -> None:
    """The same as a coroutine."""
    await asyncio.sleep(probe.victim_s())


NOOP = dramatiq.actor(noop_async if probe.ASYNC else noop, actor_name="noop")
VICTIM = dramatiq.actor(victim_async if probe.ASYNC else victim, actor_name="victim", time_limit=3_600_000)


def produce(jobs: int, rate: float) -> None:
    """One send a job."""
    for job in probe.paced(jobs, rate):
        probe.sent(job)
        NOOP.send(job, probe.event(job))


if __name__ == "__main__":
    probe.main(produce, VICTIM.send)
