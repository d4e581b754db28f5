"""`check`, `monitor`, `report`, `wrap`, `alert`, `chores`, `status` and `completion` on a record with a day in it."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.__main__ import app
from deploy.commands import screen
from deploy.commands.connections import record
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from schema.errors import RefusedError
from schema.record.chore_runs import ChoreRuns
from streams import names
from streams.transport.over_redis import RedisTransport
from tests.integration.record.conftest import execute

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).replace(hour=9, minute=30)

_VIDEO = """
INSERT INTO video_queue (id, key, topic, brief, status, created_at, processing_started_at, completed_at, ended_at,
                         reason)
VALUES ($1, $1, 'Tom & <b>Jerry</b>', '{}', $2, $3, $3, CASE WHEN $2 = 'completed' THEN $4::timestamptz END,
        CASE WHEN $2 IN ('completed', 'failed') THEN $4::timestamptz END, $5)"""
_ATTEMPT = """
INSERT INTO stage_attempts (video_id, stage, attempt, worker, started_at, ended_at, outcome)
VALUES ('a', 'render', 1, 'w', $1, $2, 'done')"""
_COST = """
INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount, "timestamp")
VALUES ('a', 'script', 1, 'openai', 0.25, $1)"""


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str, tmp_path: Path) -> str:
    """Servers, and no process of a factory; returns the address of its record."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    first = free_ports(20)
    monkeypatch.setenv("YTEMPIRE_METRICS_PORT", str(first))
    monkeypatch.setenv("YTEMPIRE_GATEWAY_PORT", str(first + 19))
    return database_url


@pytest.fixture
def day(factory: str) -> str:
    """Yesterday one video was completed for 25 cents, and one failed."""

    async def live() -> None:
        async with record(factory) as postgres:
            end = YESTERDAY + timedelta(minutes=4)
            await execute(postgres, _VIDEO, "a", "completed", YESTERDAY, end, None)
            await execute(postgres, _VIDEO, "b", "failed", YESTERDAY, end, "cost_cap: <i>too dear</i>")
            await execute(postgres, _ATTEMPT, YESTERDAY, YESTERDAY + timedelta(seconds=90))

    asyncio.run(live())
    _as_owner(factory, _COST, YESTERDAY)
    return factory


def _as_owner(database_url: str, statement: str, *arguments: object) -> None:
    import asyncpg  # noqa: PLC0415 - only here

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(statement, *arguments)
        await connection.close()

    asyncio.run(work())


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), standalone_mode=False)


def lines(*words: str) -> list[str]:
    done = ask(*words)
    assert done.exception is None, done.exception
    return done.stdout.splitlines()


@pytest.mark.usefixtures("day")
def test_a_report_of_yesterday_is_text_a_page_or_json(tmp_path: Path) -> None:
    told = "\n".join(lines("report"))
    assert f"{YESTERDAY.date()}" in told
    assert "1 of 2 failed" in told
    assert "video_rendering" in told
    assert "1 min 30 s" in told
    page = tmp_path / "new" / "page.html"
    assert lines("report", "--day", f"{YESTERDAY.date()}", "--out", str(page)) == [str(page)]
    written = page.read_text("utf-8")
    assert "09:00: 1 completed, 1 failed, 2 asked for" in written
    assert "&lt;i&gt;too dear" in written
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    (line,) = lines("report", "--json")
    told_to_programs = msgspec.json.decode(line)
    assert (told_to_programs["figures"]["completed"], told_to_programs["figures"]["failed"]) == (1, 1)


@pytest.mark.usefixtures("factory")
def test_a_day_that_is_none_is_refused() -> None:
    assert isinstance(ask("report", "--day", "tomorrow").exception, RefusedError)


def test_the_morning_names_what_is_not_well_each_with_its_command(day: str) -> None:
    _as_owner(day, _VIDEO, "stuck", "processing", YESTERDAY, YESTERDAY, None)
    done = ask("check")
    assert done.return_value == 1
    said = done.stdout.splitlines()
    states = {line[4:20].strip(): line[:3].strip() for line in said if not line.startswith(" ")}
    assert states == {
        "health": "BAD",
        "processes": "BAD",
        "gate": "ok",
        "queue, 24 hours": "ok",
        "yesterday": "ok",
        "disk": states["disk"],
        "gpu": "?",
        "stuck jobs": "BAD",
        "dead letters": "ok",
        "chores": "?",
    }
    assert "      nvidia-smi" in said
    assert any("1 completed, 1 failed" in line for line in said)


def test_an_hour_that_is_off_is_said_with_exit_code_1_and_one_that_is_not_known_is_no_fault(
    day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YTEMPIRE_QUEUE_DEPTH_CRITICAL", "1")
    for video in ("q1", "q2"):
        _as_owner(day, _VIDEO, video, "queued", YESTERDAY, YESTERDAY, None)
    found = {one["about"]: one for one in map(msgspec.json.decode, lines("monitor", "--json"))}
    assert found["queue"]["state"] == "bad"
    assert found["queue"]["line"] == "redis-cli zcard queue:priority"
    assert found["success rate"]["state"] == "?"
    assert found["cost today"]["state"] == "ok"
    done = ask("monitor")
    assert done.return_value == 1
    assert "ytempire: queue: 2 queued (critical above 1)" in done.stderr


@pytest.mark.usefixtures("factory")
def test_a_new_dead_letter_is_off_and_one_that_was_put_back_is_not(valkey_url: str) -> None:
    def state() -> str:
        told = map(msgspec.json.decode, lines("monitor", "--json"))
        return str(next(one["state"] for one in told if one["about"] == "dead letters"))

    transport = RedisTransport(valkey_url, process="test", lease_s=5)
    connection = transport._connection.commands
    connection.xadd(
        names.DEAD, {"video": "v", "error": "no room", "group": "render", "from_stream": "s", "from_id": "1-1"}
    )
    assert state() == "bad"
    (letter,) = transport.dead_letters()
    transport.requeue(letter, "lane:render")
    transport.close()
    assert state() == "ok"


@pytest.mark.usefixtures("day")
def test_the_evening_goes_through_all_its_steps_and_says_which_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def command(_: Path, *words: str) -> str:
        if words[0] == "backup":
            raise OSError("the disk is full")
        return "nothing to remove"

    monkeypatch.setattr("deploy.commands.evening._command", command)
    done = ask("wrap")
    assert done.return_value == 1
    said = [line.split() for line in done.stdout.splitlines()]
    assert [(words[0], words[1]) for words in said] == [
        ("ok", "report"),
        ("BAD", "backup"),
        ("ok", "clean"),
        ("ok", "vacuum"),
        ("ok", "summary"),
    ]
    assert list((tmp_path / "reports").glob("*.html"))


@pytest.mark.usefixtures("factory")
def test_an_alert_needs_somebody_to_tell(valkey_url: str) -> None:
    done = ask("alert", "COST OVERRUN DETECTED")
    assert done.stdout.startswith("redis-cli XADD stream:notices '*' type alert.told")
    assert "nobody is set in YTEMPIRE_ALERTS_TO" in done.stderr
    assert done.return_value == 0  # the console shows it
    transport = RedisTransport(valkey_url, process="test", lease_s=5)
    assert transport.last_generated_id(names.NOTICES, wait_s=1)
    transport.close()


def test_an_alert_that_nobody_takes_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"REDIS_URL": "", "DATABASE_URL": "", "YTEMPIRE_ALERTS_TO": "json://127.0.0.1:1/"}.items():
        monkeypatch.setenv(name, value)
    done = ask("alert", "it burns", "--data", str(tmp_path))  # no factory runs there
    assert done.return_value == 1
    assert "not told json://127.0.0.1:1/" in done.stderr


def test_what_was_done_by_itself_is_listed(factory: str) -> None:
    async def did() -> None:
        async with record(factory) as postgres:
            runs, due = ChoreRuns(postgres), datetime(2026, 11, 25, 2, tzinfo=UTC)
            assert await runs.claim("backup_daily", due, "host")
            await runs.end("backup_daily", due, "host", outcome="failed", said="a\nthe disk is full\n")

    assert lines("chores") == ["no chore was done yet"]
    asyncio.run(did())
    head, why = lines("chores")
    assert head.split()[:6] == ["backup_daily", "failed", "due", "2026-11-25", "02:00", "UTC"]
    assert why == "  the disk is full"


@pytest.mark.usefixtures("day")
def test_status_is_one_object_for_a_program_and_printed_once_in_a_pipe() -> None:
    (line,) = lines("status", "--json")
    told = msgspec.json.decode(line)
    assert (told["gate"], told["videos"]) == ("open", {"completed": 1, "failed": 1})
    assert lines("status") == lines("status", "--once")


async def test_on_a_terminal_the_same_lines_are_drawn_over() -> None:
    shown = iter(["first", "second"])

    async def look() -> list[str]:
        try:
            return [next(shown)]
        except StopIteration:
            raise KeyboardInterrupt from None

    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=60)
    await asyncio.to_thread(screen.follow, look, 0.0, console)
    assert "first" in written.getvalue()
    assert "second" in written.getvalue()
    assert "\x1b[2K" in written.getvalue()  # a line taken back


def test_a_shell_is_given_its_completion() -> None:
    command = (sys.executable, "-m", "deploy", "completion", "bash")
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert "_YTEMPIRE_COMPLETE=complete_bash" in done.stdout
    assert isinstance(ask("completion", "csh").exception, RefusedError)
