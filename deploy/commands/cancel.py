"""`cancel`: ends one video, or all to which a filter applies, which are shown first.

A video that is being worked on stops at its next safe point. What ended meanwhile is left as it is.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from deploy.commands.connections import record
from deploy.commands.control import ReasonOption, give, send, understood
from deploy.commands.terminal import FAILED, DataOption, JsonOption, complain, running_factory, seconds
from deploy.launch.data_directory import Addresses
from schema import wire
from schema.errors import RefusedError
from schema.events import command as commands
from schema.events.command import Command
from schema.record.commands import Answer, Commands
from schema.record.videos import VideoRow, Videos, Wanted
from streams.transport.port import BusUnavailableError

#: What has not ended, and so can be cancelled.
OPEN = ("waiting", "queued", "processing")
_AT_ONCE = 50
_MOST = 100_000

VideoArgument = Annotated[str, typer.Argument(help="One video; or give a filter instead.", metavar="[VIDEO]")]
StatusOption = Annotated[str, typer.Option(help="waiting, queued or processing.", metavar="STATUS")]
OlderOption = Annotated[str, typer.Option("--older-than", help="Accepted longer ago, such as 2h.", metavar="TIME")]
TopicOption = Annotated[str, typer.Option(help="Words of the topic.", metavar="TEXT")]
StyleOption = Annotated[str, typer.Option(help="Its look, by name.", metavar="NAME")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without this a filter only shows what it finds.")]


def cancel(
    video: VideoArgument = "",
    *,
    status: StatusOption = "",
    older_than: OlderOption = "",
    topic: TopicOption = "",
    style: StyleOption = "",
    reason: ReasonOption = "",
    data: DataOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> int:
    """End a video, or all that a filter finds (shown first; --yes does it)."""
    filtered = bool(status or older_than or topic or style)
    if bool(video) == filtered:
        raise RefusedError("cancel takes one video or a filter", hint="./ytempire cancel --status waiting")
    factory = running_factory(data)
    if video:
        return give(factory, json=json, type="cancel", video=video, reason=reason)
    if status and status not in OPEN:
        raise RefusedError(f"status is {status!r}: only {', '.join(OPEN)} can be cancelled", hint="./ytempire videos")
    statuses = (status,) if status else OPEN
    wanted = Wanted(
        statuses=statuses,
        older_than_s=seconds(older_than, "--older-than") if older_than else None,
        topic=topic,
        style=style,
    )
    found = asyncio.run(_find(factory, wanted))
    if not yes:
        _show(found)
        return 0
    return _cancel_all(factory, found, reason)


def _show(found: list[VideoRow]) -> None:
    for row in found:
        age_h = (datetime.now(UTC) - row.created_at).total_seconds() / 3600
        print(f"{row.video}  {row.status:<10}  {age_h:6.1f} h  {wire.shown(row.topic)}")
    print(f"{len(found)} would be cancelled" + ("; add --yes to do it" if found else ""))


def _cancel_all(factory: Addresses, found: list[VideoRow], reason: str) -> int:
    refused = 0
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        given = [understood({"type": "cancel", "video": row.video, "reason": reason}) for row in some]
        done: list[Command] = []
        for command, answer in zip(given, asyncio.run(_apply(factory, given)), strict=True):
            if answer.error is not None:
                complain(str(answer.error))
                refused += 1
                continue
            print(commands.line(command))
            done.append(command)
        try:
            send(factory, done)
        except BusUnavailableError:
            complain("Redis does not answer: the record has it, and tells the streams later")
    print(f"{len(found) - refused} cancelled")
    return FAILED if refused else 0


async def _find(factory: Addresses, wanted: Wanted) -> list[VideoRow]:
    async with record(factory.database_url) as postgres:
        return await Videos(postgres).wanted(wanted, most=_MOST)


async def _apply(factory: Addresses, given: list[Command]) -> list[Answer]:
    async with record(factory.database_url) as postgres:
        return await Commands(postgres).apply_directly(given)
