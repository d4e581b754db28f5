"""Runs the renderer in a child process that can be ended at any moment without harming its neighbours.

The child dies with this process, and is killed as soon as a checkpoint raises. Little is lost by that: a film has its
name only when it is whole, and what is encoded of it lies in parts that outlive any kill, up to their last whole
group of pictures; the next attempt goes on from there. Asked instead of killed, it would go on for the frame that it
is at, which on a busy machine takes longer than a halt may. It speaks in JSON lines: progress, then one result or one
error, and between them what its card does. It hears lines, too; one that it does not read is lost with it and delays
nobody. It decodes files of strangers, so it is told no key, no token and no way to a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import TypeVar

import msgspec

from actors.rendering.order import Problem
from actors.task import Task
from schema.errors import PermanentError, RetryableError
from schema.settings.environment import without_secrets

Result = TypeVar("Result")
_CHECK_S = 0.02
_LINE_BYTES = 1 << 20


class Line(msgspec.Struct, frozen=True):
    """One line of a child: progress, its end, or what became of its card's memory."""

    frame: int | None = None
    of: int | None = None
    #: Why its card had no memory left, in words.
    out_of_memory: str = ""
    #: What it freed when it was asked to.
    released_bytes: int | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: Problem | None = None


def ignore(_line: Line) -> None:
    """Nobody wants to know."""


async def run(
    verb: str,
    order: msgspec.Struct,
    kind: type[Result],
    task: Task,
    *,
    hears: Callable[[Line], None] = ignore,
    tells: asyncio.Queue[bytes] | None = None,
) -> Result:
    """Let a child carry out `order`, keep the task's progress, and return its result.

    `hears` is called with every line that is neither progress nor the end; lines in `tells` go to the child.

    Raises PermanentError or RetryableError as the child says, and whatever a checkpoint raises.
    """
    path = task.scratch / f"{verb}.json"
    path.write_bytes(msgspec.json.encode(order))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actors.rendering", verb, str(path)),
        env=without_secrets(os.environ),
        stdin=PIPE,
        stdout=PIPE,
        limit=_LINE_BYTES,
    )
    listening = asyncio.create_task(_listen(child, task, hears))
    telling = asyncio.create_task(_tell(child, tells)) if tells is not None else None
    try:
        while not listening.done():
            task.checkpoint()
            await asyncio.wait({listening}, timeout=_CHECK_S)
        last = listening.result()
        code = await child.wait()
    finally:
        listening.cancel()
        if telling is not None:
            telling.cancel()
        await _end(child)
    if last.error is not None:
        error = PermanentError if last.error.kind == "permanent" else RetryableError
        raise error(last.error.message, hint=last.error.hint)
    if not bytes(last.result):
        raise RetryableError(f"the {verb} child ended with code {code} and left no result")
    return msgspec.json.decode(last.result, type=kind)


async def _tell(child: Process, lines: asyncio.Queue[bytes]) -> None:
    """Pass lines on until the child has gone."""
    assert child.stdin is not None  # noqa: S101 - it was started with a pipe
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while True:
            child.stdin.write(await lines.get())
            await child.stdin.drain()


async def _listen(child: Process, task: Task, hears: Callable[[Line], None]) -> Line:
    assert child.stdout is not None  # noqa: S101 - it was started with a pipe
    last = Line()
    async for text in child.stdout:
        try:
            line = msgspec.json.decode(text, type=Line)
        except msgspec.DecodeError:
            continue  # a library's own words
        if line.out_of_memory or line.released_bytes is not None:
            hears(line)
            continue
        last = line
        if last.frame is not None and last.of:
            task.progress = last.frame / last.of
    return last


async def _end(child: Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    await child.wait()
