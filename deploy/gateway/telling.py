"""What the record tells by HTTP, for the console and for automation: costs, what happened, settings, styles."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Final, get_args

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery, QueryParameter

from actors.rendering import styles as looks
from deploy.gateway.described import refusals
from deploy.gateway.patience import soon
from deploy.gateway.routes import Limit, parts_of
from schema.errors import RefusedError
from schema.money.statement import Column, Line, Total
from schema.record.postgres import storable
from schema.record.story import Event
from schema.settings.environment import variables
from schema.settings.masking import masked
from schema.wire import shown

_COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
#: A time as it is typed: a figure, and one of these.
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S: Final = 366 * 86400
_DIGITS: Final = 8
By = Annotated[str, QueryParameter(description="columns, by commas: " + ", ".join(_COLUMNS))]


class Bill(msgspec.Struct, frozen=True):
    """What was spent: of today, of all days since one, or of one video; `total` is of today, or of that video."""

    total: Total
    budget_usd: Decimal
    by: tuple[str, ...]
    lines: tuple[Line, ...]


class Happened(msgspec.Struct, frozen=True):
    """What the record has of the time, in order; `left_out`: there was more. What guardians said is in /live alone."""

    events: tuple[Event, ...]
    left_out: bool


class Setting(msgspec.Struct, frozen=True):
    """One setting of this process; what is secret is masked."""

    value: str
    default: str
    description: str


@get("/costs", responses=refusals(400, 422))
async def costs(
    state: State, by: By = "day,service", since: FromQuery[date | None] = None, video: FromQuery[str] = ""
) -> Bill:
    """The bill by columns, of today or of the days from `since` on; or of one video."""
    parts = parts_of(state)
    columns = tuple(name for name in _COLUMNS if name in by.split(","))
    if unknown := [name for name in by.split(",") if name not in _COLUMNS]:
        raise RefusedError(
            f"by is {shown(unknown[0])!r}: expected some of {', '.join(_COLUMNS)}", hint="/costs?by=stage,service"
        )
    about, limits = storable(video), parts.settings.limits
    lines = await soon(parts.statement.lines(columns, since=since, video=about or None))
    total = await soon(parts.statement.of_video(about) if about else parts.statement.today())
    return Bill(total, limits.video_budget_usd if about else limits.day_budget_usd, columns, tuple(lines))


@get("/story", responses=refusals(400, 422))
async def story(state: State, since: FromQuery[str] = "8h", limit: Limit = 200) -> Happened:
    """What happened lately: commands, accepted and ended videos, attempts that went wrong, refusals."""
    found = await soon(parts_of(state).stories.since(_seconds(since), most=limit))
    return Happened(found.events, found.left_out)


@get("/settings", sync_to_thread=False, responses=refusals())
def settings(state: State) -> dict[str, Setting]:
    """The settings of this process, as the environment names them; keys, tokens and passwords are masked."""
    told = parts_of(state).settings
    return {
        one.name: Setting(
            str(masked(one.field, getattr(getattr(told, one.group), one.field))), one.default, one.description
        )
        for one in variables()
    }


@get("/styles", sync_to_thread=True, responses=refusals())
def styles() -> list[str]:
    """The styles that a request may name."""
    return list(looks.names())


def _seconds(since: str) -> float:
    figure, unit = since[:-1], since[-1:]
    if unit not in _UNITS_S or not (figure.isascii() and figure.isdigit() and len(figure) <= _DIGITS):
        raise RefusedError(f"since is {shown(since)!r}: expected such as 90s, 30m, 8h or 7d", hint="/story?since=8h")
    return min(float(figure) * _UNITS_S[unit], _LONGEST_S)


HANDLERS: Final[list[BaseRouteHandler]] = [costs, story, settings, styles]
