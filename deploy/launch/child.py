"""Keeps one program running: starts it again after it died, waits longer each time, ends it with all its group.

The program's output goes to the common output line by line. A program that cannot even be started counts as one that
died. It cannot tell a program that hangs from one that works: only death is seen here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import msgspec

from deploy.launch.output import LINE_MAX_BYTES, Output
from deploy.launch.probes import until_it
from deploy.launch.program import Program, kill_group
from schema.clock import Clock, SystemClock
from schema.errors import ConfigurationError

#: How long the rest of a dead program's output is waited for: a stray grandchild may hold the pipe open.
_LAST_WORDS_S = 1.0
_SHOWN_CHARS = 400


class Backoff(msgspec.Struct, frozen=True):
    """The delay before a program is started again doubles from the first to the longest, and again from the first."""

    first_s: float = 0.2
    longest_s: float = 10.0
    #: A program that lived this long had started well.
    steady_after_s: float = 30.0
    #: Deaths before it was ready once, after which it will not become ready at all.
    hopeless_after: int = 5


class Child:
    """One program, from `start` until `stop`; made and used in the main thread."""

    def __init__(self, program: Program, output: Output, backoff: Backoff, clock: Clock | None = None) -> None:
        self.program = program
        self._output, self._backoff, self._clock = output, backoff, clock or SystemClock()
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._deaths, self._last_words = 0, "it said nothing"

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin to keep it running."""
        self._task = asyncio.create_task(self._keep_running(), name=f"keep {self.program.name} running")

    async def ready(self) -> None:
        """Wait until it answers; raises ConfigurationError when it only ever dies."""

        async def answers_or_hopeless() -> bool:
            if self._deaths >= self._backoff.hopeless_after:
                raise ConfigurationError(
                    f"{self.program.name} does not start, it ended {self._deaths} times: "
                    f"{self._last_words[:_SHOWN_CHARS]}"
                )
            return self._process is not None and await self.program.answers()

        await until_it(answers_or_hopeless)
        self._deaths = 0

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, and end it after `grace_s` seconds; returns when it is gone."""
        self._stopping.set()
        if self._task is None:
            return
        self._ask_to_end()
        done, _ = await asyncio.wait({self._task}, timeout=grace_s)
        if not done:
            self._output.line(self.program.name, f"did not end within {grace_s:g} s: killed")
            self.kill()
        await self._task

    def kill(self) -> None:
        """End it and its group at once, and do not start it again."""
        self._stopping.set()
        if self._process is not None:
            kill_group(self._process.pid)

    def _ask_to_end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.program.stop_signal)

    async def _keep_running(self) -> None:
        delay_s = self._backoff.first_s
        while not self._stopping.is_set():
            began_s = self._clock.monotonic_s()
            how = await self._run_once()
            if self._stopping.is_set():
                return
            self._deaths += 1
            if self._clock.monotonic_s() - began_s >= self._backoff.steady_after_s:
                delay_s = self._backoff.first_s
            self._output.line(self.program.name, f"{how}; starting again in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, self._backoff.longest_s)

    async def _run_once(self) -> str:
        """Run it to its end; returns how it ended, in words."""
        try:
            self.program.prepare()
            self._process, output_fd = await self._spawn()
        except (OSError, ConfigurationError) as error:
            self._last_words = str(error)
            return f"cannot be started: {error}"
        if self._stopping.is_set():
            self._ask_to_end()
        copying = asyncio.create_task(self._copy(output_fd))
        code = await self._process.wait()
        kill_group(self._process.pid)
        self._process = None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(copying, _LAST_WORDS_S)
        return f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int]:
        # a pipe of our own: the process's end is then its end, also while somebody else still holds the pipe
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self.program.argv,
                env={**os.environ, **self.program.environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self.program.enter(),
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        return process, read_end

    async def _copy(self, output_fd: int) -> None:
        reader = asyncio.StreamReader(limit=LINE_MAX_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output_fd, "rb", buffering=0)
        )
        try:
            while line := await _line(reader):
                self._last_words = line.decode("utf-8", errors="replace").rstrip()
                self._output.line(self.program.name, self._last_words)
        finally:
            transport.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, or as much of it as fits; empty at the end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as full:
        return await reader.read(max(1, full.consumed))
