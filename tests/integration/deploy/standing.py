"""A factory of stand-in processes, run as a user runs it: `python -m deploy up` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports

STAND_IN = Path(__file__).with_name("stand_in.py")
_WITHIN_S = 30.0


class Up:
    """One `up` on free ports in a folder of its own; `behaviours` are the processes of its Procfile."""

    def __init__(self, folder: Path, behaviours: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.folder = folder / "data"
        procfile = folder / "Procfile"
        lines = (f"{name}: python {STAND_IN} {name.rstrip('0123456789')}\n" for name in behaviours)
        procfile.write_text("".join(lines), encoding="utf-8")
        first = free_ports(2 + len(behaviours))
        self.redis_port, self.postgres_port, self.metrics_port = first, first + 1, first + 2
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("YTEMPIRE_", "REDIS", "DATA"))
        }
        self.environ = {
            **clean,
            "PYTHONPATH": str(ROOT),
            "YTEMPIRE_REDIS_PORT": str(self.redis_port),
            "YTEMPIRE_POSTGRES_PORT": str(self.postgres_port),
            "YTEMPIRE_METRICS_PORT": str(self.metrics_port),
            **environ,
        }
        command = (sys.executable, "-m", "deploy", "up", "--data", str(self.folder), "--procfile", str(procfile))
        self.process = subprocess.Popen(
            command,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []

    def until_says(self, words: str) -> str:
        """Read on until a line has `words`; returns that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}, but:\n" + "".join(self.said))

    def until_ready(self) -> None:
        """Read on until it says that it is ready."""
        while self.until_says("ready") != "ready\n":
            pass

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, read the rest, wait; returns the exit code."""
        self.process.send_signal(signum)
        rest, _ = self.process.communicate(timeout=_WITHIN_S)
        self.said.append(rest)
        return self.process.returncode

    def below(self) -> list[psutil.Process]:
        """All processes that it started and that live."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def one(self, word: str) -> psutil.Process:
        """The process it started whose command has this word."""
        return next(child for child in psutil.Process(self.process.pid).children() if _has(child, word))

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same user, in the same environment."""
        command = (sys.executable, "-m", "deploy", *args, "--data", str(self.folder))
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)


def _has(process: psutil.Process, word: str) -> bool:
    return process.name() == word or word in process.cmdline()


def nobody_left(folder: Path) -> list[psutil.Process]:
    """Processes that still belong to a folder after a moment's grace."""
    return alive([process for process in psutil.process_iter() if _mentions(process, str(folder))])


def alive(processes: list[psutil.Process], within_s: float = _WITHIN_S) -> list[psutil.Process]:
    """Those that still run after a moment's grace; a zombie is only init's book-keeping."""
    end_s = time.monotonic() + within_s
    while (left := [process for process in processes if not _ended(process)]) and time.monotonic() < end_s:
        time.sleep(0.02)
    return left


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        mentioned = any(text in word for word in (*process.cmdline(), *process.environ().values()))
        return mentioned and process.pid != os.getpid()
    except psutil.Error:
        return False
