"""Drills: how soon the factory works again after each of the four disasters of the runbook, and what is lost.

Real factories, with stages whose work is to wait, on real servers and empty folders: restarts, restores and replays
are the product's own commands. What is lost is counted in requests that were accepted and are videos no more, and in
seconds between the last one that is still there and the disaster. A day of backups cannot pass in a drill: where the
schedule decides, the note says how much more it may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import msgspec
import psutil

from deploy.launch import procfile
from deploy.launch.plan import ROOT
from tests.bench.table import Goal, Row, lines, row
from tests.factory.running import STUBS, Factory

Say = Callable[[str], None]
DRILL: Final = STUBS.with_name("Procfile.drill")
_NOTES: Final = "Rivers carry more than water. " * 12
_SERVERS: Final = ("valkey", "postgres")
#: The runbook's are 300 s, 1 h, 4 h and 24 h; these are ours.
_CRASH_S, _CORRUPTION_S, _FAILURE_S, _LOSS_S = (Goal("<=", bound) for bound in (10, 60, 120, 120))
_NOTHING: Final = Goal("=", 0)
#: A piece of log is handed over once a minute.
_ARCHIVED_S: Final = Goal("<=", 75)
_HOUR_S, _DAY_S = Goal("<=", 3600), Goal("<=", 86_400)
_ENDS_WITHIN_S: Final = 30.0
_STAGE_S: Final = "0.3"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    #: Processes to kill; none: one of every line of the Procfile, and both servers.
    victims: tuple[str, ...] = ()
    #: Requests before and after the backup.
    requests: int = 5


class Asked:
    """Requests that were accepted, and when."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self.accepted: dict[str, float] = {}

    def ask(self, count: int) -> None:
        """Ask, and wait for the receipts."""
        for number in range(count):
            key = f"{len(self.accepted)}-{number}"
            self._factory.receipt(self._factory.submit(topic=f"Drill {key}", notes=_NOTES, key=key), within_s=60)
            self.accepted[key] = time.time()

    def lost(self, factory: Factory, at_s: float) -> tuple[int, float]:
        """How many are videos no more, and the seconds from the last that still is one to the disaster."""
        there = {str(key) for (key,) in factory.rows("SELECT key FROM video_queue")}
        kept = [when for key, when in self.accepted.items() if key in there]
        gone = len(self.accepted) - len(kept)
        return gone, at_s - max(kept) if gone else 0.0


def run(options: Options, say: Say) -> list[Row]:
    """Drills, says the table, and returns its rows."""
    with TemporaryDirectory(prefix="ytempire-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        found = [*_crashes(options, folder / "crash", say), *_disasters(options, folder, say)]
    for line in ("", *lines(found)):
        say(line)
    return found


def _crashes(options: Options, folder: Path, say: Say) -> Iterator[Row]:
    """Each process killed while there is work, and the servers."""
    names = [line.name for line in procfile.read(DRILL)]
    with _factory(folder) as factory:
        asked, worst, slowest = Asked(factory), 0.0, ""
        for victim in options.victims or (*names, *_SERVERS):
            asked.ask(1)
            took_s = _killed(factory, victim)
            say(f"{victim} killed: works again after {took_s:.2f} s")
            if took_s > worst:
                worst, slowest = took_s, victim
        _until_all_completed(factory, len(asked.accepted))
        gone, _ = asked.lost(factory, time.time())
    yield row("service crash: until it works again, the worst", worst, "s", _CRASH_S, note=f"{slowest}; runbook 5 min")
    yield row("service crash: accepted requests lost", gone, "", _NOTHING, note="all of them completed")


def _disasters(options: Options, folder: Path, say: Say) -> Iterator[Row]:
    """The record broken, then the machine lost; each way back from the same backups."""
    with _factory(folder / "first") as factory:
        asked = Asked(factory)
        yield from corruption(factory, asked, options, say)
        _command(factory, "backup", "--class", "daily")
        daily_s = time.time()
        asked.ask(options.requests)
        wal = folder / "first/backups/wal"
        count = len(list(wal.rglob("*.gz")))
        factory.until(lambda: len(list(wal.rglob("*.gz"))) > count, within_s=90)
        asked.ask(1)
        lost_s = time.time()
        # what another disk has at this moment: a server that is asked to end would hand over the rest
        shutil.copytree(folder / "first/backups", folder / "elsewhere")
        children = factory.children()
        factory.stop(signal.SIGKILL)
        psutil.wait_procs(children, timeout=_ENDS_WITHIN_S)
    shutil.rmtree(folder / "first")
    took_s, gone, behind_s = _recovered(folder, asked, lost_s)
    say(f"server failure: recovered after {took_s:.1f} s")
    yield row(
        "server failure: until recovered and validated", took_s, "s", _FAILURE_S, note="runbook 4 h; an empty folder"
    )
    note = f"{gone} of {len(asked.accepted)} requests; runbook 1 h; the log is handed over once a minute"
    yield row("server failure: lost, in seconds", behind_s, "s", _ARCHIVED_S, note=note)
    shutil.rmtree(folder / "second")
    for kind in ("base", "wal"):
        shutil.rmtree(folder / "elsewhere" / kind)
    took_s, gone, behind_s = _recovered(folder, asked, lost_s)
    say(f"complete loss: recovered after {took_s:.1f} s")
    yield row(
        "complete loss: until recovered and validated", took_s, "s", _LOSS_S, note="runbook 24 h; a daily dump alone"
    )
    note = (
        f"{gone} of {len(asked.accepted)} requests, the dump was {lost_s - daily_s:.0f} s old; by schedule up to a day"
    )
    yield row("complete loss: lost, in seconds", behind_s, "s", _DAY_S, note=note)


def corruption(factory: Factory, asked: Asked, options: Options, say: Say) -> Iterator[Row]:
    """A table gone, the rows of another wrong: restored while the factory runs."""
    asked.ask(options.requests)
    _command(factory, "backup", "--class", "daily")
    asked.ask(options.requests)
    asyncio.run(_break_the_record(factory.database_url))
    began_s, at_s = time.monotonic(), time.time()
    _command(factory, "restore", "--yes")
    _command(factory, "resume")
    _until_all_completed(factory, len(asked.accepted))
    took_s = time.monotonic() - began_s
    gone, behind_s = asked.lost(factory, at_s)
    say(f"database corruption: every video completed {took_s:.1f} s after it")
    yield row("database corruption: until all is made again", took_s, "s", _CORRUPTION_S, note="runbook 1 h")
    note = f"{gone} of {len(asked.accepted)} requests; runbook 1 h; Redis still had those since the backup"
    yield row("database corruption: lost, in seconds", behind_s, "s", _HOUR_S, note=note)


async def _break_the_record(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "DROP TABLE video_stages CASCADE; DELETE FROM money.days; UPDATE video_queue SET status = 'failed'"
    )
    await owner.close()


def _recovered(folder: Path, asked: Asked, lost_s: float) -> tuple[float, int, float]:
    """Recover on an empty folder; how long it took, what was lost, and everything else completes."""
    began_s = time.monotonic()
    factory = Factory(folder / "second", procfile=DRILL, environ={"STUB_STAGE_S": _STAGE_S})
    try:
        factory.start("recover", "--from", str(folder / "elsewhere"))
        took_s = time.monotonic() - began_s
        gone, behind_s = asked.lost(factory, lost_s)
        _until_all_completed(factory, len(asked.accepted) - gone)
    finally:
        _end(factory)
    if any("✗" in line for line in factory.said):
        raise RuntimeError("not whole: " + "".join(line for line in factory.said if "✗" in line))
    return took_s, gone, behind_s


@contextlib.contextmanager
def _factory(folder: Path) -> Iterator[Factory]:
    factory = Factory(folder, procfile=DRILL, environ={"STUB_STAGE_S": _STAGE_S})
    factory.start()
    try:
        yield factory
    finally:
        _end(factory)


def _end(factory: Factory) -> None:
    if factory.process is not None and factory.process.poll() is None:
        factory.stop()
    factory.close()


def _killed(factory: Factory, victim: str) -> float:
    """Kill it; the seconds until another one does its work."""
    pid, ready = _pid(factory, victim), _ready(factory, victim)
    began_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    factory.until(lambda: _pid(factory, victim) not in (0, pid) and _ready(factory, victim) > ready)
    return time.monotonic() - began_s


def _ready(factory: Factory, victim: str) -> int:
    """How often it said that it is ready."""
    if victim in _SERVERS:
        words = "ready to accept connections" if victim == "postgres" else "Ready to accept connections"
        return sum(words in line for line in list(factory.said) if line.startswith(victim))
    return sum(event.get("event") == "process.ready" for event in factory.events(victim))


def _pid(factory: Factory, victim: str) -> int:
    with contextlib.suppress(LookupError, psutil.Error):
        if victim != "gateway":
            return factory.pid_of(victim)
        return next((child.pid for child in factory.children() if "deploy.gateway" in child.cmdline()), 0)
    return 0


def _until_all_completed(factory: Factory, count: int) -> None:
    factory.until(lambda: factory.statuses() == {"completed": count}, within_s=120)


def _command(factory: Factory, *asked: str) -> str:
    command = (sys.executable, "-m", "deploy", *asked, "--data", str(factory.folder))
    done = subprocess.run(
        command, env=factory.environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"{asked[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
