"""`mode`, `retry`, `cancel` and `videos` against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from typer.testing import CliRunner, Result

from deploy.__main__ import app
from deploy.commands import connections
from schema.documents import Brief
from schema.errors import RefusedError
from schema.events import command as commands
from schema.record.gate import GateRecord
from schema.record.postgres import Connection, Postgres
from schema.record.videos import Videos
from streams import names
from streams.transport.over_redis import RedisTransport

T = TypeVar("T")
NOWHERE_REDIS, NOWHERE_POSTGRES = "redis://127.0.0.1:1/0", "postgresql://ytempire@127.0.0.1:1/ytempire"
XADD = "redis-cli XADD stream:control '*'"


@pytest.fixture
def transport(
    monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str, tmp_path: Path
) -> Iterator[RedisTransport]:
    """A way to the bus of a factory that is named in the environment; no control actor runs there."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(connections, "PATIENCE_S", 0.5)
    monkeypatch.setattr("deploy.commands.control.PATIENCE_S", 0.5)
    made = RedisTransport(valkey_url, process="test", lease_s=5)
    yield made
    made.close()


@pytest.fixture
def video(transport: RedisTransport, database_url: str) -> str:
    """A waiting video."""
    del transport
    return accept(database_url, "Rivers carry water")


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), standalone_mode=False)


def lines(*words: str) -> list[str]:
    done = ask(*words)
    assert done.exception is None, done.exception
    assert done.return_value in (None, 0)
    return done.output.splitlines()


def sent(transport: RedisTransport) -> list[commands.Command]:
    return [commands.parse(entry.fields) for entry in transport.observe({names.CONTROL: "0"}, 0.01)]


def in_record(database_url: str, work: Callable[[Postgres], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connections.record(database_url) as postgres:
            return await work(postgres)

    return asyncio.run(run())


def accept(database_url: str, topic: str, style: str = "default") -> str:
    async def work(postgres: Postgres) -> str:
        brief = Brief(topic=topic, style=style)
        return (await Videos(postgres).accept(key=topic, priority=5, brief=brief, traceparent="")).video

    return in_record(database_url, work)


def status(database_url: str, video: str) -> str:
    async def work(postgres: Postgres) -> str:
        row = await Videos(postgres).find(video)
        assert row is not None
        return row.status

    return in_record(database_url, work)


def execute(database_url: str, sql: str, *arguments: object) -> None:
    async def work(postgres: Postgres) -> None:
        async def run(connection: Connection) -> None:
            await connection.execute(sql, *arguments)

        await postgres.run(run)

    in_record(database_url, work)


def test_a_mode_is_in_the_record_and_in_the_stream_and_status_shows_it(
    transport: RedisTransport, database_url: str, video: str
) -> None:
    assert lines("mode", "economy", video, "--reason", "dear") == [
        f"{XADD} type mode mode economy video {video} reason dear",
        f"economy for {video}",
    ]
    [command] = sent(transport)
    assert (command.verb, command.mode, command.video, command.reason) == ("mode", "economy", video, "dear")
    assert any(line.startswith(f"  mode economy for {video} by operator since ") for line in lines("status"))
    assert lines("mode", "normal")[1] == "lifted 1"
    assert in_record(database_url, lambda postgres: GateRecord(postgres).read()).orders == ()


def test_a_mode_that_does_not_exist_is_refused_with_a_right_line_and_reaches_nobody(transport: RedisTransport) -> None:
    done = ask("mode", "fast")
    assert isinstance(done.exception, RefusedError)
    assert done.exception.hint == f"{XADD} type mode mode economy reason why"
    assert sent(transport) == []


def test_a_retry_of_a_video_that_has_not_ended_is_refused_as_its_receipt_would_be(
    transport: RedisTransport, video: str
) -> None:
    done = ask("retry", video)
    assert isinstance(done.exception, RefusedError)
    assert "only a video that has ended can be retried" in str(done.exception)
    as_json = ask("retry", video, "--json")
    assert as_json.return_value == 2
    answer = msgspec.json.decode(as_json.output)
    assert (answer["status"], answer["error"]) == ("rejected", str(done.exception))
    assert sent(transport) == []


def test_a_cancelled_video_is_retried_from_a_stage_with_a_fresh_take(
    transport: RedisTransport, database_url: str, video: str
) -> None:
    assert lines("cancel", video) == [f"{XADD} type cancel video {video}", f"{video} is cancelled"]
    assert status(database_url, video) == "cancelled"
    shown = lines("retry", video, "--from", "media", "--fresh")
    assert shown[0] == f"{XADD} type retry video {video} from media fresh yes"
    assert status(database_url, video) == "waiting"
    assert [command.verb for command in sent(transport)] == ["cancel", "retry"]


def test_an_answer_as_json_is_one_object(transport: RedisTransport, video: str) -> None:
    del transport
    [line] = lines("cancel", video, "--json")
    assert msgspec.json.decode(line) == {
        "line": f"{XADD} type cancel video {video}",
        "status": "applied",
        "type": "cancel",
        "gate": "open",
        "did": f"{video} is cancelled",
        "said": f"{video} is cancelled",
    }


def test_a_filter_shows_what_it_finds_and_cancels_it_only_when_told(
    transport: RedisTransport, database_url: str
) -> None:
    old = accept(database_url, "Old rivers", style="noir")
    new = accept(database_url, "New rivers", style="noir")
    other = accept(database_url, "Mountains", style="noir")
    execute(database_url, "UPDATE video_queue SET created_at = now() - interval '3 h' WHERE id <> $1", new)
    words = ("cancel", "--topic", "RIVERS", "--style", "noir", "--older-than", "2h", "--status", "waiting")
    shown = lines(*words)
    assert len(shown) == 2
    assert shown[0].startswith(old)
    assert shown[1] == "1 would be cancelled; add --yes to do it"
    assert (status(database_url, old), sent(transport)) == ("waiting", [])
    assert lines(*words, "--yes") == [f"{XADD} type cancel video {old}", "1 cancelled"]
    assert [status(database_url, video) for video in (old, new, other)] == ["cancelled", "waiting", "waiting"]
    assert [command.video for command in sent(transport)] == [old]
    assert lines(*words) == ["0 would be cancelled"]


def test_a_filter_of_more_videos_than_one_transaction_takes_cancels_them_all(
    transport: RedisTransport, database_url: str
) -> None:
    del transport
    execute(
        database_url,
        """INSERT INTO video_queue (id, key, topic, brief)
           SELECT 'v' || n, n::text, 'Rivers', '{"topic": "Rivers"}' FROM generate_series(1, 120) AS n""",
    )
    assert lines("cancel", "--topic", "rivers", "--yes")[-1] == "120 cancelled"
    assert len(lines("videos", "--status", "cancelled", "--limit", "1000")) == 120


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("cancel",), "one video or a filter"),
        (("cancel", "v", "--status", "waiting"), "one video or a filter"),
        (("cancel", "--status", "failed"), "only waiting, queued, processing can be cancelled"),
        (("cancel", "--older-than", "soon"), "expected a time such as"),
        (("videos", "--status", "lost"), "expected waiting, queued"),
    ],
)
def test_what_is_asked_wrongly_says_what_was_expected(
    transport: RedisTransport, words: tuple[str, ...], wrong: str
) -> None:
    done = ask(*words)
    assert isinstance(done.exception, RefusedError)
    assert wrong in str(done.exception)
    assert sent(transport) == []


def test_a_cancellation_without_redis_is_in_the_record_and_says_so(
    monkeypatch: pytest.MonkeyPatch, database_url: str, video: str
) -> None:
    monkeypatch.setenv("REDIS_URL", NOWHERE_REDIS)
    assert lines("cancel", video)[-1].startswith(f"{video} is cancelled: Redis does not answer")
    assert status(database_url, video) == "cancelled"


def test_a_retry_without_postgres_goes_by_the_stream(
    monkeypatch: pytest.MonkeyPatch, transport: RedisTransport
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE_POSTGRES)
    assert lines("retry", "v")[-1] == "sent: it is recorded as soon as Postgres answers again"
    assert [command.video for command in sent(transport)] == ["v"]


def test_videos_are_listed_the_newest_first(transport: RedisTransport, database_url: str) -> None:
    del transport
    first = accept(database_url, "First")
    second = accept(database_url, "Second")
    assert [line.split()[0] for line in lines("videos")] == [second, first]
    assert [line.split()[0] for line in lines("videos", "--limit", "1")] == [second]
    [row] = [msgspec.json.decode(line) for line in lines("videos", "--limit", "1", "--json")]
    assert (row["video"], row["status"], row["topic"]) == (second, "waiting", "Second")
