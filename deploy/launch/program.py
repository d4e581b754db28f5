"""A program that the launcher runs: its command, how to ask whether it is ready, and how to end it.

`running` holds one for as long as a block lasts; the supervisor keeps many running and starts again what died. Either
way the program is in a session of its own, is told when its parent dies, and leaves nobody of its group behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from deploy.launch import privileges, probes
from schema.errors import ConfigurationError


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; nothing is started by making one."""

    name: str
    argv: tuple[str, ...]
    #: Added to the environment of the parent.
    environ: Mapping[str, str]
    answers: Callable[[], Awaitable[bool]]
    #: Ends it cleanly.
    stop_signal: signal.Signals = signal.SIGTERM
    #: What the kernel sends it when the launcher is killed.
    orphan_signal: signal.Signals = signal.SIGKILL
    #: Called before each start, in the parent; may raise ConfigurationError.
    prepare: Callable[[], None] = privileges.nothing
    #: Called in the child, before the program: gives up rights.
    become: Callable[[], None] = privileges.nothing

    def enter(self) -> Callable[[], None]:
        """What a child of this process has to do between fork and exec."""
        parent_pid = os.getpid()

        def in_child() -> None:
            self.become()
            privileges.leave_no_core()
            privileges.die_with_parent(self.orphan_signal, parent_pid)

        return in_child


@contextlib.contextmanager
def running(
    program: Program, log: Path, *, ready_within_s: float = 30.0, stopped_within_s: float = 10.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one program until the block ends, its output in the file `log`.

    Raises ConfigurationError with the end of that output when it does not become ready.
    """
    program.prepare()
    with log.open("ab") as output:
        process = subprocess.Popen(
            program.argv,
            env={**os.environ, **program.environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=program.enter(),  # noqa: PLW1509 - only system calls happen there
        )
    try:
        _wait_until_ready(program, process, log, ready_within_s)
        yield process
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.send_signal(program.stop_signal)
            process.wait(stopped_within_s)
        kill_group(process.pid)
        process.wait()


def _wait_until_ready(program: Program, process: subprocess.Popen[bytes], log: Path, within_s: float) -> None:
    async def answers_or_ended() -> bool:
        return process.poll() is not None or await program.answers()

    with contextlib.suppress(TimeoutError):
        asyncio.run(probes.until_it(answers_or_ended, timeout_s=within_s))
        if process.poll() is None:
            return
    last_lines = " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
    state = "does not answer" if process.poll() is None else f"ended with code {process.returncode}"
    raise ConfigurationError(f"{program.name} {state}: {last_lines}", hint=f"its whole output is in {log}")


def kill_group(leader_pid: int) -> None:
    """End at once whoever is left of a group; nobody there is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)
