# mypy: ignore-errors
# (its package is in an environment of its own, where mypy does not look)
"""arq, on a sorted set, by its own command; it looks for jobs twice a second by default."""

from __future__ import annotations

import asyncio

from arq import create_pool
from arq.connections import RedisSettings

from tests.bench import probe


async def noop(context: dict, job: int, event: dict) -> None:
    """The job."""
    del context, event
    probe.began(job)


async def victim(context: dict) -> None:
    """The long job."""
    del context
    await asyncio.sleep(probe.victim_s())


class WorkerSettings:
    """What arq's command reads."""

    functions = (noop, victim)
    redis_settings = RedisSettings(port=probe.PORT)
    max_jobs = probe.CONCURRENCY
    keep_result = 0


async def produce(jobs: int, rate: float) -> None:
    """One enqueue a job."""
    pool = await create_pool(WorkerSettings.redis_settings)
    async for job in probe.paced_async(jobs, rate):
        probe.sent(job)
        await pool.enqueue_job("noop", job, probe.event(job))


async def send_victim() -> None:
    """The long job."""
    pool = await create_pool(WorkerSettings.redis_settings)
    await pool.enqueue_job("victim")


if __name__ == "__main__":
    probe.main(produce, send_victim)
