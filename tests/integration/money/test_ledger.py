"""One reservation and what becomes of it, and why one is refused."""

from __future__ import annotations

import asyncio
import copy
import pickle
from decimal import Decimal
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from schema.events.command import Command
from schema.money.abandoned import Abandoned
from schema.money.bought import Bought, InputKey
from schema.money.calls import Ended, Quota, Refused, Reserved
from schema.money.ledger import Ledger, Sent
from schema.money.overruns import Overruns
from schema.money.statement import Statement, Total
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from tests.integration.money.conftest import (
    ask,
    claimed,
    refusal,
    reserved,
    run_stage,
    sent,
    set_clock,
    state,
    until_waiting,
    value,
)

KEY = InputKey("ab" * 32)


async def test_money_is_set_aside_then_sent_then_settled(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger, usd="0.50")
    assert await statement.of_video("v") == Total(Decimal("0.50"), Decimal(0))
    permission = await ledger.sent(asked.id, 1)
    assert isinstance(permission, Sent)
    assert (permission.permission.id, permission.permission.amount_usd) == (asked.id, Decimal("0.50"))
    assert dict(permission.permission.units) == {"output_tokens": 1000}
    assert permission.ask == asked
    ended = await ledger.settle(asked.id, Decimal("0.123456"), used={"output_tokens": 12}, request_id="r-1")
    assert ended == Ended("settled")
    assert await statement.of_video("v") == Total(Decimal(0), Decimal("0.123456"))
    assert await statement.today() == Total(Decimal(0), Decimal("0.123456"))
    rows = await value(postgres, "SELECT array_agg((service, amount, outcome, reservation_id)) FROM pipeline_costs")
    assert rows == [("openai", Decimal("0.123456"), "settled", asked.id)]
    assert await statement.contradictions() == []


async def test_a_permission_cannot_be_made_changed_or_copied(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    answer = await ledger.sent(asked.id, 1)
    assert isinstance(answer, Sent)
    with pytest.raises(TypeError, match="made by the ledger alone"):
        type(answer.permission)()
    with pytest.raises(AttributeError, match="cannot be changed"):
        answer.permission.amount_usd = Decimal(9)
    for escape in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied"):
            escape(answer.permission)


async def test_each_step_answers_the_same_when_it_is_repeated(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    asked = ask("1.00")
    first = await ledger.reserve(asked)
    assert await ledger.reserve(asked) == first == Reserved(second_purchase=False)
    for _ in range(2):
        assert isinstance(await ledger.sent(asked.id, 1), Sent)
    for _ in range(2):
        assert await ledger.settle(asked.id, Decimal("0.40"), used={}) == Ended("settled")
    assert await ledger.release(asked.id, "late") == Ended("settled")
    assert await ledger.unknown(asked.id, "late") == Ended("settled")
    assert await ledger.reserve(asked) == first
    assert await statement.of_video("v") == Total(Decimal(0), Decimal("0.40"))
    assert await value(postgres, "SELECT count(*) FROM pipeline_costs") == 1


async def test_an_id_that_was_used_for_another_call_is_refused(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    with pytest.raises(asyncpg.UniqueViolationError, match="made for another call"):
        await ledger.reserve(msgspec.structs.replace(asked, amount_usd=Decimal(2)))


async def test_released_money_can_be_reserved_again(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = await sent(ledger, usd="3.00")
    assert await refusal(ledger, ask("0.000001")) == "over_video"
    assert await ledger.release(asked.id, "429") == Ended("released")
    await reserved(ledger, usd="3.00")


async def test_money_of_unknown_outcome_stays_counted_until_it_is_known(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    asked = await sent(ledger, usd="2.50")
    assert await ledger.unknown(asked.id, "timeout") == Ended("unknown")
    assert await refusal(ledger, ask("0.51")) == "over_video"
    assert await value(postgres, "SELECT (amount, outcome) FROM pipeline_costs") == (Decimal("2.5"), "unknown")
    assert [call.why for call in await statement.unknowns()] == ["timeout"]
    assert await ledger.release(asked.id, "nobody can know this now") == Ended("unknown")
    assert await ledger.settle(asked.id, Decimal("0.30"), used={}) == Ended("settled")
    assert await value(postgres, "SELECT (amount, outcome) FROM pipeline_costs") == (Decimal("0.3"), "settled")
    await reserved(ledger, usd="2.70")
    assert await statement.contradictions() == []


async def test_what_was_not_sent_cannot_be_settled_and_is_not_unknown(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    assert await ledger.settle(asked.id, Decimal("0.1"), used={}) == Ended("reserved")
    assert await ledger.unknown(asked.id, "why") == Ended("reserved")
    assert await ledger.release(asked.id, "why") == Ended("released")
    assert await ledger.settle(asked.id, Decimal("0.1"), used={}) == Ended("released")
    assert await ledger.sent(asked.id, 1) == Refused("superseded")


async def test_a_reservation_that_was_never_made_counts_as_released_and_cannot_be_sent(ledger: Ledger) -> None:
    assert await ledger.release(uuid4(), "its reply was lost, or it was") == Ended("released")
    with pytest.raises(asyncpg.NoDataFoundError):
        await ledger.sent(uuid4(), 1)


@pytest.mark.parametrize(("usd", "fits"), [("1.00", True), ("1.000001", False)])
async def test_a_video_is_filled_to_the_last_millionth(
    ledger: Ledger, postgres: Postgres, usd: str, *, fits: bool
) -> None:
    await run_stage(postgres)
    await sent(ledger, usd="2.00")
    answer = await ledger.reserve(ask(usd))
    assert answer == (Reserved(second_purchase=False) if fits else Refused("over_video", left_usd=Decimal(1)))


@pytest.mark.parametrize(("table", "why"), [("money.videos", "over_video"), ("money.days", "over_day")])
async def test_a_budget_is_looked_at_once_it_is_locked(
    ledger: Ledger, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record], table: str, why: str
) -> None:
    await run_stage(postgres)
    await reserved(ledger, usd="0.01")
    async with owner.transaction():
        await owner.execute(f"UPDATE {table} SET spent = 148")  # noqa: S608 - named above
        late = asyncio.create_task(ledger.reserve(ask("2.00")))
        await until_waiting(owner)
    answer = await late
    assert isinstance(answer, Refused)
    assert answer.why == why


async def test_the_day_bounds_all_videos_together(postgres: Postgres) -> None:
    tight = Ledger(postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(5))
    for video in "abc":
        await run_stage(postgres, video)
    await reserved(tight, usd="3.00", video="a")
    await reserved(tight, usd="1.50", video="b")
    assert await tight.reserve(ask("0.60", video="c")) == Refused("over_day", left_usd=Decimal("0.5"))
    await reserved(tight, usd="0.50", video="c")


async def test_a_day_ends_at_midnight_utc_and_keeps_what_was_reserved_in_it(
    postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record], statement: Statement
) -> None:
    tight = Ledger(postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(1))
    await run_stage(postgres)
    # where the operator is, it is another day long since
    await owner.execute("SET timezone = 'Pacific/Auckland'")
    await set_clock(owner, "2026-03-01 23:59:59.9 UTC")
    asked = await sent(tight, usd="1.00")
    assert await refusal(tight, ask("0.01")) == "over_day"
    await set_clock(owner, "2026-03-02 00:00:00 UTC")
    await reserved(tight, usd="1.00")
    await tight.settle(asked.id, Decimal("0.70"), used={})
    days = await owner.fetch("SELECT day::text, reserved, spent FROM money.days ORDER BY day")
    assert [tuple(row) for row in days] == [
        ("2026-03-01", Decimal(0), Decimal("0.7")),
        ("2026-03-02", Decimal(1), Decimal(0)),
    ]
    assert await owner.fetchval("SELECT (\"timestamp\" AT TIME ZONE 'UTC')::date::text FROM pipeline_costs") == (
        "2026-03-01"
    )
    assert await statement.contradictions() == []


async def test_what_an_older_attempt_left_is_turned_also_when_it_is_of_another_day(
    ledger: Ledger, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record], statement: Statement
) -> None:
    await run_stage(postgres)
    await set_clock(owner, "2026-03-01 12:00 UTC")
    never_sent, maybe_billed = await reserved(ledger, usd="0.20"), await sent(ledger, usd="0.30")
    await set_clock(owner, "2026-03-04 12:00 UTC")
    await run_stage(postgres, attempt=2)
    await reserved(ledger, usd="1.00", attempt=2)
    assert await state(postgres, never_sent.id) == "released"
    assert await state(postgres, maybe_billed.id) == "unknown"
    assert await statement.of_video("v") == Total(Decimal(1), Decimal("0.30"))
    assert await statement.contradictions() == []


async def test_an_attempt_that_was_superseded_may_neither_reserve_nor_send(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    await run_stage(postgres, attempt=2)
    assert await ledger.sent(asked.id, 1) == Refused("superseded")
    assert await refusal(ledger, ask()) == "superseded"
    assert await refusal(ledger, ask(video="nobody")) == "superseded"
    assert await ledger.sent(asked.id, 2) == Refused("superseded")  # money is not handed from attempt to attempt


@pytest.mark.parametrize("ended", ["failed", "dropped", "done"])
async def test_a_stage_that_has_ended_spends_no_more(
    ledger: Ledger, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record], ended: str
) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    await owner.execute("UPDATE video_stages SET status = $1, output = '{}', ended_at = now()", ended)
    assert await ledger.sent(asked.id, 1) == Refused("superseded")
    assert await refusal(ledger, ask()) == "superseded"


async def test_a_zombies_late_bill_is_booked(ledger: Ledger, postgres: Postgres, statement: Statement) -> None:
    await run_stage(postgres)
    asked = await sent(ledger, usd="1.00")
    await run_stage(postgres, attempt=2)
    await reserved(ledger, usd="1.00", attempt=2)
    assert await ledger.settle(asked.id, Decimal("0.80"), used={}) == Ended("settled")
    assert await statement.of_video("v") == Total(Decimal(1), Decimal("0.80"))


async def test_a_call_known_by_its_key_may_be_sent_again_by_a_newer_attempt_and_stays_counted(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    keyed, blind = await sent(ledger, policy="keyed"), await sent(ledger, policy="blind")
    for asked in (keyed, blind):
        await ledger.unknown(asked.id, "timeout")
    await run_stage(postgres, attempt=2)
    again = await ledger.sent(keyed.id, 2)
    assert isinstance(again, Sent)
    assert (again.permission.id, again.permission.attempt) == (keyed.id, 2)
    assert await ledger.sent(blind.id, 2) == Refused("superseded")
    assert await ledger.release(keyed.id, "429 this time, which says nothing of the first") == Ended("unknown")
    assert await statement.of_video("v") == Total(Decimal(0), Decimal(2))
    assert await ledger.settle(keyed.id, Decimal("0.5"), used={}) == Ended("settled")
    assert await statement.contradictions() == []


async def test_a_quota_counts_calls_in_a_window_that_slides(
    ledger: Ledger, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    quota = (Quota("pexels requests an hour", 3, 3_600),)
    await run_stage(postgres)

    async def answer() -> object:
        return await ledger.reserve(ask("0", service="pexels"), quota)

    ok = Reserved(second_purchase=False)
    await set_clock(owner, "2026-03-01 10:59:00 UTC")
    assert [await answer(), await answer()] == [ok, ok]
    await set_clock(owner, "2026-03-01 11:30:00 UTC")
    assert await answer() == ok
    assert await answer() == Refused("over_quota", quota=quota[0].name)
    await set_clock(owner, "2026-03-01 11:59:59 UTC")  # the hour on the wall is another, the window is not
    assert await answer() == Refused("over_quota", quota=quota[0].name)
    await set_clock(owner, "2026-03-01 12:00:00 UTC")
    assert [await answer(), await answer()] == [ok, ok]
    assert await answer() == Refused("over_quota", quota=quota[0].name)


async def test_a_refused_call_uses_up_no_quota(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    quota = (Quota("one", 1, 60), Quota("other", 100, 60))
    assert await ledger.reserve(ask("3.01"), quota) == Refused("over_video", left_usd=Decimal(3))
    assert await ledger.reserve(ask("1"), quota) == Reserved(second_purchase=False)
    assert await ledger.reserve(ask("1"), quota) == Refused("over_quota", quota="one")
    assert await value(postgres, "SELECT used FROM money.quota_uses WHERE name = 'other'") == 1


async def test_a_bill_above_its_reservation_is_booked_refuses_its_price_and_halts_in_a_second_step(
    ledger: Ledger, postgres: Postgres, statement: Statement, gate: GateRecord
) -> None:
    await run_stage(postgres)
    asked, overruns = await sent(ledger, usd="1.00"), Overruns(postgres)
    for _ in range(2):
        assert await ledger.settle(asked.id, Decimal("1.25"), used={}) == Ended("settled", overrun=True)
    assert await statement.of_video("v") == Total(Decimal(0), Decimal("1.25"))
    assert await refusal(ledger, ask("0.01")) == "price_refused"
    await reserved(ledger, usd="0.01", service="another")
    corrected = msgspec.structs.replace(ask("0.01"), price="output_tokens 12.5")
    assert isinstance(await ledger.reserve(corrected), Reserved)
    assert (await gate.read()).holds == ()  # whoever settled has died: the cost guardian finds it
    assert [overrun.reservation for overrun in await overruns.not_held()] == [asked.id]
    await overruns.hold(asked.id)
    (hold,) = (await gate.read()).holds
    assert (hold.kind, hold.cause, hold.by) == ("halt", "cost_overrun", "cost")
    assert "openai model billed $1.25 where $1 was the most" in hold.reason
    assert await overruns.not_held() == []
    await gate.apply(Command(verb="resume", id="r"), entry_id=None)
    await overruns.hold(asked.id)
    assert (await gate.read()).state == "open"  # it was held for, and an operator went on


async def test_a_bill_above_ten_dollars_is_booked_in_rows_that_are_plausible(
    ledger: Ledger, postgres: Postgres, statement: Statement
) -> None:
    await run_stage(postgres)
    asked = await sent(ledger)
    await ledger.settle(asked.id, Decimal("23.5"), used={})
    rows = await value(postgres, "SELECT array_agg(amount ORDER BY amount DESC) FROM pipeline_costs")
    assert rows == [Decimal(10), Decimal(10), Decimal("3.5")]
    assert await statement.contradictions() == []


async def test_halted_money_is_neither_reserved_nor_sent_and_a_pause_lets_it_go_on(
    ledger: Ledger, postgres: Postgres, gate: GateRecord
) -> None:
    await run_stage(postgres)
    asked, under_way = await reserved(ledger, usd="0.1"), await sent(ledger, usd="0.1")
    await gate.apply(Command(verb="halt", id="h"), entry_id=None)
    assert await ledger.sent(asked.id, 1) == Refused("halted")
    assert await refusal(ledger, ask("0.1")) == "halted"
    assert isinstance(await ledger.sent(under_way.id, 1), Sent)  # it was sent before, and its reply was lost
    assert await ledger.settle(under_way.id, Decimal("0.1"), used={}) == Ended("settled")
    await gate.apply(Command(verb="resume", id="r"), entry_id=None)
    await gate.apply(Command(verb="pause", id="p"), entry_id=None)
    assert isinstance(await ledger.sent(asked.id, 1), Sent)


async def test_money_that_nobody_will_end_is_turned(ledger: Ledger, postgres: Postgres, statement: Statement) -> None:
    await run_stage(postgres, "live")
    await run_stage(postgres, "dead")
    kept = await sent(ledger, video="live")
    left = [await reserved(ledger, usd="0.1", video="dead"), await sent(ledger, usd="0.1", video="dead")]
    abandoned = Abandoned(postgres)
    assert await abandoned.turn() == 0
    await value(postgres, "UPDATE video_stages SET status = 'dropped' WHERE video_id = 'dead' RETURNING 1")
    assert await abandoned.turn() == 2
    assert [await state(postgres, asked.id) for asked in (*left, kept)] == ["released", "unknown", "sent"]
    assert await abandoned.find() == []
    assert await statement.contradictions() == []


async def test_a_reservation_needs_the_claim_on_what_it_buys(ledger: Ledger, postgres: Postgres) -> None:
    await run_stage(postgres)
    asked = ask("0.1", input_hash=KEY.hash)
    assert await refusal(ledger, asked) == "superseded"
    await claimed(Bought(postgres), KEY, asked)
    assert isinstance(await ledger.reserve(asked), Reserved)


async def test_processes_write_money_through_its_calls_alone(postgres: Postgres) -> None:
    for table in ("money.days", "money.videos", "money.reservations", "money.purchases", "pipeline_costs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await value(postgres, f"DELETE FROM {table} RETURNING 1")  # noqa: S608 - named above
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await value(postgres, "SELECT money.move($1, 'released', NULL, '')", uuid4())


async def test_a_transaction_that_would_not_see_a_halt_is_refused(
    owner: asyncpg.Connection[asyncpg.Record], ledger: Ledger, postgres: Postgres
) -> None:
    await run_stage(postgres)
    asked = await reserved(ledger)
    async with owner.transaction(isolation="repeatable_read"):
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            await owner.execute("SELECT money.mark_sent($1, 1)", asked.id)


async def test_a_counter_that_does_not_equal_its_rows_is_named(
    ledger: Ledger, postgres: Postgres, statement: Statement, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await run_stage(postgres)
    asked = await sent(ledger, usd="0.75")
    await ledger.settle(asked.id, Decimal("0.5"), used={})
    assert await statement.contradictions() == []
    await owner.execute("UPDATE money.days SET spent = 0.4")
    await owner.execute("UPDATE money.videos SET reserved = 0.1")
    found = await statement.contradictions()
    assert [(one.counter, one.counted_spent_usd, one.rows_spent_usd) for one in found] == [
        ("day", Decimal("0.4"), Decimal("0.5")),
        ("video", Decimal("0.5"), Decimal("0.5")),
    ]
    assert (found[1].counted_reserved_usd, found[1].rows_reserved_usd) == (Decimal("0.1"), Decimal(0))
