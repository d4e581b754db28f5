"""Each invariant sees what would break it, and nothing in what is as it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.launch import postgres
from schema.money.prices import Prices
from tests.fakes.ledger import Line
from tests.faults import invariants
from tests.faults.invariants import Record

PRICES = Prices("")
A, B = UUID(int=1), UUID(int=2)
_CALL = """
INSERT INTO money.reservations (id, video_id, stage, attempt, service, model, price, units, amount, billed, day, policy,
                                input_hash, second_purchase, state, why, reserved_at)
VALUES ($1, 'v', 'audio', 1, 'elevenlabs', 'eleven_v3', '', '{}', $2, $3, '2026-01-31', 'blind', 'h', $4, $5, $6,
        clock_timestamp())"""


@pytest.fixture
async def record(postgres_port: int, migrated_template: str) -> AsyncIterator[Record]:
    """An empty record, in a transaction that is never committed: a database for each test would cost more."""
    connection = await asyncpg.connect(postgres.url(postgres_port, migrated_template))
    untouched = connection.transaction()
    await untouched.start()
    await invariants.watch_budgets(connection)
    yield connection
    await untouched.rollback()
    await connection.close()


async def call(record: Record, which: UUID, state: str, **others: Any) -> None:  # noqa: ANN401 - as the row has them
    """A call of 40 characters, which are 12 thousandths of a dollar."""
    amount = Decimal(others.get("usd", "0.012"))
    billed = others.get("billed", amount) if state == "settled" else None
    await record.execute(_CALL, which, amount, billed, others.get("second", False), state, others.get("why", ""))


def line(which: UUID, number: int = 1, characters: int = 40) -> Line:
    """What the provider says that it billed for it."""
    return Line(
        number, datetime.now(UTC), "elevenlabs", "/", str(which), "input", "eleven_v3", 200, "answered",
        {"characters": characters},
    )  # fmt: skip


async def video(record: Record, status: str, **others: str) -> None:
    """A video that has come to this."""
    await record.execute(
        """INSERT INTO video_queue (id, key, topic, brief, status, reason, completed_at, ended_at, admissions)
           VALUES ('v', 'v', 't', '{}', $1, $2, now(), now(), 1)""",
        *(status, others.get("reason")),
    )


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("completed", None, []),
        ("failed", "cost_cap", []),
        ("failed", " ", ["I1: v failed, and nobody says why"]),
        ("processing", None, ["I1: v has reached no end: it is processing, and [] are in hand"]),
    ],
)
async def test_a_video_without_an_end_or_a_reason_is_seen(
    record: Record, status: str, reason: str, expected: list[str]
) -> None:
    await video(record, status, reason=reason)
    assert await invariants.one_end(record) == expected


async def test_a_stage_that_was_done_twice_and_one_that_goes_on_after_the_end_are_seen(record: Record) -> None:
    await video(record, "completed")
    await record.execute("INSERT INTO video_stages (video_id, stage, status) VALUES ('v', 'audio', 'running')")
    for attempt in (1, 2):
        await record.execute(
            """INSERT INTO stage_attempts (video_id, stage, attempt, worker, outcome)
               VALUES ('v', 'script', $1, '', 'done')""",
            attempt,
        )
    open_end, twice = await invariants.one_end(record)
    assert "['audio'] are in hand" in open_end
    assert twice == "I1: script of v was done more than once"


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ("unknown", True, ""),
        ("unknown", False, "does not show it as a second purchase"),
        ("settled", True, "the first is settled"),
        ("released", False, "the first is released"),
    ],
)
async def test_a_second_charge_is_seen_unless_the_first_is_unknown_and_it_is_shown(
    record: Record,
    first: str,
    second: bool,  # noqa: FBT001 - a column of the table above
    complaint: str,
) -> None:
    await call(record, A, first)
    await call(record, B, "settled", second=second)
    broken = await invariants.bought_once(record, [line(A), line(B, 2)], PRICES)
    assert len(broken) == bool(complaint)
    assert all(complaint in one for one in broken)


async def test_a_late_bill_of_one_that_slept_through_a_shown_second_purchase_is_no_alarm(record: Record) -> None:
    await call(record, A, "settled", why="its attempt was superseded")  # unknown, until the sleeper told its bill
    await call(record, B, "settled", second=True)
    assert await invariants.bought_once(record, [line(B), line(A, 2)], PRICES) == []
    await record.execute("UPDATE money.reservations SET why = '' WHERE id = $1", A)
    (broken,) = await invariants.bought_once(record, [line(B), line(A, 2)], PRICES)
    assert f"by {A} and {B}: the first is settled" in broken


async def test_one_call_that_was_charged_twice_is_seen(record: Record) -> None:
    await call(record, A, "unknown", second=True)
    (broken,) = await invariants.bought_once(record, [line(A), line(A, 2)], PRICES)
    assert "paid twice" in broken


async def test_a_budget_that_was_crossed_for_one_instant_is_seen(record: Record) -> None:
    await call(record, A, "reserved", usd="3.00")
    # counters are not kept by hand here, so those that belong to this row are wrong
    assert not [one for one in await invariants.within_budgets(record) if "over" in one]
    await call(record, B, "reserved", usd="0.000001")
    await record.execute("UPDATE money.reservations SET state = 'released' WHERE id = $1", B)
    over = [one for one in await invariants.within_budgets(record) if "over" in one]
    assert over == ["I3: video v was at 3.000001 dollars, over 3.00"]


async def test_a_counter_that_does_not_equal_its_rows_is_seen(record: Record) -> None:
    assert await invariants.within_budgets(record) == []
    await record.execute("INSERT INTO money.videos (video_id, spent) VALUES ('v', 1)")
    assert await invariants.within_budgets(record) == ["I3: the counter of video v does not equal its rows"]


@pytest.mark.parametrize("state", ["sent", "unknown", "settled"])
async def test_a_bill_is_covered_by_what_is_counted(record: Record, state: str) -> None:
    await call(record, A, state)
    assert await invariants.covered(record, [line(A)], PRICES) == []
    (broken,) = await invariants.covered(record, [line(A, characters=41)], PRICES)
    assert broken == f"I4: {A} was billed 0.012300, and is {state} with 0.012000"


@pytest.mark.parametrize("state", ["reserved", "released"])
async def test_a_bill_for_what_was_never_sent_is_seen(record: Record, state: str) -> None:
    await call(record, A, state)
    (broken,) = await invariants.covered(record, [line(A)], PRICES)
    assert f"is {state}" in broken


async def test_a_charge_without_a_record_is_seen(record: Record) -> None:
    assert await invariants.covered(record, [line(A)], PRICES) == [f"I4: a charge without a record: {A}"]


async def test_what_is_recorded_equals_what_was_billed_once_unknowns_are_known(record: Record) -> None:
    await call(record, A, "unknown")
    await call(record, B, "settled")
    assert await invariants.exact(record, [line(A), line(B)], PRICES) == []
    assert await invariants.exact(record, [line(B)], PRICES) == []  # it was never billed
    only_costs = await invariants.exact(record, [line(A)], PRICES)
    assert only_costs == [
        f"I4: {B} is settled with 0.012000, and was billed 0",
        "I4: the record has 0.024000, the providers billed 0.012000",
    ]


async def test_money_that_nobody_ends_is_seen(record: Record) -> None:
    await call(record, A, "sent")
    assert f"I4: {A} is still sent: nobody ends it" in await invariants.exact(record, [], PRICES)


@pytest.mark.parametrize(
    ("row", "letter", "complaint"),
    [
        (("no topic", "add one"), {"error": "no topic"}, ""),
        (("no topic", "add one"), None, "a row and no letter"),
        (None, {"error": "no topic"}, "a letter and no row"),
        (("no topic", "add one"), {"error": "no"}, "in its letter"),
        (("no topic", " "), {"error": "no topic"}, "no reason to act on"),
    ],
)
async def test_a_refusal_without_its_row_its_letter_or_a_reason_is_seen(
    record: Record, row: tuple[str, str] | None, letter: dict[str, str] | None, complaint: str
) -> None:
    where = {"from_stream": "stream:intake", "from_id": "1-0"}
    if row is not None:
        await record.execute("INSERT INTO refused_events VALUES ($1, $2, 'rejected', $3, $4)", *where.values(), *row)
    broken = await invariants.answered(record, {"rejected": [where | letter] if letter else []})
    assert len(broken) == bool(complaint)
    assert all(complaint in one for one in broken)
