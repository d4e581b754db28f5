"""The factory at a glance: gate, queue, flow, what is in hand, money against its caps. Read by gateway and commands.

All of it is the record's, in a handful of queries. What only processes know (guardians' last looks, key figures, cards)
is in `exporters`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from schema import flow
from schema.money.statement import Statement
from schema.record.gate import GateRecord, Hold, Order
from schema.record.glance import Glance, InHand
from schema.record.videos import VideoRow, Videos
from schema.settings.limits import Limits

#: How many of each list are told.
_SHOWN = 12


class Money(msgspec.Struct, frozen=True):
    """Dollars of today (UTC) and of the last hour, beside what they are compared with."""

    day_spent: Decimal
    day_reserved: Decimal
    day_budget: Decimal
    hour_spent: Decimal
    hour_budget: Decimal
    video_budget: Decimal
    #: Of today's spent: sent, and nobody knows whether it was billed.
    unknown: Decimal
    unknown_calls: int
    second_purchases: int


class StageLoad(msgspec.Struct, frozen=True):
    """How much a stage has in hand."""

    stage: str
    waiting: int
    running: int
    retrying: int


class Overview(msgspec.Struct, frozen=True):
    """One look."""

    at: datetime
    gate: str
    holds: tuple[Hold, ...]
    orders: tuple[Order, ...]
    videos: dict[str, int]
    stages: tuple[StageLoad, ...]
    in_hand: tuple[InHand, ...]
    queue: tuple[InHand, ...]
    recent: tuple[VideoRow, ...]
    money: Money


async def look(gate: GateRecord, glance: Glance, videos: Videos, statement: Statement, limits: Limits) -> Overview:
    """Read it all; waits while Postgres is away."""
    truth = await gate.read()
    seen = await glance.look(most=_SHOWN)
    today, hour = await statement.today(), await statement.last_hour_usd()
    lines = await statement.lines(by=("day",))
    return Overview(
        at=seen.at,
        gate=truth.state,
        holds=truth.holds,
        orders=truth.orders,
        videos=await videos.counts(),
        stages=tuple(
            StageLoad(
                stage.name, *(seen.loads.get((stage.name, status), 0) for status in ("open", "running", "retrying"))
            )
            for stage in flow.STAGES
        ),
        in_hand=seen.in_hand,
        queue=seen.queued,
        recent=tuple(await videos.latest(_SHOWN)),
        money=Money(
            day_spent=today.spent_usd,
            day_reserved=today.reserved_usd,
            day_budget=limits.day_budget_usd,
            hour_spent=hour,
            hour_budget=limits.hour_budget_usd,
            video_budget=limits.video_budget_usd,
            unknown=sum((line.unknown_usd for line in lines), Decimal(0)),
            unknown_calls=seen.unknown_calls,
            second_purchases=sum(line.second_purchases for line in lines),
        ),
    )
