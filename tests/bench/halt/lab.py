"""Servers of the bench's own, and a crew of real processes that note what they do.

Everything is in one folder and goes with it. The crew is started a few at a time, since all at once would only wait for
each other.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil
import redis

from deploy.launch import postgres, probes, valkey
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from deploy.launch.program import Program, kill_group, running
from tests.bench.halt.slots import FRAMES, OPENED, SHUT, Slots, watched
from tests.bench.waiting import wait

Say = Callable[[str], None]
_AT_ONCE: Final = 4
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 60.0
#: A pool of two a process, so that 32 of them fit into Postgres's 100 connections.
_POOL: Final = 2


class Servers:
    """A Valkey that may be stopped, killed and started again, and a Postgres."""

    def __init__(self, folder: Path, *, postgres_options: Sequence[str] = ()) -> None:
        """Starts nothing; `postgres_options` as on its command line."""
        self.folder = folder
        self.redis_port, self.postgres_port = free_ports(), free_ports()
        self.redis_url, self.database_url = valkey.url(self.redis_port), postgres.url(self.postgres_port)
        self._options = tuple(postgres_options)
        self._stack, self._valkey_stack = ExitStack(), ExitStack()

    def __enter__(self) -> Self:
        """Start both."""
        program = postgres.postgres(self.folder / "postgres", self.postgres_port)
        program = msgspec.structs.replace(program, argv=(*program.argv, *self._options))
        self.postgres = self._stack.enter_context(running(program, self.folder / "postgres.log"))
        self.start_valkey()
        self.client = redis.Redis.from_url(self.redis_url)
        return self

    def __exit__(self, *_: object) -> None:
        """End both."""
        self._valkey_stack.close()
        self._stack.close()

    def start_valkey(self) -> None:
        """On the same port, with what it had kept."""
        program = valkey.valkey(self.folder / "valkey", self.redis_port)
        self.valkey = self._valkey_stack.enter_context(running(program, self.folder / "valkey.log"))

    def kill_valkey(self) -> None:
        """At once."""
        self.valkey.kill()
        self._valkey_stack.close()

    def environ(self) -> dict[str, str]:
        """What a process of the factory is told."""
        return {
            **os.environ,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "YTEMPIRE_DATA_DIR": str(self.folder / "data"),
            "YTEMPIRE_DB_POOL_MAX": str(_POOL),
            "ORT_DISABLE_TELEMETRY": "1",
        }


class Crew:
    """Processes that are watched, by the number of their row."""

    def __init__(self, servers: Servers, commands: Sequence[tuple[str, ...]]) -> None:
        """Starts nothing; the commands are Python's arguments."""
        self.servers, self._commands = servers, commands
        path = servers.folder / "slots"
        self.slots = Slots.make(path, len(commands))
        inside = Path(__file__).with_name("inside")
        ports = free_ports(len(commands))
        self._programs = [
            Program(
                name=command[-1],
                argv=(sys.executable, *command),
                environ={**watched(inside, path, row, ROOT), "YTEMPIRE_METRICS_PORT": str(ports + row)},
                answers=partial(probes.exporter_answers, ports + row),
            )
            for row, command in enumerate(commands)
        ]
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """All of them, until each counts as ready."""
        log = self.servers.folder / "crew.log"
        environ = self.servers.environ()
        for at in range(0, len(self._programs), _AT_ONCE):
            batch = self._programs[at : at + _AT_ONCE]
            with log.open("ab") as output:
                for program in batch:
                    wait(0)
                    self._started.append(
                        subprocess.Popen(
                            program.argv,
                            env={**environ, **program.environ},
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=subprocess.STDOUT,
                            start_new_session=True,
                            preexec_fn=program.enter(),  # noqa: PLW1509 - only system calls happen there
                        )
                    )
            for program in batch:
                asyncio.run(probes.until_it(program.answers, timeout_s=_PATIENCE_S))

    def end(self) -> None:
        """Clean ends first, then whoever is left."""
        for process in self._started:
            process.terminate()
        until_s = time.monotonic() + _PATIENCE_S / 3
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until_s - time.monotonic()))
            kill_group(process.pid)
            process.wait()

    def rows_of(self, name: str) -> list[int]:
        """The rows of the processes of this name."""
        return [row for row, command in enumerate(self._commands) if command[-1] == name]

    def shut_after_ms(self, began_ns: int) -> float:
        """Waits until every gate has shut since then; how long the last one took."""
        return (self._last(SHUT, began_ns) - began_ns) / 1e6

    def wait_until_open(self, began_ns: int) -> None:
        """Waits until every gate has opened since then."""
        self._last(OPENED, began_ns)

    def _last(self, slot: int, began_ns: int) -> int:
        rows = range(len(self._commands))
        self.until(lambda: all(self.slots.read(row, slot) > began_ns for row in rows))
        return max(self.slots.read(row, slot) for row in rows)

    def wait_for_frames(self, count: int) -> None:
        """Waits until each render has encoded so many more."""
        enough = {row: self.slots.read(row, FRAMES) + count for row in self.rows_of("render")}
        self.until(lambda: all(self.slots.read(row, FRAMES) >= frames for row, frames in enough.items()))

    def rendering(self) -> bool:
        """Whether a render's child is alive."""
        return any(psutil.Process(self._started[row].pid).children() for row in self.rows_of("render"))

    def until(self, what: Callable[[], bool]) -> None:
        """Looks again and again until it is so; raises RuntimeError when it is not within a minute."""
        until_s = time.monotonic() + _PATIENCE_S
        while not what():
            if time.monotonic() > until_s:
                tail = (self.servers.folder / "crew.log").read_text(errors="replace").splitlines()[-15:]
                raise RuntimeError("\n".join(("this did not come to pass; the log ends with", *tail)))
            wait(_LOOK_S)


@contextmanager
def crew(servers: Servers, commands: Sequence[tuple[str, ...]]) -> Iterator[Crew]:
    """Started, and gone after the block."""
    made = Crew(servers, commands)
    try:
        made.start()
        yield made
    finally:
        made.end()


#: When a halt comes is no matter of choice.
dice = random.Random()  # noqa: S311 - no secret
