"""Processes of the factory on servers of the bench's own, and what each of them costs.

Stages are stubs that wait; everything around their work is the product's own. CPU is read from the processes' own
clocks, and that of Postgres is also told apart by whom it worked for.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, cast

import asyncpg
import msgspec
import psutil

from deploy.launch import probes
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from deploy.launch.program import Program, running
from schema import flow
from tests.bench.bus.cpu import family_cpu_s, process_cpu_s, server_cpu_s
from tests.bench.halt.lab import Servers

STAGES: Final = tuple(stage.name for stage in flow.STAGES)
#: Dispatch last: with it work begins.
ACTORS: Final = ("intake", "control", "dispatch")
GUARDIANS: Final = ("integrity", "gpu", "stuck", "vitals", "cost")
#: Lets the server count the statements that it is asked.
COUNTED: Final = ("-c", "shared_preload_libraries=pg_stat_statements", "-c", "max_connections=300")
Record: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_BACKENDS = (
    "SELECT pid, split_part(application_name, ' ', 2) AS name FROM pg_stat_activity"
    " WHERE application_name LIKE 'ytempire %'"
)
_MIB: Final = 1 << 20


class Used(msgspec.Struct, frozen=True):
    """CPU seconds so far: of each process, of what Postgres did for each, and of both servers whole."""

    at_s: float
    own: Mapping[str, float]
    asked: Mapping[str, float]
    postgres: float
    redis: float

    def since(self, before: Used) -> Used:
        """What was used in between."""
        return Used(
            self.at_s - before.at_s,
            {name: used - before.own.get(name, 0.0) for name, used in self.own.items()},
            {name: used - before.asked.get(name, 0.0) for name, used in self.asked.items()},
            self.postgres - before.postgres,
            self.redis - before.redis,
        )

    @property
    def whole_s(self) -> float:
        """Of all together."""
        return sum(self.own.values()) + self.postgres + self.redis


class Staff:
    """Processes that run, by name; several of one name are numbered."""

    def __init__(self, servers: Servers, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        self._servers, self._processes = servers, dict(processes)

    def end(self, name: str) -> None:
        """As a launcher ends one; it counts no more."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(30)

    async def used(self, record: Record) -> Used:
        """Asks the record, too, whom its sessions belong to."""
        asked: dict[str, float] = {}
        for row in await record.fetch(_BACKENDS):
            asked[row["name"]] = asked.get(row["name"], 0.0) + process_cpu_s(row["pid"])
        return Used(
            time.monotonic(),
            {name: process_cpu_s(process.pid) for name, process in self._processes.items()},
            asked,
            family_cpu_s(self._servers.postgres.pid),
            server_cpu_s(self._servers.client),
        )

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each, in MiB."""
        return {name: psutil.Process(process.pid).memory_info().rss / _MIB for name, process in self._processes.items()}

    def redis_memory_mb(self) -> float:
        """What Redis holds, in MiB."""
        return float(cast("Mapping[str, int]", self._servers.client.info("memory"))["used_memory"]) / _MIB


@contextmanager
def staff(servers: Servers, names: Sequence[str], environ: Mapping[str, str]) -> Iterator[Staff]:
    """These processes, each until it answers; a name may come several times. Gone after the block."""
    ports, processes = free_ports(len(names)), dict[str, subprocess.Popen[bytes]]()
    with ExitStack() as stack:
        for place, name in enumerate(names):
            program = Program(
                name=name,
                argv=(sys.executable, "-m", *_module(name), name),
                environ={
                    **servers.environ(),
                    **environ,
                    "PYTHONPATH": str(ROOT),
                    "YTEMPIRE_METRICS_PORT": str(ports + place),
                },
                answers=partial(probes.exporter_answers, ports + place),
            )
            log = Path(servers.folder) / f"{place}-{name}.log"
            process = stack.enter_context(running(program, log, ready_within_s=60))
            processes[name if name not in processes else f"{name} {place}"] = process
        yield Staff(servers, processes)


def _module(name: str) -> tuple[str, ...]:
    if name in STAGES:
        return ("tests.factory.stub_stage",)
    return ("guardians",) if name in GUARDIANS else ("actors",)
