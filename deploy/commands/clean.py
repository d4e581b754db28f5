"""`clean`: makes room, class by class, and never takes what running work needs; only with --yes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from deploy.commands.connections import record
from deploy.commands.disaster import settings_of
from deploy.commands.terminal import DataOption, JsonOption, running_factory
from deploy.recovery.cleaning import Cleaning, Item, totals

_STEP = 1000
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; else it only shows what would go.")]


def clean(data: DataOption = None, *, yes: YesOption = False, json: JsonOption = False) -> None:
    """Remove what nobody needs any more: half files, scratch of dead processes, work of ended videos, old logs.

    Also backups beyond what is kept, and records that were put aside. Films stay. Without --yes it only looks.
    """
    factory = running_factory(data)
    servers = settings_of(data, None)

    async def work() -> tuple[list[Item], int, list[str]]:
        kept: list[str] = []
        async with record(factory.database_url) as postgres:
            cleaning = Cleaning(servers, postgres, factory.database_url)
            items = await cleaning.look()
            return items, await cleaning.carry_out(items, kept.append) if yes else 0, kept

    items, gone_bytes, kept = asyncio.run(work())
    for item in items:
        print(
            msgspec.json.encode(item).decode()
            if json
            else f"{_size(item.size_bytes):>9}  {item.kind:<10}  {item.name} ({item.why})"
        )
    for line in kept:
        if not json:
            print(line)
    if json:
        print(msgspec.json.encode({"items": len(items), "done": yes, "gone_bytes": gone_bytes}).decode())
        return
    parts = ", ".join(f"{count} {kind} {_size(size)}" for kind, (count, size) in totals(items).items()) or "nothing"
    print(f"gone: {parts}" if yes else f"would go: {parts}" + ("; ./ytempire clean --yes does it" if items else ""))


def _size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size_bytes < _STEP:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= _STEP
    return f"{size_bytes:.1f} GB"
