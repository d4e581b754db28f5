"""`./ytempire requeue` against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.__main__ import app
from deploy.commands import connections
from schema.documents import Brief
from schema.record.postgres import Connection
from schema.record.videos import Videos
from streams import names
from streams.transport.dead_letters import letter_fields
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Publication

SCRIPT = names.SUBSCRIPTIONS["script"]


@pytest.fixture
def transport(
    monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str, tmp_path: Path
) -> Iterator[RedisTransport]:
    """A way to the bus of a factory that is named in the environment."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    made = RedisTransport(valkey_url, process="test", lease_s=60)
    yield made
    made.close()


def _given_up(transport: RedisTransport, video: str) -> str:
    """A dead letter of an event of `video`; returns its id."""
    transport.publish([Publication(SCRIPT.streams[0], {"type": "video.admitted", "video": video})])
    (entry,) = transport.read(SCRIPT, 1, 1.0)
    (letter_id,) = transport.publish([Publication(names.DEAD, letter_fields(entry, "it broke", ""))])
    return letter_id


def _failed_video(database_url: str) -> str:
    async def make() -> str:
        async with connections.record(database_url) as postgres:
            brief = Brief(topic="Rivers", notes="Rivers carry water.")
            accepted = await Videos(postgres).accept(key="k", priority=5, brief=brief, traceparent="")

            async def fail(connection: Connection) -> None:
                await connection.execute(
                    "UPDATE video_queue SET status = 'failed', ended_at = now() WHERE id = $1", accepted.video
                )

            await postgres.run(fail)
            return accepted.video

    return asyncio.run(make())


def test_a_dead_letter_goes_back_to_its_group_and_the_line_it_stands_for_is_printed(
    transport: RedisTransport,
) -> None:
    letter_id = _given_up(transport, "v-1")
    listed = CliRunner().invoke(app, ["requeue"])
    assert f"{letter_id}  dead      script  v-1  it broke" in listed.output
    done = CliRunner().invoke(app, ["requeue", letter_id], standalone_mode=False)
    assert done.return_value == 0
    assert done.output.startswith("redis-cli XADD lane:script '*' type video.admitted video v-1 lane:from_stream")
    (again,) = transport.read(SCRIPT, 1, 1.0)
    assert (again.stream, again.fields[b"video"]) == ("lane:script", b"v-1")
    twice = CliRunner().invoke(app, ["requeue", letter_id], standalone_mode=False)
    assert (twice.return_value, "was put back before" in twice.output) == (1, True)


def test_a_letter_whose_video_has_ended_is_refused_and_the_others_go_back(
    transport: RedisTransport, database_url: str
) -> None:
    video = _failed_video(database_url)
    ended, other = _given_up(transport, video), _given_up(transport, "v-2")
    done = CliRunner().invoke(app, ["requeue", "--all"], standalone_mode=False)
    assert done.return_value == 1
    assert f"{ended} belongs to {video}, which is failed" in done.output
    assert {letter.id: letter.requeued for letter in transport.dead_letters()} == {ended: False, other: True}


def test_a_letter_that_nobody_can_place_is_said_so(transport: RedisTransport) -> None:
    (letter_id,) = transport.publish([Publication(names.DEAD, {"typed": "by hand"})])
    done = CliRunner().invoke(app, ["requeue", letter_id], standalone_mode=False)
    assert (done.return_value, "names no group of ours" in done.output) == (1, True)
    missing = CliRunner().invoke(app, ["requeue", "1-1"], standalone_mode=False)
    assert "there is no dead letter 1-1" in str(missing.exception)
