"""Commands and dead letters over HTTP, with everybody there and with somebody away."""

from __future__ import annotations

import asyncio
import time

import pytest

from streams import names
from streams.transport.dead_letters import letter_fields
from streams.transport.port import Publication
from tests.integration.gateway.conftest import Gateway
from tests.integration.processes import entries
from tests.integration.record.conftest import execute, value
from tests.integration.streams.workers import Server

_SCRIPT = names.SUBSCRIPTIONS["script"]
_DEEP = b'{"reason": ' + b"[" * 3000


async def test_a_halt_is_done_whatever_its_body_says(gateway: Gateway, redis_server: Server) -> None:
    """As the runbook types it, without one; with a reason; and with bodies that cannot be read."""
    for body, reason in ((b"", None), (b'{"reason": "odd\\nvoice"}', "odd voice"), (b"no", None), (_DEEP, None)):
        answer = await gateway.ask.post("/pipeline/emergency/halt", content=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["gate"] == "halted"
        assert answer.json()["line"].startswith("redis-cli XADD stream:control '*' type halt")
        said = entries(redis_server, names.CONTROL)[-1]
        assert (said[b"type"], said.get(b"reason")) == (b"halt", reason.encode() if reason else None)
        assert (await gateway.ask.post("/pipeline/resume")).json()["gate"] == "open"
    began_s = time.monotonic()
    said_raw = await gateway.raw(
        b"POST /pipeline/emergency/halt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Length: 50\r\n\r\n{",
        within_s=5,
    )
    assert said_raw.startswith(b"HTTP/1.1 200")  # a body that never comes
    assert time.monotonic() - began_s < 8
    assert (await gateway.ask.get("/overview")).json()["gate"] == "halted"


@pytest.mark.slow
async def test_a_halt_works_with_either_server_away_and_says_so_with_neither(
    gateway: Gateway, redis_server: Server
) -> None:
    await gateway.redis.cut()
    alone = await gateway.ask.post("/pipeline/emergency/halt")
    assert (alone.json()["gate"], alone.json()["note"].partition(":")[0]) == ("halted", "Redis does not answer")
    await gateway.postgres.cut()
    neither = await gateway.ask.post("/pipeline/emergency/halt")
    assert (neither.status_code, neither.json()["error"].partition(":")[0]) == (
        503,
        "neither Postgres nor Redis answers",
    )
    await gateway.redis.mend()
    answering = asyncio.ensure_future(gateway.ask.post("/pipeline/emergency/halt"))
    async with asyncio.timeout(10):
        while not entries(redis_server, names.CONTROL):
            assert not answering.done()  # the stream does not wait for the record
            await asyncio.sleep(0.01)
    told = (await answering).json()
    assert (told["status"], told["note"]) == ("sent", "it is recorded as soon as Postgres answers")


async def test_a_command_is_refused_in_words_and_then_nothing_is_sent(gateway: Gateway, redis_server: Server) -> None:
    mode = await gateway.ask.post("/control", json={"type": "mode", "mode": "economy"})
    assert (mode.status_code, mode.json()["line"]) == (
        200,
        "redis-cli XADD stream:control '*' type mode mode economy by http",
    )
    sent = len(entries(redis_server, names.CONTROL))
    for body, status in (
        (b'{"type": "mode", "mode": "cheap"}', 422),
        (b'{"type": "cancel", "video": "v-none"}', 422),
        (b'{"type": {"halt": 1}}', 422),
        (b"{}", 422),
        (b"[]", 400),
        (b"[" * 50_000, 400),
        (b'{"type": "halt"}' + b" " * 200_000, 413),
    ):
        answer = await gateway.ask.post("/control", content=body)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "hint"}), (body[:40], answer.text)
    assert len(entries(redis_server, names.CONTROL)) == sent


async def test_a_dead_letter_is_put_back_once_and_only_where_somebody_can_use_it(gateway: Gateway) -> None:
    transport, video = gateway.process.transport, await gateway.submit()
    await asyncio.to_thread(transport.ensure_groups, _SCRIPT)

    async def give_up(name: str) -> str:
        fields = {"type": "video.admitted", "video": name}
        await asyncio.to_thread(transport.publish, [Publication(_SCRIPT.streams[0], fields)])
        (entry,) = await asyncio.to_thread(transport.read, _SCRIPT, 1, 1.0)
        letter = Publication(names.DEAD, letter_fields(entry, "it broke", "look at it"))
        return (await asyncio.to_thread(transport.publish, [letter]))[0]

    letter_id = await give_up(video)
    foreign = (await asyncio.to_thread(transport.publish, [Publication(names.DEAD, {"typed": "by hand"})]))[0]
    newest, listed = (await gateway.ask.get("/dead")).json()
    assert (newest["id"], newest["group"]) == (foreign, "")
    assert listed == {
        "id": letter_id,
        "group": "script",
        "error": "it broke",
        "hint": "look at it",
        "video": video,
        "requeued": False,
        "fields": {"type": "video.admitted", "video": video},
    }
    for outcome in ("requeued", "again"):
        done = await gateway.ask.post(f"/dead/{letter_id}/requeue")
        assert (done.status_code, done.json()) == (200, {"id": letter_id, "outcome": outcome})
    assert (await gateway.ask.post(f"/dead/{foreign}/requeue")).status_code == 422
    assert (await gateway.ask.post("/dead/1-1/requeue")).status_code == 404
    (again,) = await asyncio.to_thread(transport.read, _SCRIPT, 1, 1.0)
    assert (again.stream, again.fields[b"video"]) == ("lane:script", video.encode())
    ended = await give_up(video)
    await execute(gateway.process.postgres, "UPDATE video_queue SET status = 'failed', ended_at = now()")
    refused = await gateway.ask.post(f"/dead/{ended}/requeue")
    assert (refused.status_code, refused.json()["hint"]) == (422, f"./ytempire retry {video}")
    assert "which is failed" in refused.json()["error"]


async def test_costs_and_the_story_are_told_as_the_record_has_them(gateway: Gateway) -> None:
    video = await gateway.submit()
    await gateway.ask.post("/pipeline/pause", json={"reason": "lunch"})
    bill = (await gateway.ask.get("/costs", params={"by": "stage,service", "video": video})).json()
    assert bill == {
        "total": {"reserved_usd": "0", "spent_usd": "0"},
        "budget_usd": str(gateway.process.settings.limits.video_budget_usd),
        "by": ["stage", "service"],
        "lines": [],
    }
    assert (await gateway.ask.get("/costs?by=colour")).status_code == 422
    assert (await gateway.ask.get("/costs?since=yesterday")).status_code == 400
    told = (await gateway.ask.get("/story?since=8h")).json()["events"]
    assert [(event["who"], event["what"], event["why"]) for event in told] == [
        ("intake", "accepted", "Rivers"),
        ("http", "pause", "lunch"),
    ]
    assert (await gateway.ask.get("/story?since=0s")).json()["events"] == []
    for wrong in ("", "8", "h", "1y", "999999999999d", "-1h"):
        assert (await gateway.ask.get("/story", params={"since": wrong})).status_code == 422, wrong
    assert "default" in (await gateway.ask.get("/styles")).json()
    assert await value(gateway.process.postgres, "SELECT count(*) FROM video_queue") == 1
