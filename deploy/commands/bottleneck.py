"""`bottleneck`: the runbook's find_bottleneck, the stages of the last hour with the slowest first."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
import typer

from deploy.commands.connections import record
from deploy.commands.terminal import DataOption, running_factory
from schema.record.figures import Figures, StageTimes

_WINDOW_S: Final = 3600.0

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for a program.")]


def bottleneck(*, json: JsonOption = False, data: DataOption = None) -> None:
    """Show how long the stages took in the last hour, slowest first.

    Finished attempts only: one that failed or hangs is in `status`.
    """
    times = asyncio.run(_ask(running_factory(data).database_url))
    if json:
        print(msgspec.json.encode(times).decode())
        return
    print("\n".join(lines(times)))


async def _ask(database_url: str) -> list[StageTimes]:
    async with record(database_url) as postgres:
        return await Figures(postgres).stage_times(_WINDOW_S)


def lines(times: list[StageTimes]) -> list[str]:
    """The table in words."""
    if not times:
        return ["no stage has finished within the last hour"]
    rows = [("slowest stages", "average", "longest", "attempts")] + [
        (row.stage, f"{row.average_s:.1f} s", f"{row.longest_s:.1f} s", str(row.attempts)) for row in times
    ]
    return [f"{stage:<20}{average:>10}{longest:>10}{attempts:>10}" for stage, average, longest, attempts in rows]
