"""Runs a factory as a user does, `up` in a process of its own, and looks at it from outside.

What happened is read from its log and from the record; waiting is on those, each wait with an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

from deploy.launch import probes
from deploy.launch.plan import PROCFILE, ROOT
from deploy.launch.ports import free_ports
from schema.record.postgres import Connection, Postgres
from schema.settings.servers import Servers
from streams import names, receipts
from streams.publish import publish
from streams.transport.over_redis import RedisTransport

T = TypeVar("T")
STUBS = Path(__file__).with_name("Procfile.stubs")
_WORKERS = 15
_READY_WITHIN_S, _ENDS_WITHIN_S, _LOOK_S = 90.0, 30.0, 0.02


class Factory:
    """A running factory; `folder` is its data directory."""

    def __init__(self, folder: Path, *, procfile: Path = PROCFILE, environ: Mapping[str, str] | None = None) -> None:
        self.folder, self._procfile = folder, procfile
        first = free_ports(_WORKERS + 3)
        self.redis_port, self.postgres_port, self.metrics_port = first, first + 1, first + 2
        self.gateway_port = first + 2 + _WORKERS
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.database_url = f"postgresql://ytempire@127.0.0.1:{self.postgres_port}/ytempire"
        ports = {
            "REDIS": self.redis_port,
            "POSTGRES": self.postgres_port,
            "METRICS": self.metrics_port,
            "GATEWAY": self.gateway_port,
        }
        clean = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
        self.environ = {
            **clean,
            **{f"YTEMPIRE_{name}_PORT": str(port) for name, port in ports.items()},
            "PYTHONPATH": str(ROOT),
            **(environ or {}),
        }
        self.process: subprocess.Popen[str] | None = None
        self.transport = RedisTransport(self.redis_url, process="test", lease_s=5.0)
        self.said: list[str] = []
        self._events: list[dict[str, object]] = []
        self._reader: threading.Thread | None = None
        self._runner = asyncio.Runner()
        self._postgres: Postgres | None = None

    def start(self, *asked: str) -> None:
        """`up`, or another command that becomes a factory, until it says that it is ready."""
        command = (
            sys.executable,
            "-m",
            "deploy",
            *(asked or ("up",)),
            "--data",
            str(self.folder),
            "--procfile",
            str(self._procfile),
        )
        self.process = subprocess.Popen(
            command,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ready: queue.Queue[bool] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        self._reader.start()
        try:
            came_up = ready.get(timeout=_READY_WITHIN_S)
        except queue.Empty:
            came_up = False
        if not came_up:
            self.stop(signal.SIGKILL)
            raise AssertionError("the factory did not become ready: " + "".join(self.said[-30:]))

    def _read(self, process: subprocess.Popen[str], ready: queue.Queue[bool]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line)
            name, _, text = line.partition(" | ")
            if text.startswith("{"):
                with contextlib.suppress(json.JSONDecodeError):  # of a line that a kill cut in two
                    self._events.append({"process": name.strip(), **json.loads(text)})
            if line.strip() == "ready":
                ready.put(item=True)
        ready.put(item=False)

    def stop(self, signum: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C (or worse); returns the exit code once it has ended."""
        assert self.process is not None
        self.process.send_signal(signum)
        code = self.process.wait(_ENDS_WITHIN_S)
        self._hear_out()
        return code

    def children(self) -> list[psutil.Process]:
        """All processes below `up`."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid_of(self, name: str) -> int:
        """The process that runs the actor, guardian or server `name`."""
        for child in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                command = child.cmdline()
                if command[-1:] in ([name], [f"deploy.{name}"]) or (
                    name in ("valkey", "postgres") and _is_server(child, name)
                ):
                    return child.pid
        raise LookupError(f"no process runs {name}")

    def events(self, process: str | None = None) -> list[dict[str, object]]:
        """What the processes logged as JSON so far, in order; of one process, or of all."""
        return [event for event in self._events if process in (None, event["process"])]

    def until(self, what: Callable[[], T], *, within_s: float = 60.0) -> T:
        """Look again and again until `what` gives something; fails with the end of the log."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if found := what():
                return found
            time.sleep(_LOOK_S)
        raise AssertionError(f"not within {within_s:g} s; the log ends with:\n" + "".join(self.said[-40:]))

    def started(self, stage: str, seen: int = 0) -> int:
        """How often an attempt at `stage` was started so far, when that is more than `seen`, else 0."""
        count = sum(event.get("event") == "stage.started" for event in self.events(stage))
        return count if count > seen else 0

    def submit(self, **fields: str) -> str:
        """XADD to stream:intake; returns the entry's id."""
        return publish(self.transport, names.INTAKE, fields)

    def receipt(self, entry_id: str, *, within_s: float = 20.0) -> dict[str, str]:
        """The receipt of an entry, waited for."""
        found = receipts.wait(self.transport, names.receipt_key(entry_id), within_s)
        assert found is not None, f"no receipt for {entry_id}; the log ends with:\n" + "".join(self.said[-40:])
        return found

    def command(self, **fields: str) -> dict[str, str]:
        """XADD to stream:control; returns its receipt."""
        entry_id = publish(self.transport, names.CONTROL, fields)
        found = receipts.wait(self.transport, names.control_receipt_key(entry_id), 20.0)
        assert found is not None, "no receipt for the command"
        return found

    def flushall(self) -> None:
        """Wipe Redis, as an operator might."""
        assert (
            asyncio.run(probes.ask(self.redis_port, b"FLUSHALL\r\n", until=lambda said: said.endswith(b"\n")))
            == b"+OK\r\n"
        )

    def redis(self, *command: str | bytes) -> None:
        """Say something to Redis, as an operator might; any command."""
        words = [word.encode() if isinstance(word, str) else word for word in command]
        said = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        answer = asyncio.run(probes.ask(self.redis_port, said, until=lambda said: said.endswith(b"\n")))
        assert not answer.startswith(b"-"), answer

    def rows(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Ask the record."""

        async def work(connection: Connection) -> list[tuple[object, ...]]:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]

        if self._postgres is None:
            self._postgres = Postgres(self.database_url, Servers(), process="test")
            self._runner.run(self._postgres.open())
        return self._runner.run(self._postgres.run(work))

    def close(self) -> None:
        """Let go of the servers and of what `up` says."""
        self.transport.close()
        if self._postgres is not None:
            self._runner.run(self._postgres.close())
        self._runner.close()
        self._hear_out()

    def _hear_out(self) -> None:
        """Read to the end what `up` said."""
        if self._reader is not None and self.process is not None and self.process.stdout is not None:
            self._reader.join(_ENDS_WITHIN_S)
            self.process.stdout.close()

    def statuses(self) -> dict[str, int]:
        """Videos by status."""
        rows = self.rows("SELECT status, count(*) FROM video_queue GROUP BY status")
        return {str(status): int(str(count)) for status, count in rows}


def _is_server(child: psutil.Process, name: str) -> bool:
    return (
        child.ppid() != 1 and name in Path(child.cmdline()[0]).name and not child.cmdline()[0].startswith("postgres:")
    )


@contextlib.contextmanager
def factory(folder: Path, *, procfile: Path = PROCFILE, environ: Mapping[str, str] | None = None) -> Iterator[Factory]:
    """A running factory, gone after the block."""
    running = Factory(folder, procfile=procfile, environ=environ)
    running.start()
    try:
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.stop()
        if running.process is not None and running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        running.close()
