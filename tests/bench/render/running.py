"""Runs one contestant and counts what it took: CPU of all its processes, wall, and memory at its highest.

CPU is user and system time by wait4(2), of the process and of all that it waited for. Memory is the sum of what its
processes held at the same moment, looked at fifty times a second, or the kernel's own mark of the first one where that
is higher. What was started ends with the wait, also when it is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import psutil

from deploy.launch.plan import ROOT
from deploy.launch.program import kill_group
from tests.bench.waiting import wait

_LOOK_S: Final = 0.02
_MB: Final = 1e6
#: Of what a contestant said last, when it failed.
_LAST: Final = 600


class ContestantError(Exception):
    """Did not do what it was started for; the message is what it said last."""


class Used(msgspec.Struct, frozen=True):
    """What one run took."""

    cpu_s: float
    wall_s: float
    #: 0: it is no figure.
    peak_mb: float


class Ran(msgspec.Struct, frozen=True):
    """One run: what it took, and what it said on its standard output."""

    used: Used
    said: bytes


def run(
    command: Sequence[str | Path],
    folder: Path,
    *,
    within_s: float,
    environ: Mapping[str, str] | None = None,
) -> Ran:
    """Run it to its end; raises ContestantError when that is a bad one or does not come."""
    said, complained = folder / "said", folder / "complained"
    with said.open("wb") as output, complained.open("wb") as errors:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **_plain(), **(environ or {})},
            stdin=subprocess.PIPE,  # kept open: ours ends when it closes
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            used = _watched(process, began_s, within_s)
        finally:
            kill_group(process.pid)
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                process.wait()
    if process.returncode != 0:
        words = complained.read_bytes() + said.read_bytes()
        raise ContestantError(words[-_LAST:].decode(errors="replace").strip() or f"code {process.returncode}")
    return Ran(used, said.read_bytes())


def _plain() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)}


def _watched(process: subprocess.Popen[bytes], began_s: float, within_s: float) -> Used:
    peak_bytes = 0
    while True:
        peak_bytes = max(peak_bytes, _held_bytes(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall_s = time.perf_counter() - began_s
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Used(usage.ru_utime + usage.ru_stime, wall_s, peak_bytes / _MB)
        if wall_s > within_s:
            raise ContestantError(f"did not end within {within_s:g} s")
        wait(_LOOK_S)


def _held_bytes(pid: int) -> int:
    held = highest = 0
    with contextlib.suppress(psutil.Error, OSError):
        first = psutil.Process(pid)
        highest = _high_water_bytes(pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                held += process.memory_info().rss
    return max(held, highest)


def _high_water_bytes(pid: int) -> int:
    """The most that the kernel saw it hold, since its program was loaded."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
