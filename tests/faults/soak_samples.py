"""What a factory was seen to hold at one moment: of memory, descriptors, connections, consumers and disk.

Read from outside, by the system, Redis and Postgres themselves; nothing that the factory says of itself gets in.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import msgspec
import psutil
import redis

from streams import names
from tests.factory.running import Factory
from tests.faults.ground import Ground

_MIB: Final = 1 << 20


class Sample(msgspec.Struct, frozen=True):
    """What was seen at one moment; sizes in MiB."""

    at_s: float
    faults: int
    videos: Mapping[str, int]
    #: Resident memory and open descriptors of each process, by its name.
    memory: Mapping[str, float]
    descriptors: Mapping[str, int]
    postgres_connections: int
    redis_clients: int
    redis_memory: float
    consumers: int
    #: By folder of the data directory.
    disk: Mapping[str, float]
    #: Invariants that did not hold, in words.
    broken: tuple[str, ...] = ()
    #: Whether the factory had been let come to rest.
    rested: bool = False


def seen(
    ground: Ground, bus: redis.Redis, watched: tuple[str, ...], *, at_s: float, faults: int, broken: tuple[str, ...],
    rested: bool,
) -> Sample:  # fmt: skip
    """Look at all of it; `watched` are the processes by name."""
    processes = dict(_processes(ground.factory, watched))
    info = cast("dict[str, int]", bus.info())
    return Sample(
        at_s=round(at_s, 1),
        faults=faults,
        videos=ground.factory.statuses(),
        memory={name: round(process.memory_info().rss / _MIB, 1) for name, process in processes.items()},
        descriptors={name: process.num_fds() for name, process in processes.items()},
        postgres_connections=ground.value("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL"),
        redis_clients=info["connected_clients"],
        redis_memory=round(info["used_memory"] / _MIB, 2),
        consumers=_consumers(bus),
        disk={
            folder.name: round(_size(folder) / _MIB, 1)
            for folder in sorted(ground.factory.folder.iterdir())
            if folder.is_dir()
        },
        broken=broken,
        rested=rested,
    )


def _processes(factory: Factory, watched: tuple[str, ...]) -> Iterator[tuple[str, psutil.Process]]:
    """Those of the factory, each under its name."""
    assert factory.process is not None
    yield "launcher", psutil.Process(factory.process.pid)
    for name in watched:
        with contextlib.suppress(LookupError, psutil.Error):
            yield name, psutil.Process(factory.pid_of(name))


def _consumers(bus: redis.Redis) -> int:
    count = 0
    for stream in {stream for declared in names.SUBSCRIPTIONS.values() for stream in declared.streams}:
        with contextlib.suppress(redis.ResponseError):  # a stream that nobody has written to since the last wipe
            count += sum(group["consumers"] for group in cast("list[dict[str, int]]", bus.xinfo_groups(stream)))
    return count


def _size(folder: Path) -> int:
    """Bytes on disk of all that lies in it."""
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                size += Path(root, name).stat().st_blocks * 512
    return size
