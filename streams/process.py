"""What every process of the factory sets up once: settings, logs, record, bus, artifacts, exporter, and its end.

`python -m actors NAME` and `python -m guardians NAME` both begin here. A process counts as ready when its exporter
answers, which is the last thing that starts.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from schema import modes
from schema.artifacts import Artifacts
from schema.clock import SystemClock
from schema.errors import ConfigurationError, PipelineError
from schema.events.notice import WIPED
from schema.modes import Bundle
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.record.standing import modes_of
from schema.release import RELEASE
from schema.settings.environment import Settings, read, secrets
from schema.telemetry import logs, metrics, traces
from streams import names
from streams.control import GateKeeper
from streams.gate import Gate
from streams.publish import publish
from streams.transport import consumers
from streams.transport.connection import UnsafeServerError
from streams.transport.over_redis import RedisTransport
from streams.watchdog import Watchdog

_log = structlog.get_logger(__name__)


class Process:
    """The parts of one running process."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings, self.clock = name, settings, SystemClock()
        servers = settings.servers
        self.gate = Gate()
        #: Whoever runs a loop here tells it of each turn.
        self.watchdog = Watchdog()
        self.transport = RedisTransport(
            servers.redis_address,
            process=name,
            lease_s=servers.lease_s,
            block_s=servers.block_s,
            on_wiped=self._wiped,
            on_away=self.watchdog.waits,
        )
        self.gate.on_change(metrics.GATE.state)
        self.gate.on_change(lambda state: self.watchdog.stopping() if state == "stopping" else None)
        self.postgres = Postgres(servers.database_address, servers, process=name, on_away=self.watchdog.waits)
        self.artifacts = Artifacts(servers.artifacts_address, servers.artifacts_access)
        self.gate_record = GateRecord(self.postgres)
        self.keeper = GateKeeper(self.gate, self.gate_record, self.transport, block_s=servers.block_s)
        self._scratch: Path | None = None

    def _wiped(self, stream: str) -> None:
        _log.warning("redis.wiped", stream=stream)
        publish(self.transport, names.NOTICES, {"type": WIPED, "by": self.name, "stream": stream}, token=WIPED)

    def mode(self, video: str = "") -> Bundle:
        """What the modes in force mean for this video, or for all, at this moment."""
        return modes.in_force(modes_of(self.keeper.orders, video))

    async def open(self) -> None:
        """Connect, migrate, read the gate; the running loop is the one that the pool will live on."""
        traces.begin(self.name)
        try:
            await asyncio.to_thread(self.transport.refuse_unsafe_server)
        except UnsafeServerError as error:
            raise ConfigurationError(str(error), hint="see the Redis section of the README") from error
        await self.postgres.open()
        await self.keeper.start()

    def serve_metrics(self) -> None:
        """Start the exporter: from now on the process counts as ready."""
        metrics.serve(self.settings.servers.metrics_host, self.settings.servers.metrics_port)
        self.watchdog.ready()
        _log.info("process.ready", port=self.settings.servers.metrics_port, release=RELEASE)

    async def close(self) -> None:
        """Let go of everything that was opened."""
        metrics.stop()
        await self.keeper.stop()
        await self.postgres.close()
        await asyncio.to_thread(traces.end)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        _log.info("process.stopped")

    def scratch(self) -> Path:
        """A new folder for one attempt, below this process's own, which goes with it; a killed one's is removed too.

        Others may share the disk, on other machines or in other containers, and have the same process id there: the
        folder has the name that the process has on the bus, and only what surely died here is removed.
        """
        parent = Path(self.settings.servers.data_dir).absolute() / "scratch"
        if self._scratch is None:
            for old in parent.glob("*"):
                if consumers.surely_dead(old.name):
                    shutil.rmtree(old, ignore_errors=True)
            self._scratch = parent / self.transport.consumer
        # made anew where it was tidied up while nothing was in it
        self._scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._scratch))


def main(name: str, run: Callable[[Process], Awaitable[None]], *, says_ready: bool = False) -> int:
    """Run a process that lives on one loop until TERM or Ctrl-C; `run` is cancelled then. Returns the exit code.

    It is ready when it is open, or, where `run` says so itself, when that calls `serve_metrics`.
    """
    logs.configure(name)
    try:
        settings = read()
        logs.hide(secrets(settings))
        process = Process(name, settings)
        asyncio.run(_until_told(process, run, says_ready=says_ready))
    except PipelineError as error:
        say(error)
        return 1
    return 0


def say(error: PipelineError) -> None:
    """One clear line for a person."""
    print(logs.cleaned(f"{error}" + (f"  ({error.hint})" if error.hint else "")), file=sys.stderr)  # noqa: T201 - for a person


async def _until_told(process: Process, run: Callable[[Process], Awaitable[None]], *, says_ready: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    work = asyncio.ensure_future(_opened(process, run, says_ready=says_ready))
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        process.gate.stop()
        told.cancel()
        if not work.done():
            work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.result()
    finally:
        await process.close()
        await asyncio.to_thread(process.transport.close)


async def _opened(process: Process, run: Callable[[Process], Awaitable[None]], *, says_ready: bool) -> None:
    await process.open()
    if not says_ready:
        process.serve_metrics()
    await run(process)
