"""What the processes of every peer share: where the server is, what a job carries, how a job says "I have begun".

Only the standard library is used, since each peer has packages of its own. Times go to one memory-mapped file of
64-bit slots, which costs far less than a microsecond: slot i is when job i was sent, slot jobs + i when it began, both
by the clock that all processes of a machine share. Nothing here measures; `tests/bench/bus` reads what was noted.
"""

from __future__ import annotations

import asyncio
import inspect
import mmap
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from tests.bench.payload import event as event  # noqa: PLC0414 - peers know this module alone

PORT: Final = int(os.environ["BENCH_PORT"])
URL: Final = f"redis://127.0.0.1:{PORT}/0"
#: Jobs worked on at once.
CONCURRENCY: Final = 8
#: Jobs taken from the server and not yet acknowledged, begun or not, where a peer knows such a bound.
IN_FLIGHT: Final = int(os.environ["BENCH_IN_FLIGHT"])
#: Actors are coroutines, for peers that know both.
ASYNC: Final = os.environ.get("BENCH_ASYNC") == "1"
#: Seconds of silence after which work is looked at again; 0: the peer's own default.
LEASE_S: Final = float(os.environ.get("BENCH_LEASE_S", "0"))
#: Name of another machine, which a worker is to think it is on; empty: this one.
HOST: Final = os.environ.get("BENCH_HOST", "")
JOBS: Final = int(os.environ["BENCH_JOBS"])

_VICTIM_LOG: Final = Path(os.environ["BENCH_VICTIM_LOG"])
_VICTIM_S: Final = float(os.environ.get("BENCH_VICTIM_S", "600"))


def _slots() -> memoryview:
    with Path(os.environ["BENCH_SLOTS"]).open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")


_SLOTS: Final = _slots()


def sent(job: int) -> None:
    """Called just before a job is sent."""
    _SLOTS[job] = time.monotonic_ns()


def began(job: int) -> None:
    """Called by the job itself; the job does nothing else."""
    _SLOTS[JOBS + job] = time.monotonic_ns()


def victim_s() -> float:
    """Called first by the long job: notes that it began; seconds it is to sleep, none when it began before."""
    begun_before = _VICTIM_LOG.exists()
    with _VICTIM_LOG.open("a", encoding="ascii") as log:
        log.write(f"{time.monotonic_ns()}\n")
    return 0.0 if begun_before else _VICTIM_S


def paced(jobs: int, rate: float) -> Iterator[int]:
    """Job numbers, at once (rate 0) or at `rate` a second by an absolute schedule."""
    began_s = time.perf_counter()
    for job in range(jobs):
        if rate and (wait_s := began_s + job / rate - time.perf_counter()) > 0:
            time.sleep(wait_s)
        yield job


async def paced_async(jobs: int, rate: float) -> AsyncIterator[int]:
    """The same for a producer that is a coroutine."""
    began_s = time.perf_counter()
    for job in range(jobs):
        if rate and (wait_s := began_s + job / rate - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        yield job


def main(
    produce: Callable[[int, float], Awaitable[None] | None],
    send_victim: Callable[[], Awaitable[None] | None],
    work: Callable[[], Awaitable[None] | None] | None = None,
) -> None:
    """Runs `produce JOBS RATE`, `victim`, or `work` where the peer has no worker command of its own."""
    verb = sys.argv[1]
    if verb == "produce":
        running = produce(int(sys.argv[2]), float(sys.argv[3]))
    elif verb == "victim":
        running = send_victim()
    elif verb == "work" and work is not None:
        running = work()
    else:
        raise SystemExit(f"got {verb!r}, expected produce JOBS RATE, victim or work")
    if inspect.iscoroutine(running):
        asyncio.run(running)
