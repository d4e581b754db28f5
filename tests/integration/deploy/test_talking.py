"""The commands that talk to a factory, against real servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.__main__ import app
from deploy.commands import connections, videos
from schema.documents import Brief
from schema.errors import RecordUnavailableError, RefusedError, RetryableError
from schema.record.gate import GateRecord, Truth
from schema.record.videos import Videos
from streams import names, receipts
from streams.transport.over_redis import RedisTransport

NOWHERE_REDIS, NOWHERE_POSTGRES = "redis://127.0.0.1:1/0", "postgresql://ytempire@127.0.0.1:1/ytempire"


@pytest.fixture
def transport(valkey_url: str) -> Iterator[RedisTransport]:
    transport = RedisTransport(valkey_url, process="test", lease_s=5)
    yield transport
    transport.close()


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str, tmp_path: Path) -> None:
    """Both servers, named in the environment."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(connections, "PATIENCE_S", 0.5)
    monkeypatch.setattr("deploy.commands.control.PATIENCE_S", 0.5)


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def lines(*words: str) -> list[str]:
    done = ask(*words)
    assert done.exception is None, done.exception
    return done.output.splitlines()


def sent(transport: RedisTransport) -> list[dict[bytes, bytes]]:
    return [dict(entry.fields) for entry in transport.observe({names.CONTROL: "0"}, 0.01)]


def truth(database_url: str) -> Truth:
    async def read() -> Truth:
        async with connections.record(database_url) as postgres:
            return await GateRecord(postgres).read()

    return asyncio.run(read())


@pytest.mark.usefixtures("factory")
def test_a_halt_is_in_the_record_and_in_the_stream_and_prints_its_line(
    transport: RedisTransport, database_url: str
) -> None:
    shown = lines("halt", "--reason", "fire drill")
    assert shown == ["redis-cli XADD stream:control '*' type halt reason \"fire drill\"", "halted"]
    (event,) = sent(transport)
    assert (event[b"type"], event[b"reason"]) == (b"halt", b"fire drill")
    assert [hold.reason for hold in truth(database_url).holds] == ["fire drill"]
    assert "  halt by operator since" in lines("status")[1]
    assert lines("resume")[1] == "open"
    assert truth(database_url).state == "open"


@pytest.mark.usefixtures("factory")
def test_a_halt_without_postgres_goes_by_the_stream(monkeypatch: pytest.MonkeyPatch, transport: RedisTransport) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE_POSTGRES)
    assert lines("halt")[-1].startswith("sent: it works now")
    assert [event[b"type"] for event in sent(transport)] == [b"halt"]


@pytest.mark.usefixtures("factory")
def test_a_halt_without_redis_goes_by_the_record(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("REDIS_URL", NOWHERE_REDIS)
    assert lines("halt")[-1].startswith("halted: Redis does not answer")
    assert truth(database_url).state == "halted"


@pytest.mark.usefixtures("factory")
def test_a_halt_that_reaches_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", NOWHERE_REDIS)
    monkeypatch.setenv("DATABASE_URL", NOWHERE_POSTGRES)
    done = ask("halt")
    assert isinstance(done.exception, RecordUnavailableError)
    assert "nothing was done" in str(done.exception)


@pytest.mark.usefixtures("factory")
@pytest.mark.parametrize(
    ("answer", "shown"),
    [({"status": "waiting", "video": "v1", "place": "3"}, "video v1 waiting, place 3"), ({"error": "no"}, None)],
)
def test_a_request_is_answered_by_its_receipt(
    transport: RedisTransport, tmp_path: Path, answer: dict[str, str], shown: str | None
) -> None:
    seen: list[dict[bytes, bytes]] = []

    def intake() -> None:
        (entry,) = transport.observe({names.INTAKE: "0"}, 2)
        seen.append(dict(entry.fields))
        receipts.write(transport, names.receipt_key(entry.id), answer)

    thread = threading.Thread(target=intake)
    thread.start()
    notes = tmp_path / "notes.md"
    notes.write_text("Some words.", encoding="utf-8")
    done = ask("submit", "Why", "--notes", str(notes), "--priority", "7")
    thread.join()
    assert seen == [{b"topic": b"Why", b"notes": b"Some words.", b"priority": b"7"}]
    if shown is None:
        assert isinstance(done.exception, RefusedError)
    else:
        assert done.output.splitlines()[1] == shown


@pytest.mark.usefixtures("factory")
def test_a_request_that_nobody_answers_names_where_its_receipt_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "_RECEIPT_WITHIN_S", 0.1)
    done = ask("submit", "Why")
    assert isinstance(done.exception, RetryableError)
    assert done.exception.hint.startswith("./ytempire cli HGETALL receipt:")


@pytest.mark.usefixtures("factory")
def test_status_shows_counts_and_the_newest_videos(database_url: str) -> None:
    async def accept() -> None:
        async with connections.record(database_url) as postgres:
            await Videos(postgres).accept(key="k", priority=5, brief=Brief(topic="Why " * 30), traceparent="")

    asyncio.run(accept())
    shown = lines("status")
    assert shown[0] == "gate    open"
    assert shown[1] == "videos  waiting 1  queued 0  processing 0  completed 0  failed 0  cancelled 0"
    assert shown[2].endswith("…")
    assert shown[3] == "  not begun"


def test_the_doctor_finds_this_machine_well_and_a_missing_server_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    done = ask("doctor")
    assert done.exit_code == 0, done.output
    assert all(line.startswith("ok ") for line in done.output.splitlines())
    monkeypatch.setenv("REDIS_URL", NOWHERE_REDIS)
    done = ask("doctor")
    assert done.exit_code == 1
    assert "BAD redis      [Errno 111] Connection refused" in done.output
