"""How it was measured: what a reader needs to believe the tables, and to repeat them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.bus import server
from tests.bench.bus.environments import versions
from tests.bench.bus.lab import Lab


def note(lab: Lab) -> Iterator[str]:
    """Lines."""
    options = lab.options
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    machine = f"{_processor()}, {cores} cores, load {load}, {platform.system()} {platform.release()}"
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}"
    yield f"Python {platform.python_version()}, {server.version(options.server)}, append-only file flushed every second"
    yield "; ".join(f"{peer.name} ({versions(peer)})" for peer in lab.able)
    yield "Jobs: " + ", ".join(f"{peer.name} {peer.jobs(options.jobs):,}" for peer in lab.able)
    yield (
        "One worker process, 8 jobs at once, an event of about 230 bytes. In flight (taken, not acknowledged) at most "
        f"{options.in_flight}: ours, ceiling, dramatiq, taskiq, faststream, celery. arq has no such bound (8 running); "
        "bare takes 100."
    )
    yield (
        "Ours has everything on: leases, the fence, and one event published with each acknowledgement. The ceiling is "
        "dramatiq's Worker and default middleware with a broker that costs nothing. bare acknowledges and deletes by "
        "the batch."
    )
    yield (
        "CPU (user and system; of the worker with all its processes, and of the server) is counted after the first "
        "jobs began. Trust it before jobs/s and latencies, which the machine's other work changes. Peers run one after "
        "the other in each round, each on a fresh server; medians of the rounds. Kill, long job, memory and idling are "
        "tried once."
    )


def _processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
