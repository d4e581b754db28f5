"""What each guardian costs on an idle system: CPU of its process, its own gate and exporter included."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE
from tests.bench.bus.cpu import family_cpu_s
from tests.bench.waiting import wait
from tests.factory.running import factory

#: After it said that it is ready: what a process does once is not what it costs.
_SETTLES_S: Final = 5.0


def guardians() -> list[str]:
    """Those of the Procfile."""
    return [line.name for line in procfile.read(PROCFILE) if "guardians" in line.argv]


def watching(folder: Path, watched_s: float) -> dict[str, float]:
    """Per cent of a core, by guardian."""
    with factory(folder) as running:
        wait(_SETTLES_S)
        pids = {name: running.pid_of(name) for name in guardians()}
        before, began_s = {name: family_cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        wait(watched_s)
        after, took_s = {name: family_cpu_s(pid) for name, pid in pids.items()}, time.monotonic() - began_s
    return {name: 100 * (after[name] - before[name]) / took_s for name in pids}
