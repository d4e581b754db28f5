"""Rows of the operators' runbook that a guardian answers: each made to happen, and read back as a story."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
from msgspec.structs import replace

from deploy.commands.story import hear, line
from guardians.cost import CostGuardian
from guardians.integrity import IntegrityGuardian
from guardians.stuck import StuckGuardian
from guardians.vitals import VitalsGuardian
from schema import flow
from schema.money.ledger import Ledger
from schema.record.claims import Claims
from schema.record.videos import Videos
from schema.settings.limits import Limits
from streams.process import Process
from tests.integration.money.conftest import run_stage, sent
from tests.integration.processes import LEASE_S, Processes
from tests.integration.record.conftest import admitted, execute

LIMITS = Limits(audit_s=1e-6, full_audit_s=1e-6, disk_usage_percent=100, max_attempts=2, idle_session_s=0.2)
_SLOW = """
INSERT INTO video_queue (id, key, topic, brief, status, processing_started_at, completed_at, ended_at)
VALUES ('slow', 'slow', 't', '{}', 'completed', now() - interval '12 min', now(), now())"""


async def _paid(process: Process, video: str, usd: str, billed: str) -> None:
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(150))
    await run_stage(process.postgres, video)
    await execute(process.postgres, "UPDATE video_stages SET lease_until = now() + interval '1 h'")
    asked = await sent(ledger, usd=usd, video=video)
    await ledger.settle(asked.id, Decimal(billed), used={})


async def test_each_row_that_a_guardian_answers_is_in_the_story_of_the_night(
    processes: Processes, database_url: str, valkey_url: str
) -> None:
    stuck, cost, vitals, integrity = [
        await processes(name, limits=LIMITS) for name in ("stuck", "cost", "vitals", "integrity")
    ]
    began = datetime.now(UTC) - timedelta(seconds=1)
    operator = await asyncpg.connect(database_url)

    # queue not processing: a worker died with the script of a video, and nobody took its place
    video = await admitted(Videos(stuck.postgres))
    await execute(stuck.postgres, "UPDATE video_stages SET opened_at = now() - interval '10 min'")
    dead = Claims(stuck.postgres, worker="host-script-1-dead", lease_s=0.001, max_crashes=5)
    await dead.claim(video, flow.STAGE["script"], entry="stream:admitted/1-0", delayed=False)
    await execute(stuck.postgres, "UPDATE video_stages SET lease_until = now() - interval '1 h' WHERE stage = 'script'")
    await StuckGuardian(replaced_lease(stuck)).tick()
    # slow processing: a video took twelve minutes
    await operator.execute(_SLOW)
    await VitalsGuardian(vitals).tick()
    # high cost per video, and a bill above its price whose halt was missed
    await _paid(cost, "dear", "2.85", "2.85")
    await _paid(cost, "overrun", "0.50", "0.75")
    await CostGuardian(cost).tick()
    # connection exhaustion: a session of ours that nobody uses
    leaked = await asyncpg.connect(database_url, server_settings={"application_name": "ytempire leaked"})
    await operator.execute("SELECT pg_sleep(0.25)")
    # data corruption: a completed video without its time, a cost that cannot be
    await operator.execute("ALTER TABLE video_queue DROP CONSTRAINT completed_has_its_time")
    await operator.execute("ALTER TABLE pipeline_costs DROP CONSTRAINT amount_is_plausible")
    await operator.execute("UPDATE video_queue SET completed_at = NULL, ended_at = now() WHERE id = 'slow'")
    await operator.execute(
        "INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount) VALUES ('v', 'script', 1, 'x', -1)"
    )
    await IntegrityGuardian(integrity).tick()
    leaked.terminate()
    await operator.close()

    heard = await asyncio.to_thread(hear, valkey_url, began, most=100)
    story = [line(event)[21:] for event in heard.events]
    for words in (
        f"stuck      stuck.called_again script {video}: host-script-1-dead was not heard of for ",
        "vitals     vitals.level (critical): processing time is 720 s (warning above 480, critical above 600)",
        "cost       cost.economy (critical) dear: it has cost $2.85 (warning from $2.5, economy mode from $2.8, never",
        "cost       cost.held (critical) overrun: openai model billed $0.75 where $0.5 was the most by its price",
        "integrity  integrity.repaired (warning): ytempire leaked: session ",
        "integrity  integrity.repaired (warning): slow: completed without its time",
        "integrity  integrity.repaired (warning): v: a cost of $-1: it is moved to money.costs_set_aside",
    ):
        assert [told for told in story if told.startswith(words)], f"{words!r} is not in\n" + "\n".join(story)
    (hold,) = (await cost.gate_record.read()).holds
    assert (hold.kind, hold.cause, hold.by) == ("halt", "cost_overrun", "cost")


def replaced_lease(process: Process) -> Process:
    """As if Postgres had been there for longer than a lease."""
    process.settings = replace(process.settings, servers=replace(process.settings.servers, lease_s=LEASE_S / 10))
    return process
