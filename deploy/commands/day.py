"""`check`, `monitor` and `chores`: the morning's checklist, the hourly look, and what was done by itself.

Exit codes: 0 all is well, 1 something is not; what nobody can know, or what this machine has not got, is no fault.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.commands.screen import follow
from deploy.commands.terminal import FAILED, DataOption, JsonOption, data_dir, running_factory, seconds
from deploy.launch.data_directory import Addresses
from schema.record.chore_runs import ChoreRuns, Run
from schema.settings import environment
from streams import names
from streams.transport.port import BusUnavailableError, DeadLetter

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.reporting.verdicts import Looker, Verdict

_MARKS: Final = {"ok": "ok ", "bad": "BAD", "not here": "-  ", "?": "?  "}
_ABOUT_CHARS: Final = 16
Verdicts = Sequence["Verdict"]


def check(data: DataOption = None, *, json: JsonOption = False) -> int:
    """Go through the morning's checklist.

    Health, processes, queue, yesterday, disk, card, stuck jobs, dead letters, chores: each with its verdict and the
    command that shows the same. Exit code 1 when something is not well.
    """
    found = asyncio.run(_look(running_factory(data), data_dir(data), lambda looker: looker.morning()))
    _print(found, json=json, lines=True)
    return _code(found)


def monitor(
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,  # noqa: FBT002 - a flag of the command line
    every: Annotated[str, typer.Option(help="How often with --watch, such as 30s.", metavar="TIME")] = "30s",
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> int:
    """Look at cost, queue, success and resources, as every hour.

    Exit code 1 and a line for each thing that is off, with what to do about it.
    """
    factory, folder, every_s = running_factory(data), data_dir(data), seconds(every, "--every")

    async def look() -> Verdicts:
        return await _look(factory, folder, lambda looker: looker.hourly())

    async def lines() -> Sequence[str]:
        return [f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", *_told(await look(), lines=False)]

    if watch:
        follow(lines, every_s)
        return 0
    found = asyncio.run(look())
    _print(found, json=json, lines=False)
    return _code(found)


def chores(data: DataOption = None, *, json: JsonOption = False) -> None:
    """Show what was last done at its hour: backups, looks, the end of the day."""
    runs = asyncio.run(_chores(running_factory(data).database_url))
    for run in runs:
        if json:
            print(msgspec.json.encode(run).decode())
            continue
        took = f"{(run.ended_at - run.started_at).total_seconds():.0f} s" if run.ended_at else ""
        print(f"{run.chore:<14} {run.outcome:<8} due {run.due_at:%Y-%m-%d %H:%M} UTC  {took:>6}  {run.host}")
        if run.outcome == "failed" and run.said.strip():
            print(f"  {run.said.strip().splitlines()[-1]}")
    if not runs and not json:
        print("no chore was done yet")


async def _chores(database_url: str) -> list[Run]:
    async with record(database_url) as postgres:
        return await ChoreRuns(postgres).latest()


async def _look(factory: Addresses, folder: Path, asked: Callable[[Looker], Awaitable[list[Verdict]]]) -> Verdicts:
    # loaded late, as in connections.py: every command imports this module
    from deploy.reporting.verdicts import Looker  # noqa: PLC0415

    letters = await asyncio.to_thread(_letters, factory.redis_url)
    async with record(factory.database_url) as postgres:
        return await asked(Looker(postgres, environment.read(), folder, datetime.now(UTC), letters))


def _letters(redis_url: str) -> list[DeadLetter] | None:
    try:
        with bus(redis_url) as transport:
            transport.last_generated_id(names.DEAD, wait_s=PATIENCE_S)
            return transport.dead_letters()
    except BusUnavailableError:
        return None


def _print(found: Verdicts, *, json: bool, lines: bool) -> None:
    if json:
        print("\n".join(msgspec.json.encode(verdict).decode() for verdict in found))
        return
    print("\n".join(_told(found, lines=lines)))
    for verdict in found:
        if verdict.state == "bad":
            print(f"ytempire: {verdict.about}: {verdict.said}", file=sys.stderr)


def _told(found: Verdicts, *, lines: bool) -> list[str]:
    """Each verdict; with its command, or only with what to do where it is bad."""
    told = []
    for verdict in found:
        told.append(f"{_MARKS[verdict.state]} {verdict.about:<{_ABOUT_CHARS}} {verdict.said}")
        if lines:
            told.append(f"      {verdict.line}")
        if verdict.state == "bad" and verdict.hint:
            told.append(f"      try: {verdict.hint}")
    return told


def _code(found: Verdicts) -> int:
    return FAILED if any(verdict.state == "bad" for verdict in found) else 0
