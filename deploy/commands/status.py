"""`status`: what the factory is doing, in place on a terminal; with --since, what happened, as a story."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from deploy.commands.connections import record
from deploy.commands.screen import follow
from deploy.commands.story import tell
from deploy.commands.terminal import DataOption, JsonOption, data_dir, running_factory, seconds
from deploy.commands.videos import STATUSES, topic_of
from schema.record.gate import GateRecord, Truth
from schema.record.postgres import Postgres
from schema.record.videos import StageRow, VideoRow, Videos
from schema.settings import environment

if TYPE_CHECKING:
    from deploy.overview import Overview

_SHOWN_VIDEOS: Final = 10
_LOOK_S: Final = 1.0


def status(
    since: Annotated[str, typer.Option(help="Tell what happened within this time, such as 8h.", metavar="TIME")] = "",
    limit: Annotated[int, typer.Option(help="At most so many events of it, the latest.", min=1, max=100_000)] = 500,
    once: Annotated[bool, typer.Option("--once", help="Print it and end, also on a terminal.")] = False,  # noqa: FBT002 - a flag of the command line
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Show what the factory is doing; with --since, tell what happened, as a story in order of time.

    On a terminal it is kept up to date until Ctrl-C; in a pipe, or with --once, it is printed once.
    """
    factory, folder = running_factory(data), data_dir(data)
    if since:
        tell(factory, seconds(since, "--since"), most=limit, json=json)
    elif json:
        print(msgspec.json.encode(asyncio.run(_overview(factory.database_url))).decode())
    elif once or not sys.stdout.isatty():
        print("\n".join(asyncio.run(_lines(factory.database_url, folder))))
    else:
        follow(lambda: _lines(factory.database_url, folder), _LOOK_S)


async def _overview(database_url: str) -> Overview:
    # loaded late, as in connections.py: every command imports this module
    from deploy import overview  # noqa: PLC0415
    from schema.money.statement import Statement  # noqa: PLC0415 - likewise
    from schema.record.glance import Glance  # noqa: PLC0415 - likewise

    async with record(database_url) as postgres:
        return await overview.look(
            GateRecord(postgres), Glance(postgres), Videos(postgres), Statement(postgres), environment.read().limits
        )


async def _lines(database_url: str, folder: Path) -> list[str]:
    async with record(database_url) as postgres:
        known = Videos(postgres)
        counts = await known.counts()
        told = _gate(await GateRecord(postgres).read())
        told.append("videos  " + "  ".join(f"{kind} {counts.get(kind, 0)}" for kind in STATUSES))
        for video in await known.latest(_SHOWN_VIDEOS):
            told.append(f"{video.video}  {video.status:<10}  {topic_of(video)}")
            told.append(f"  {await _doing(video, postgres, folder)}")
        return told


def _gate(truth: Truth) -> list[str]:
    told = [f"gate    {truth.state}"]
    for hold in truth.holds:
        why = f": {hold.reason or hold.cause}" if hold.reason or hold.cause else ""
        told.append(f"  {hold.kind} by {hold.by} since {hold.placed_at:%Y-%m-%d %H:%M:%S} UTC{why}")
    for order in truth.orders:
        why = f": {order.reason or order.cause}" if order.reason or order.cause else ""
        of = f"{order.kind} {order.value} for {order.scope or 'all'}"
        told.append(f"  {of} by {order.by} since {order.placed_at:%Y-%m-%d %H:%M:%S} UTC{why}")
    return told


async def _doing(video: VideoRow, postgres: Postgres, folder: Path) -> str:
    film = folder / "videos" / f"{video.video}.mp4"
    if video.status == "completed" and film.exists():
        return str(film)
    if video.reason:
        return video.reason
    return ", ".join(in_words(stage) for stage in await Videos(postgres).stages(video.video)) or "not begun"


def in_words(stage: StageRow) -> str:
    """A stage in two or three words, such as `render 45%`."""
    if stage.status == "running":
        return f"{stage.stage} {stage.progress:.0%}"
    return f"{stage.stage} {stage.status}"
