"""`costs`: what was spent, by whom and for what; what is set aside, and what nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, get_args

import msgspec
import typer

from deploy.commands.connections import record
from deploy.commands.terminal import DataOption, JsonOption, running_factory
from schema.errors import RefusedError
from schema.money.calls import dollars
from schema.money.statement import Call, Column, Line, Statement, Total
from schema.settings import environment
from schema.settings.limits import Limits

_COLUMNS: tuple[Column, ...] = get_args(Column)
_DEFAULT_BY, _VIDEO_BY = "day,service", "stage,service,model,attempt"
_LEAST_GAP = "  "


class _Bill(msgspec.Struct, frozen=True):
    """What is shown, and what --json writes: sums are in dollars."""

    total: Total
    budget_usd: Decimal
    by: tuple[str, ...]
    lines: tuple[Line, ...]
    unknown: tuple[Call, ...]


def costs(
    video: Annotated[str, typer.Argument(help="Of this video; else of all.", metavar="[VIDEO]")] = "",
    by: Annotated[str, typer.Option(help=f"Some of {', '.join(_COLUMNS)}, by commas.", metavar="COLUMNS")] = "",
    since: Annotated[str, typer.Option(help="From this day on (UTC); today if not given.", metavar="YYYY-MM-DD")] = "",
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Show what was spent: of today, or of one video.

    Unknown is what was sent and may have been billed: it counts as spent until the provider's own bill says otherwise.
    """
    columns = _columns(by or (_VIDEO_BY if video else _DEFAULT_BY))
    first = _day(since) if since else None
    limits = environment.read().limits
    bill = asyncio.run(_ask(running_factory(data).database_url, video, columns, first, limits))
    if json:
        print(msgspec.json.encode(bill).decode())
        return
    print("\n".join(_told(bill, video)))


async def _ask(database_url: str, video: str, columns: tuple[Column, ...], first: date | None, limits: Limits) -> _Bill:
    async with record(database_url) as postgres:
        statement = Statement(postgres)
        if video:
            calls = [call for call in await statement.calls(video) if call.state == "unknown"]
            total, budget_usd = await statement.of_video(video), limits.video_budget_usd
            lines = await statement.lines(columns, video=video)
        else:
            calls, total, budget_usd = await statement.unknowns(), await statement.today(), limits.day_budget_usd
            lines = await statement.lines(columns, since=first)
        return _Bill(total, budget_usd, columns, tuple(lines), tuple(calls))


def _told(bill: _Bill, video: str) -> list[str]:
    whose = video or "today"
    head = f"{whose}: {dollars(bill.total.spent_usd)} spent, {dollars(bill.total.reserved_usd)} set aside"
    told = [f"{head}, of {dollars(bill.budget_usd)}"]
    if bill.lines:
        names = (*bill.by, "calls", "settled", "unknown", "set aside", "not billed", "bought twice")
        rows = [(*line.by, *map(_cell, _figures(line))) for line in bill.lines]
        told += _aligned([names, *rows], texts=len(bill.by))
    told += [
        f"unknown: {dollars(call.amount_usd)} at most, {call.service} {call.model}, {call.video} {call.stage} "
        f"attempt {call.attempt}, {_when(call.reserved_at)}: {call.why}"
        for call in bill.unknown
    ]
    return told


def _figures(line: Line) -> tuple[int | Decimal, ...]:
    return (
        *(line.calls, line.settled_usd, line.unknown_usd, line.reserved_usd),
        *(line.released, line.second_purchases),
    )


def _cell(figure: int | Decimal) -> str:
    return dollars(figure) if isinstance(figure, Decimal) else str(figure)


def _aligned(rows: Sequence[Sequence[str]], *, texts: int) -> list[str]:
    """The first `texts` columns to the left, figures to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        _LEAST_GAP.join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _columns(by: str) -> tuple[Column, ...]:
    names: list[Any] = [name.strip() for name in by.split(",") if name.strip()]
    if not names or set(names) - set(_COLUMNS):
        raise RefusedError(f"--by is {by!r}: expected some of {', '.join(_COLUMNS)}", hint="--by day,service,model")
    return tuple(names)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            f"--since is {text!r}: expected a day such as 2026-11-24", hint="--since 2026-11-24"
        ) from None
