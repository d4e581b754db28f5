"""What one round measures of one peer: what a job costs, how fast jobs go, and how soon one begins.

CPU is the figure to trust: it hardly changes while others use the machine, jobs per second and latencies do.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from tests.bench.bus.cpu import server_cpu_s, session_cpu_s
from tests.bench.bus.trial import Trial
from tests.bench.waiting import wait

#: Jobs a second while latency is measured.
LATENCY_RATE: Final = 100
#: After the last job began: its acknowledgement belongs to it. An idle worker costs next to nothing meanwhile.
_LAST_ENDS_S: Final = 0.1


class Costs(msgspec.Struct, frozen=True):
    """All jobs wait already when the worker starts (enqueue excluded)."""

    worker_us: float
    server_us: float
    jobs_per_s: float


class Pace(msgspec.Struct, frozen=True):
    """The worker waits already when jobs are sent (enqueue included)."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    jobs_per_s: float


def costs(trial: Trial, jobs: int) -> Costs:
    """From when the first jobs began, so that no start-up counts; raises TrialError."""
    if trial.peer.has_producer:
        trial.produce(jobs)
    with trial.worker() as worker:
        trial.wait(jobs, first=True)
        before_s = session_cpu_s(worker.pid), server_cpu_s(trial.client)
        begun = int(np.count_nonzero(trial.began_ns(jobs)))
        trial.wait(jobs)
        wait(_LAST_ENDS_S)
        after_s = session_cpu_s(worker.pid), server_cpu_s(trial.client)
    began_ns = trial.began_ns(jobs)
    us_per_s_and_job = 1e6 / max(1, jobs - begun)
    return Costs(
        worker_us=(after_s[0] - before_s[0]) * us_per_s_and_job,
        server_us=(after_s[1] - before_s[1]) * us_per_s_and_job,
        jobs_per_s=jobs * 1e9 / float(began_ns.max() - began_ns.min()),
    )


def pace(trial: Trial, jobs: int, latency_jobs: int) -> Pace:
    """Latency at a steady rate first, then `jobs` as fast as one producer sends them; raises TrialError."""
    with trial.worker():
        trial.warm()
        trial.produce(latency_jobs, LATENCY_RATE)
        trial.wait(latency_jobs)
        waits_ms = (trial.began_ns(latency_jobs) - trial.sent_ns(latency_jobs)) / 1e6
        trial.reset()
        trial.produce(jobs)
        trial.wait(jobs)
    took_ns = float(trial.began_ns(jobs).max() - trial.sent_ns(jobs).min())
    return Pace(
        p50_ms=float(np.percentile(waits_ms, 50)),
        p99_ms=float(np.percentile(waits_ms, 99)),
        max_ms=float(waits_ms.max()),
        jobs_per_s=jobs * 1e9 / took_ns,
    )
