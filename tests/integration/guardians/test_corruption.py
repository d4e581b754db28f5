"""Corruption planted by SQL, as an old dump or a hand at psql would leave it: mended or quarantined, and said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import asyncpg
import msgspec
import pytest

from guardians.integrity import IntegrityGuardian
from schema import flow
from schema.money.ledger import Ledger
from schema.release import RELEASE
from streams import names
from streams.process import Process
from tests.integration.guardians.conftest import notices
from tests.integration.guardians.planting import LIMITS, Owner, plant, said, status
from tests.integration.money.conftest import run_stage, sent
from tests.integration.processes import Processes
from tests.integration.record.conftest import execute
from tests.integration.streams.workers import Server

ALL, FAILED, DROPPED, RUNNING = (
    *("done done done done done", "done failed dropped dropped dropped"),
    *("done dropped dropped dropped dropped", "done done running open open"),
)
#: The runbook's two queries, word for word.
RUNBOOK = (
    """SELECT COUNT(*) FROM video_queue
WHERE status = 'completed'
AND completed_at IS NULL;""",
    """SELECT COUNT(*) FROM pipeline_costs
WHERE amount < 0 OR amount > 10;""",
)


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("integrity", limits=LIMITS)


@pytest.fixture
def guardian(process: Process) -> IntegrityGuardian:
    return IntegrityGuardian(process)


async def running_stage(process: Process, video: str = "v") -> None:
    """A script stage that runs, with a lease."""
    await run_stage(process.postgres, video)
    await execute(process.postgres, "UPDATE video_stages SET lease_until = now() + interval '1 h'")


async def stages(owner: Owner, video: str = "v") -> str:
    rows = await owner.fetch("SELECT stage, status FROM video_stages WHERE video_id = $1", video)
    found = {row["stage"]: row["status"] for row in rows}
    return " ".join(found[stage.name] for stage in flow.STAGES if stage.name in found)


async def rows(owner: Owner, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await owner.fetch(sql)]


async def test_the_runbooks_two_queries_find_nothing_after_the_guardian_looked(
    process: Process, guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(150))
    await plant(owner, "completed", "done done done done done", timed=False)
    await running_stage(process, "w")
    asked = await sent(ledger, usd="1.00", video="w")
    await ledger.settle(asked.id, Decimal("0.75"), used={})
    await owner.execute("UPDATE pipeline_costs SET amount = -0.75")
    await owner.execute(
        "INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount) VALUES ('v', 'script', 1, 'openai', 99)"
    )
    assert [await owner.fetchval(query) for query in RUNBOOK] == [1, 2]
    await guardian.tick()
    assert [await owner.fetchval(query) for query in RUNBOOK] == [0, 0]
    assert await owner.fetchval("SELECT ended_at < now() - interval '50 min' FROM video_queue WHERE id = 'v'")
    assert await rows(owner, "SELECT amount, video_id FROM pipeline_costs") == [(Decimal("0.75"), "w")]
    assert sorted(row["amount"] for row in await owner.fetch("SELECT amount FROM money.costs_set_aside")) == [
        Decimal("-0.75"),
        Decimal(99),
    ]
    assert await owner.fetch("SELECT * FROM money.contradictions") == []
    repaired = [notice for notice in notices(redis_server, "integrity.repaired") if notice["cause"] != "queue_keys"]
    assert sorted(notice["cause"] for notice in repaired) == [
        *("ended_without_time", "implausible_cost", "implausible_cost")
    ]
    assert {notice["reason"] for notice in repaired} >= {
        "w: a cost of $-0.75: it is written again as the ledger has it",
        "v: a cost of $99: it is moved to money.costs_set_aside",
    }
    await guardian.tick()
    assert len(said(redis_server)) == 3, "what was mended is said once"


@pytest.mark.parametrize(
    ("planted", "cause", "then"),
    [
        (("processing", ""), "processing_without_stages", ("queued", "")),
        (("processing", ALL), "processing_finished", ("completed", ALL)),
        (("processing", FAILED), "processing_failed", ("failed", FAILED)),
        (("processing", DROPPED), "processing_dropped", ("queued", DROPPED)),
        (("completed", RUNNING), "completed_in_hand", ("processing", RUNNING)),
        (("failed", RUNNING), "ended_in_hand", ("failed", "done done dropped dropped dropped")),
        (("cancelled", "open " * 4 + "open"), "ended_in_hand", ("cancelled", "dropped " * 4 + "dropped")),
    ],
)
async def test_a_status_that_contradicts_its_stages_is_given_theirs(
    guardian: IntegrityGuardian,
    owner: Owner,
    redis_server: Server,
    *,
    planted: tuple[str, str],
    cause: str,
    then: tuple[str, str],
) -> None:
    await plant(owner, *planted)
    await guardian.tick()
    assert (await status(owner), await stages(owner)) == then
    assert said(redis_server) == [("integrity.repaired", cause)]
    await guardian.tick()
    assert len(said(redis_server)) == 1


async def test_a_failed_videos_reason_is_that_of_its_stage(guardian: IntegrityGuardian, owner: Owner) -> None:
    await plant(owner, "processing", "done failed dropped dropped dropped")
    await guardian.tick()
    assert await owner.fetchval("SELECT reason FROM video_queue") == "it went wrong"


async def test_what_is_in_order_is_left_alone(guardian: IntegrityGuardian, owner: Owner, redis_server: Server) -> None:
    for number, (kind, rows) in enumerate(
        [
            ("waiting", ""),
            ("queued", ""),
            ("queued", "done dropped dropped dropped dropped"),
            ("processing", "done done running open open"),
            ("completed", "done done done done done"),
            ("failed", "done failed dropped dropped dropped"),
            ("cancelled", "dropped dropped dropped dropped dropped"),
        ]
    ):
        await plant(owner, kind, rows, video=f"v{number}")
    before = await owner.fetch("SELECT * FROM video_queue ORDER BY id"), await owner.fetch("SELECT * FROM video_stages")
    await guardian.tick()
    assert said(redis_server, "integrity.repaired") == said(redis_server, "integrity.quarantined") == []
    after = await owner.fetch("SELECT * FROM video_queue ORDER BY id"), await owner.fetch("SELECT * FROM video_stages")
    assert after == before


async def test_stage_rows_that_cannot_be_are_open_again_or_count_as_silent(
    guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    await plant(owner, "processing", "done done running open open")
    await owner.execute("UPDATE video_stages SET output = NULL WHERE stage = 'media'")
    await owner.execute("UPDATE video_stages SET lease_until = NULL")
    await guardian.tick()
    assert await stages(owner) == "done open running open open"
    assert await owner.fetchval("SELECT lease_until <= now() FROM video_stages WHERE stage = 'audio'")
    assert sorted(said(redis_server, "integrity.repaired")) == [
        ("integrity.repaired", "done_without_output"),
        ("integrity.repaired", "running_without_lease"),
    ]


async def test_a_completed_video_that_was_never_finished_is_quarantined_and_can_be_retried(
    guardian: IntegrityGuardian, owner: Owner, redis_server: Server, tmp_path: Path
) -> None:
    await plant(owner, "completed", "done done done dropped dropped")
    (tmp_path / "work" / "v").mkdir(parents=True)
    (tmp_path / "work" / "v" / "voice.wav").write_text("voice")
    await guardian.tick()
    assert await status(owner) == "failed"
    assert str(await owner.fetchval("SELECT reason FROM video_queue")).startswith("quarantined: completed, but")
    assert await stages(owner) == "done dropped dropped dropped dropped"
    assert (tmp_path / "quarantine" / "v" / "v" / "voice.wav").read_text() == "voice"
    assert said(redis_server) == [("integrity.quarantined", "never_finished")]


# Money


async def test_totals_that_are_too_low_are_raised_and_all_others_said_once(
    process: Process, guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(150))
    for video in ("v", "w"):
        await running_stage(process, video)
        asked = await sent(ledger, usd="1.00", video=video)
        await ledger.settle(asked.id, Decimal("0.50"), used={})
    await sent(ledger, usd="0.25")
    await owner.execute("UPDATE money.days SET spent = 0.1, reserved = 0")
    await owner.execute("UPDATE money.videos SET spent = spent + 1 WHERE video_id = 'w'")
    await guardian.tick()
    await guardian.tick()
    assert await rows(owner, "SELECT spent, reserved FROM money.days") == [(Decimal(1), Decimal("0.25"))]
    assert await owner.fetchval("SELECT spent FROM money.videos WHERE video_id = 'w'") == Decimal("1.5")
    assert said(redis_server) == [("integrity.repaired", "total_of_day"), ("integrity.found", "total_of_video")]
    assert "video w says $1.5 spent" in notices(redis_server, "integrity.found")[0]["reason"]


async def test_costs_that_are_not_what_the_ledger_has_are_written_again(
    process: Process, guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(100), day_budget_usd=Decimal(150))
    await running_stage(process)
    asked = await sent(ledger, usd="25.00")
    await ledger.unknown(asked.id, "timeout")
    await owner.execute("UPDATE pipeline_costs SET amount = 0.01")
    await guardian.tick()
    costs = await rows(owner, "SELECT amount, outcome FROM pipeline_costs ORDER BY amount DESC")
    assert costs == [(Decimal(10), "unknown"), (Decimal(10), "unknown"), (Decimal(5), "unknown")]
    assert await owner.fetch("SELECT * FROM money.contradictions") == []
    assert ("integrity.repaired", "costs_of_reservation") in said(redis_server)


async def test_reservations_that_no_attempt_will_end_are_turned(
    process: Process, guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    ledger = Ledger(process.postgres, video_budget_usd=Decimal(3), day_budget_usd=Decimal(150))
    await running_stage(process)
    asked = await sent(ledger, usd="1.00")
    await owner.execute("UPDATE video_stages SET status = 'failed'")
    await owner.execute("UPDATE video_queue SET status = 'failed', ended_at = now()")
    await guardian.tick()
    assert await owner.fetchval("SELECT state FROM money.reservations WHERE id = $1", asked.id) == "unknown"
    assert said(redis_server) == [("integrity.repaired", "abandoned_reservations")]


# Sessions and keys


async def test_only_sessions_of_ours_that_were_idle_for_too_long_are_closed(
    processes: Processes, owner: Owner, database_url: str, redis_server: Server
) -> None:
    process = await processes("integrity", limits=msgspec.structs.replace(LIMITS, idle_session_s=1.0))
    theirs = await asyncpg.connect(database_url, server_settings={"application_name": "a report"})
    ours = [
        await asyncpg.connect(
            database_url, server_settings={"application_name": f"ytempire {name}", "role": "ytempire_app"}
        )
        for name in ("idle", "in_transaction", "busy")
    ]
    await ours[1].execute("BEGIN")
    guardian = IntegrityGuardian(process)
    await owner.execute("SELECT pg_sleep(1.1)")
    await ours[2].fetchval("SELECT 1")
    await guardian.tick()
    alive = await owner.fetch("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
    assert {row["application_name"] for row in alive} >= {"a report", "ytempire busy", f"ytempire integrity {RELEASE}"}
    assert {row["application_name"] for row in alive}.isdisjoint({"ytempire idle", "ytempire in_transaction"})
    assert said(redis_server) == [("integrity.repaired", "idle_session")] * 2
    for connection in (theirs, *ours):
        connection.terminate()


async def test_queue_keys_that_stay_wrong_are_written_again(
    guardian: IntegrityGuardian, owner: Owner, redis_server: Server
) -> None:
    await plant(owner, "queued", video="q")
    await plant(owner, "processing", "open open open open open", video="p")
    redis_server.sadd(names.PROCESSING, "ghost")
    await guardian.tick()
    assert redis_server.smembers(names.PROCESSING) == {b"ghost"}, "dispatch may be about to write them"
    await guardian.tick()
    assert redis_server.smembers(names.PROCESSING) == {b"p"}
    assert redis_server.zrange(names.QUEUE, 0, -1, withscores=True) == [(b"q", 5.0)]
    await guardian.tick()
    assert [notice["cause"] for notice in notices(redis_server, "integrity.repaired")] == ["queue_keys"]
