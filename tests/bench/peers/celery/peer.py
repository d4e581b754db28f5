# mypy: ignore-errors
# (its package is in an environment of its own, where mypy does not look)
"""Celery with threads, by its own command; results are not kept."""

from __future__ import annotations

import time

from celery import Celery

from tests.bench import probe

app = Celery("bench", broker=probe.URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=max(1, probe.IN_FLIGHT // probe.CONCURRENCY))


@app.task(name="noop")
def noop(job: int, event: dict) -> None:
    """The job."""
    del event
    probe.began(job)


@app.task(name="victim")
def victim() -> None:
    """The long job."""
    time.sleep(probe.victim_s())


def produce(jobs: int, rate: float) -> None:
    """One delay a job."""
    for job in probe.paced(jobs, rate):
        probe.sent(job)
        noop.delay(job, probe.event(job))


if __name__ == "__main__":
    probe.main(produce, victim.delay)
