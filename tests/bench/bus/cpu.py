"""CPU seconds that others have used so far: a worker with all its processes, and a server by its own account."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

#: Of a line of /proc/PID/stat after the name, which may contain anything.
_PARENT, _SESSION = 1, 3


def session_cpu_s(session: int) -> float:
    """Used by the live processes of a session."""
    return _cpu_s(_SESSION, session)


def family_cpu_s(parent: int) -> float:
    """Used by a process and its live children, such as a Postgres, whose children have sessions of their own."""
    return process_cpu_s(parent) + _cpu_s(_PARENT, parent)


def process_cpu_s(pid: int) -> float:
    """Used by one process, without its children."""
    return time.clock_gettime_ns(_clock(pid)) / 1e9


def _cpu_s(field: int, wanted: int) -> float:
    """Of all processes with this value there.

    From the CPU clock of each process (clock_getcpuclockid(3)): /proc counts in hundredths of a second.
    """
    total_ns = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):  # it has ended
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if int(fields[field]) == wanted:
                total_ns += time.clock_gettime_ns(_clock(int(folder.name)))
    return total_ns / 1e9


def _clock(pid: int) -> int:
    return (~pid << 3) | 2


def server_cpu_s(client: Any) -> float:  # noqa: ANN401 - redis-py's replies have no types worth having
    """Used by the server, for users and system."""
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
