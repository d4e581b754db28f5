from __future__ import annotations

import uuid
from decimal import Decimal

import asyncpg
import pytest

from guardians.cost import CostGuardian
from schema.events.command import Command
from schema.money.ledger import Ledger
from schema.money.overruns import Overruns
from schema.record.commands import Commands
from schema.record.gate import Truth
from schema.settings.limits import Limits
from schema.telemetry import metrics
from streams import names
from streams.process import Process
from tests.integration.guardians.conftest import notices
from tests.integration.money.conftest import run_stage, sent
from tests.integration.processes import Processes, entries
from tests.integration.record.conftest import execute
from tests.integration.streams.workers import Server

#: So that a test needs few calls: a video may cost 3, a day 10, an hour 6.
LIMITS = Limits(day_budget_usd=Decimal(10), hour_budget_usd=Decimal(6), burn_patience_s=60)
YESTERDAY = """
UPDATE money.days SET day = day - 1; UPDATE pipeline_costs SET "timestamp" = "timestamp" - interval '1 day'"""


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("cost", limits=LIMITS)


@pytest.fixture
def guardian(process: Process) -> CostGuardian:
    return CostGuardian(process)


async def spend(process: Process, usd: str, video: str = "v", *, billed: str | None = None) -> None:
    """A video in hand has paid so much."""
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(100), day_budget_usd=Decimal(100))
    await run_stage(process.postgres, video)
    asked = await sent(ledger, usd=usd, video=video)
    await ledger.settle(asked.id, Decimal(billed or usd), used={})


async def operator(process: Process, command: Command) -> None:
    await Commands(process.postgres).apply(command)


async def truth(process: Process) -> Truth:
    return await process.gate_record.read()


def resume() -> Command:
    return Command("resume", id=uuid.uuid4().hex)


def said(server: Server) -> list[tuple[str, str, str]]:
    return [(notice["type"], notice["cause"], notice.get("video", "")) for notice in notices(server, "cost.")]


def shown(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(f"ytempire_{name}", labels)


async def test_a_dear_video_is_said_at_its_warning_and_saves_from_its_economy_limit_until_it_ends(
    process: Process, guardian: CostGuardian, redis_server: Server
) -> None:
    await guardian.tick()
    assert shown("cost_dollars", figure="dearest_video") == 0
    await spend(process, "2.49")
    await spend(process, "0.10", "cheap")
    await guardian.tick()
    assert said(redis_server) == []
    await spend(process, "0.01")
    await guardian.tick()
    await guardian.tick()
    assert said(redis_server) == [("cost.level", "video_cost", "v")]
    assert (await truth(process)).orders == ()
    await spend(process, "0.30")
    await guardian.tick()
    await guardian.tick()
    (order,) = (await truth(process)).orders
    assert (order.kind, order.scope, order.value, order.by, order.cause) == (
        *("mode", "v", "economy"),
        *("cost", "video_cost"),
    )
    assert said(redis_server)[1:] == [("cost.economy", "video_cost", "v")]
    [typed] = entries(redis_server, names.CONTROL)
    assert (typed[b"type"], typed[b"mode"], typed[b"video"], typed[b"by"]) == (b"mode", b"economy", b"v", b"cost")
    assert "it has cost $2.8 (warning from $2.5" in typed[b"reason"].decode()
    assert shown("cost_dollars", figure="dearest_video") == 2.8
    assert shown("guardian_limit", guardian="cost", figure="dearest_video", level="warning") == 2.5
    assert shown("guardian_limit", guardian="cost", figure="dearest_video", level="critical") == 2.8
    await execute(
        process.postgres, "UPDATE video_queue SET status = 'completed', completed_at = now(), ended_at = now()"
    )
    await Commands(process.postgres).tidy()
    await guardian.tick()
    assert said(redis_server)[2:] == [("cost.economy_lifted", "video_cost", "v")]
    assert (await truth(process)).orders == ()


async def test_a_guardian_that_begins_anew_gives_no_order_twice(
    process: Process, guardian: CostGuardian, redis_server: Server
) -> None:
    await spend(process, "2.90")
    await guardian.tick()
    await CostGuardian(process).tick()
    assert said(redis_server) == [("cost.economy", "video_cost", "v")]


async def test_what_an_operator_set_to_normal_is_not_put_into_economy_mode_again(
    process: Process, guardian: CostGuardian
) -> None:
    await spend(process, "2.90")
    await guardian.tick()
    await operator(process, Command("mode", mode="normal", video="v", id="n"))
    await guardian.tick()
    assert (await truth(process)).orders == ()
    await spend(process, "2.90", "w")
    await guardian.tick()
    assert [order.scope for order in (await truth(process)).orders] == ["w"]


async def test_a_video_above_its_budget_halts_all_once(
    process: Process, guardian: CostGuardian, redis_server: Server
) -> None:
    await spend(process, "3.01")
    await guardian.tick()
    assert [(hold.kind, hold.cause) for hold in (await truth(process)).holds] == [("halt", "over_budget:v")]
    assert ("cost.held", "over_budget", "v") in said(redis_server)
    await operator(process, resume())
    await guardian.tick()
    assert (await truth(process)).state == "open"
    await spend(process, "3.01", "w")
    await guardian.tick()
    assert [hold.cause for hold in (await truth(process)).holds] == ["over_budget:w"]


async def test_a_day_on_which_no_call_fits_is_held_until_midnight(
    process: Process, guardian: CostGuardian, database_url: str, redis_server: Server
) -> None:
    for number in range(4):
        await spend(process, "2.40", f"v{number}")
    await guardian.tick()
    assert [hold.cause for hold in (await truth(process)).holds] == []
    await spend(process, "0.20", "v0")
    await guardian.tick()
    await guardian.tick()
    assert [(hold.kind, hold.cause, hold.by) for hold in (await truth(process)).holds] == [
        ("halt", "day_budget", "cost")
    ]
    assert shown("cost_dollars", figure="day") == 9.8
    assert shown("guardian_limit", guardian="cost", figure="day", level="critical") == 10
    await by_hand(database_url, YESTERDAY)
    await guardian.tick()
    assert (await truth(process)).state == "open"
    assert [kind for kind, cause, _ in said(redis_server) if cause == "day_budget"] == ["cost.held", "cost.released"]


async def test_an_operator_who_resumes_over_the_day_goes_on_until_the_next_one(
    process: Process, guardian: CostGuardian, database_url: str
) -> None:
    for number in range(4):
        await spend(process, "2.45", f"v{number}")
    await guardian.tick()
    await operator(process, resume())
    await guardian.tick()
    assert (await truth(process)).state == "open"
    await by_hand(database_url, YESTERDAY)
    await guardian.tick()
    for number in range(4):
        await spend(process, "2.45", f"w{number}")
    await guardian.tick()
    assert [hold.cause for hold in (await truth(process)).holds] == ["day_budget"], "another day is another cause"


async def test_a_factory_that_may_spend_nothing_is_not_held(processes: Processes) -> None:
    process = await processes("cost", limits=Limits(day_budget_usd=Decimal(0)))
    await CostGuardian(process).tick()
    assert (await truth(process)).state == "open"


async def test_a_dear_hour_saves_is_paused_where_that_does_not_help_and_goes_on_when_it_is_cheap(
    processes: Processes, redis_server: Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes("cost", limits=Limits(hour_budget_usd=Decimal(6), burn_patience_s=60))
    guardian, now_s = CostGuardian(process), [0.0]
    monkeypatch.setattr(process.clock, "monotonic_s", lambda: now_s[0])
    for number in range(3):
        await spend(process, "2.00", f"v{number}")
    await guardian.tick()
    await guardian.tick()
    assert [(order.scope, order.cause) for order in (await truth(process)).orders] == [("", "burn_rate")]
    now_s[0] = 59.0
    await guardian.tick()
    assert (await truth(process)).state == "open", "economy mode has its time to help"
    now_s[0] = 121.0
    await guardian.tick()
    await guardian.tick()
    assert [(hold.kind, hold.cause) for hold in (await truth(process)).holds] == [("pause", "burn_rate")]
    await by_hand(database_url, YESTERDAY)
    await guardian.tick()
    assert ((await truth(process)).state, (await truth(process)).orders) == ("open", ())
    assert said(redis_server) == [
        ("cost.economy", "burn_rate", ""),
        ("cost.held", "burn_rate", ""),
        ("cost.released", "burn_rate", ""),
        ("cost.economy_lifted", "burn_rate", ""),
    ]


async def test_an_hour_that_economy_mode_has_made_cheaper_is_not_paused(
    process: Process, guardian: CostGuardian, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(process.clock, "monotonic_s", lambda: now_s[0])
    for number in range(3):
        await spend(process, "2.00", f"v{number}")
    await guardian.tick()
    await guardian.tick()
    await by_hand(database_url, """UPDATE pipeline_costs SET "timestamp" = "timestamp" - interval '20 min'""")
    now_s[0] = 121.0
    await guardian.tick()
    assert (await truth(process)).state == "open"


async def test_a_hold_that_was_missed_is_made_up_for_and_an_acknowledged_bill_is_another_than_the_next(
    process: Process, guardian: CostGuardian, redis_server: Server
) -> None:
    await spend(process, "0.50", billed="0.60")
    assert len(await Overruns(process.postgres).not_held()) == 1
    await guardian.tick()
    await guardian.tick()
    assert [(hold.kind, hold.cause) for hold in (await truth(process)).holds] == [("halt", "cost_overrun")]
    assert said(redis_server) == [("cost.held", "cost_overrun", "v")]
    await operator(process, resume())
    await guardian.tick()
    assert (await truth(process)).state == "open"
    await spend_corrected(process)
    await guardian.tick()
    assert [hold.cause for hold in (await truth(process)).holds] == ["cost_overrun"]


async def spend_corrected(process: Process) -> None:
    """Another service is too dear as well."""
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(100), day_budget_usd=Decimal(100))
    asked = await sent(ledger, usd="0.10", service="elevenlabs")
    await ledger.settle(asked.id, Decimal("0.20"), used={})


async def by_hand(database_url: str, sql: str) -> None:
    """Somebody at psql, who owns everything."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(sql)
    await connection.close()
