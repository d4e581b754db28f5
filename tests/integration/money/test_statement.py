"""Who spent what, by whatever is asked for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from schema.money.ledger import Ledger
from schema.money.statement import Column, Line, Statement, Total
from schema.record.postgres import Postgres
from tests.integration.money.conftest import reserved, run_stage, sent, set_clock

NONE = Decimal(0)


@pytest.fixture
async def spent(ledger: Ledger, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """A video that spent on two days, one call of each outcome, and another one."""
    await set_clock(owner, "2026-03-01 12:00 UTC")
    await run_stage(postgres)
    await run_stage(postgres, stage="audio")
    await run_stage(postgres, "w")
    settled = await sent(ledger, usd="1.00")
    await ledger.settle(settled.id, Decimal("0.25"), used={})
    await ledger.unknown((await sent(ledger, usd="0.50", stage="audio", service="elevenlabs")).id, "timeout")
    await ledger.release((await sent(ledger, usd="0.10", stage="audio", service="elevenlabs")).id, "429")
    await set_clock(owner, "2026-03-02 12:00 UTC")
    await reserved(ledger, usd="0.75", stage="audio", service="google")
    await sent(ledger, usd="0.05", video="w")


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(
    ("by", "video", "expected"),
    [
        (
            ("stage", "service"),
            "v",
            [
                Line(("audio", "elevenlabs"), 2, NONE, Decimal("0.5"), NONE, released=1, second_purchases=0),
                Line(("audio", "google"), 1, NONE, NONE, Decimal("0.75"), released=0, second_purchases=0),
                Line(("script", "openai"), 1, Decimal("0.25"), NONE, NONE, released=0, second_purchases=0),
            ],
        ),
        (
            ("video",),
            None,
            [
                Line(("v",), 4, Decimal("0.25"), Decimal("0.5"), Decimal("0.75"), released=1, second_purchases=0),
                Line(("w",), 1, NONE, NONE, Decimal("0.05"), released=0, second_purchases=0),
            ],
        ),
        (
            ("day", "attempt"),
            None,
            [
                Line(("2026-03-01", "1"), 3, Decimal("0.25"), Decimal("0.5"), NONE, released=1, second_purchases=0),
                Line(("2026-03-02", "1"), 2, NONE, NONE, Decimal("0.8"), released=0, second_purchases=0),
            ],
        ),
    ],
)
async def test_a_bill_has_the_lines_that_are_asked_for(
    statement: Statement, by: tuple[Column, ...], video: str | None, expected: list[Line]
) -> None:
    assert await statement.lines(by, since=date(2026, 3, 1), video=video) == expected


@pytest.mark.usefixtures("spent")
async def test_the_totals_of_videos_and_days_are_what_budgets_see(statement: Statement) -> None:
    assert await statement.of_video("v") == Total(Decimal("0.75"), Decimal("0.75"))
    assert (await statement.of_video("v")).counted_usd == Decimal("1.5")
    assert await statement.of_day(date(2026, 3, 1)) == Total(NONE, Decimal("0.75"))
    assert await statement.of_day(date(2026, 3, 2)) == Total(Decimal("0.8"), NONE)
    assert await statement.of_video("nobody") == Total(NONE, NONE)


@pytest.mark.usefixtures("spent")
async def test_what_nobody_knows_is_listed_with_its_reason(statement: Statement) -> None:
    (unknown,) = await statement.unknowns()
    assert (unknown.video, unknown.service, unknown.amount_usd, unknown.why) == (
        *("v", "elevenlabs"),
        Decimal("0.5"),
        "timeout",
    )


async def test_the_last_hour_counts_settled_and_unknown_money(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    settled = await sent(ledger, usd="1.00")
    await ledger.settle(settled.id, Decimal("0.25"), used={})
    await ledger.unknown((await sent(ledger, usd="0.50")).id, "timeout")
    await sent(ledger, usd="0.50")
    assert await statement.last_hour_usd() == Decimal("0.75")
    assert [line.by for line in await statement.lines()] == [
        (str((await statement.calls("v"))[0].reserved_at.date()), "openai")
    ]
