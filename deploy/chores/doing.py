"""Does what is due: each chore is a command of its own, one at a time across all hosts, and a row that operators see.

A chore that fails, takes too long or whose command is not there ends as a failed row and an alert with the end of what
it said; it is not tried again before its next hour. A process that dies under a chore takes it with it; another one, or
the next, takes it over once the row's lease is over. Where systemd's timers or a crontab do the chores, set their times
to `off` and leave this process: it is also who sends messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from deploy.chores.schedule import OFF, Chore, chores, latest
from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from deploy.launch.privileges import die_with_parent
from deploy.launch.program import kill_group
from deploy.reporting.messages import Messenger
from schema.record.chore_runs import LEASE_S, ChoreRuns
from schema.record.messages import Message
from streams.process import Process

_TICK_S: Final = 5.0
_SAID_CHARS: Final = 4000
_log = structlog.get_logger(__name__)


class Chores:
    """The chores of this process; `tick` looks once, and does all that is due."""

    def __init__(self, process: Process, messenger: Messenger) -> None:
        self._process, self._messenger = process, messenger
        self._operations = process.settings.operations
        self._runs, self._host = ChoreRuns(process.postgres), socket.gethostname()
        self._chores = chores(self._operations)
        #: How a command is started; a test puts its own here.
        self.command: Callable[[Chore], tuple[str, ...]] = _command
        self.now: Callable[[], datetime] = process.clock.now

    async def run(self) -> None:
        """Tick until cancelled; whatever goes wrong, the next tick comes."""
        while True:
            try:
                await self.tick()
                self._process.watchdog.consumed()
            except Exception:  # noqa: BLE001 - whatever it was, backups must not end with it
                _log.exception("chores.tick_failed")
            await asyncio.sleep(_TICK_S)

    async def tick(self) -> None:
        """Do what is due, one after the other."""
        known = {run.chore: run.due_at for run in await self._runs.latest()}
        for chore in self._chores:
            due_at = self._due_at(chore)
            if due_at is None or (chore.name in known and known[chore.name] > due_at):
                continue
            if chore.at and chore.name not in known:
                await self._runs.skip(chore.name, due_at, self._host)
            elif await self._runs.claim(chore.name, due_at, self._host):
                await self._do(chore, due_at)

    def _due_at(self, chore: Chore) -> datetime | None:
        if chore.at == OFF:
            return None
        if chore.at:
            return latest(chore.at, self.now())
        usage = shutil.disk_usage(_existing(Path(self._process.settings.servers.data_dir)))
        percent = 100 * usage.used / (usage.used + usage.free)
        # once an hour: where cleaning made no room, cleaning again makes none
        return latest(":00", self.now()) if percent > self._process.settings.limits.disk_usage_percent else None

    async def _do(self, chore: Chore, due_at: datetime) -> None:
        _log.info("chore.started", chore=chore.name, due_at=due_at.isoformat())
        renewing = asyncio.create_task(self._renew(chore, due_at))
        try:
            code, said = await self._executed(chore)
        finally:
            renewing.cancel()
        outcome = "done" if code == 0 else "failed"
        await self._runs.end(chore.name, due_at, self._host, outcome=outcome, said=said)
        _log.info("chore.ended", chore=chore.name, outcome=outcome, code=code)
        if code != 0:
            at = self.now()
            title, source = f"{chore.name} failed on {self._host}", f"chore/{chore.name}/{due_at.isoformat()}"
            body = f"{said.strip() or f'exit code {code}'}\ndo: ./ytempire {' '.join(chore.argv)}"
            await self._messenger.tell([Message(source, f"chore:{chore.name}", "critical", title, body, at)])
        await self._runs.forget_old()

    async def _renew(self, chore: Chore, due_at: datetime) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 4)
            await self._runs.renew(chore.name, due_at)
            self._process.watchdog.consumed()

    async def _executed(self, chore: Chore) -> tuple[int, str]:
        """Exit code and the end of what it said; -1 where it took too long."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self.command(chore),
                env=_environ(self._process.settings.servers.metrics_port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),
            )
        except OSError as error:
            return -1, str(error)
        said = bytearray()
        try:
            async with asyncio.timeout(self._operations.chore_limit_s):
                await _listen(child, said)
                code = await child.wait()
        except TimeoutError:
            code = -1
            said += f"\nended: it took longer than {self._operations.chore_limit_s:g} s".encode()
        finally:
            kill_group(child.pid)
            with contextlib.suppress(asyncio.CancelledError):
                await child.wait()
        return code, said.decode(errors="replace")[-_SAID_CHARS:]


async def _listen(child: asyncio.subprocess.Process, said: bytearray) -> None:
    assert child.stdout is not None  # noqa: S101 - it was asked for
    while more := await child.stdout.read(1 << 16):
        said += more
        del said[: -2 * _SAID_CHARS]


def _command(chore: Chore) -> tuple[str, ...]:
    return (sys.executable, "-m", "deploy", *chore.argv)


def _environ(metrics_port: int) -> dict[str, str]:
    """As a command of a person has it: the exporters' first port, not ours."""
    names = [line.name for line in procfile.read(PROCFILE)]
    own = names.index("chores") if "chores" in names else 0
    return {**os.environ, "PYTHONPATH": str(ROOT), "YTEMPIRE_METRICS_PORT": str(metrics_port - own)}


def _existing(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


async def run(process: Process) -> None:
    """Do chores and send messages until cancelled."""
    messenger = Messenger(process)
    await messenger.prepare()
    async with asyncio.TaskGroup() as group:
        group.create_task(messenger.run())
        group.create_task(Chores(process, messenger).run())
