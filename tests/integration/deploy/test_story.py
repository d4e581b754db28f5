"""`status --since`: what happened in the night, told from record and stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.__main__ import app
from deploy.commands import connections
from schema.errors import RefusedError
from schema.events import notice
from schema.events.fact import stamp
from schema.events.notice import WIPED, Notice
from streams import names
from streams.publish import publish
from streams.transport.over_redis import RedisTransport
from tests.integration.record.conftest import execute

NOWHERE_REDIS = "redis://127.0.0.1:1/0"
NIGHT = """
INSERT INTO video_queue (id, key, topic, brief, status, created_at, ended_at, reason) VALUES
    ('v1', 'v1', 'Why octopuses', '{}', 'failed', now() - interval '6 h', now() - interval '2 h', 'no voice answers'),
    ('old', 'old', 'Long ago', '{}', 'cancelled', now() - interval '3 d', now() - interval '2 d', NULL);
INSERT INTO stage_attempts (video_id, stage, attempt, worker, started_at, ended_at, outcome, error) VALUES
    ('v1', 'script', 1, 'w', now() - interval '6 h', now() - interval '5 h', 'done', NULL),
    ('v1', 'audio', 1, 'w', now() - interval '5 h', now() - interval '4 h', 'retried', 'a timeout'),
    ('v1', 'audio', 2, 'w', now() - interval '4 h', now() - interval '2 h' - interval '1 s', 'failed', 'no voice');
INSERT INTO control_log (command, verb, by, reason, applied_at) VALUES
    ('c', 'halt', 'cost', 'the day is spent', now() - interval '210 min');
INSERT INTO refused_events (from_stream, from_id, kind, error, at) VALUES
    ('stream:intake', '1-0', 'rejected', 'topic is missing', now() - interval '5 h' - interval '1 min')"""


@pytest.fixture
def transport(valkey_url: str) -> Iterator[RedisTransport]:
    transport = RedisTransport(valkey_url, process="test", lease_s=5)
    yield transport
    transport.close()


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str, tmp_path: Path) -> None:
    """A factory whose record knows of a night."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("deploy.commands.story.PATIENCE_S", 0.2)

    async def happen() -> None:
        async with connections.record(database_url) as postgres:
            for statement in NIGHT.split(";"):
                await execute(postgres, statement)

    asyncio.run(happen())


def told(*options: str) -> list[str]:
    done = CliRunner().invoke(app, ["status", "--since", *options])
    assert done.exception is None, done.exception
    return [line for line in done.output.splitlines() if "redis.away" not in line]  # which goes to the log


def _said(transport: RedisTransport, *, hours_ago: float = 3.0, **fields: str) -> None:
    at = stamp(datetime.now(UTC) - timedelta(hours=hours_ago))
    publish(
        transport, names.NOTICES, notice.to_fields(Notice(**{"type": "cost.held", "by": "cost", "at": at, **fields}))
    )


@pytest.mark.usefixtures("night")
def test_a_night_is_told_in_order_of_time_with_who_did_what_and_why(transport: RedisTransport) -> None:
    _said(transport, reason="no call fits\nany more", level="critical", action="Wait for midnight", video="v1")
    shown = told("8h")
    assert [line[21:] for line in shown] == [
        "intake     accepted v1: Why octopuses",
        "stream:intake  rejected 1-0: topic is missing",
        "w          audio attempt 1 retried v1: a timeout",
        "cost       halt: the day is spent",
        "cost       cost.held (critical) v1: no call fits any more; Wait for midnight",
        "w          audio attempt 2 failed v1: no voice",
        "factory    failed v1: no voice answers",
    ]
    assert [line[:19] for line in shown] == sorted(line[:19] for line in shown)
    assert [line[21:] for line in told("150m")] == [line[21:] for line in shown[5:]]


@pytest.mark.usefixtures("night")
def test_each_event_is_one_json_object_for_a_program(transport: RedisTransport) -> None:
    _said(transport, reason="why", video="v1")
    events = [json.loads(line) for line in told("8h", "--json")]
    assert len(events) == 7
    assert {name: text for name, text in events[4].items() if name != "at"} == {
        "who": "cost",
        "what": "cost.held",
        "video": "v1",
        "why": "why",
    }


@pytest.mark.usefixtures("night")
def test_only_the_latest_are_told_where_there_are_more_and_that_is_said(transport: RedisTransport) -> None:
    _said(transport, reason="why")
    remark, *events = told("8h", "--limit", "2")
    assert remark == "(only the 2 latest events are shown: --limit shows more)"
    assert [event.split()[2] for event in events] == ["w", "factory"]


@pytest.mark.usefixtures("night")
def test_a_wiped_or_silent_redis_leaves_the_records_part_and_says_so(
    transport: RedisTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    remark, *events = told("8h")
    assert "so Redis was wiped, or is new: what guardians said is missing" in remark
    assert len(events) == 6
    publish(transport, names.NOTICES, {"type": WIPED, "by": "script", "stream": "stream:admitted"})
    assert "what guardians said before is lost" in told("8h")[0]
    monkeypatch.setenv("REDIS_URL", NOWHERE_REDIS)
    remark, *events = told("8h")
    assert remark.startswith("(Redis does not answer:")
    assert len(events) == 6


@pytest.mark.usefixtures("night")
def test_whatever_somebody_put_among_the_notices_is_told_on_one_harmless_line(transport: RedisTransport) -> None:
    publish(transport, names.NOTICES, {b"type": b"\xff\x1b[31m", b"by": b"me", b"at": b"yesterday"})
    [line] = [line for line in told("1h") if " me " in line]
    assert "\x1b" not in line


@pytest.mark.usefixtures("night")
def test_what_cannot_be_told_is_refused_with_a_hint() -> None:
    done = CliRunner().invoke(app, ["status", "--since", "soon"])
    assert isinstance(done.exception, RefusedError)
    assert done.exception.hint
