"""The intake over HTTP: what is taken, what is refused, and in which words."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec

from deploy.gateway import submissions
from schema.settings.limits import Limits
from tests.integration.gateway.conftest import Gateway, gateway_of
from tests.integration.record.conftest import value

_ASKED = {"topic": "Rivers", "notes": "Rivers carry water to the sea."}
_EVENT = {"specversion": "1.0", "id": "7", "source": "/blog", "type": "video.requested", "data": _ASKED}


async def _videos(gateway: Gateway) -> object:
    return await value(gateway.process.postgres, "SELECT count(*) FROM video_queue")


async def test_the_same_key_twice_is_one_video_and_its_place_is_told(gateway: Gateway) -> None:
    first = await gateway.ask.post("/videos", json=_ASKED, headers={"idempotency-key": "k"})
    again = await gateway.ask.post("/videos", json={**_ASKED, "key": "k"})
    other = await gateway.ask.post("/videos", json=_ASKED)
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    video = first.json()["video"]
    assert first.json() == {
        "video": video,
        "status": "waiting",
        "place": 1,
        "links": {"status": f"/videos/{video}", "film": f"/videos/{video}/film"},
    }
    assert first.headers["location"] == f"/videos/{video}"
    assert (again.json()["video"], other.json()["place"]) == (video, 2)
    assert await _videos(gateway) == 2
    found = (await gateway.ask.get(f"/videos/{video}")).json()
    assert (found["video"]["topic"], found["video"]["status"], found["files"]) == ("Rivers", "waiting", {})
    assert [row["video"] for row in (await gateway.ask.get("/videos?topic=river&limit=1")).json()] == [
        other.json()["video"]
    ]


async def test_a_cloudevent_is_one_video_whichever_way_it_is_sent(gateway: Gateway) -> None:
    structured = await gateway.ask.post(
        "/videos", content=msgspec.json.encode(_EVENT), headers={"content-type": "application/cloudevents+json"}
    )
    binary = await gateway.ask.post(
        "/videos", json=_ASKED, headers={"ce-id": "7", "ce-source": "/blog", "ce-specversion": "1.0"}
    )
    assert (structured.status_code, binary.status_code) == (202, 202)
    assert structured.json()["video"] == binary.json()["video"]
    long = [{**_EVENT, "source": "/blog/" + "a" * 300, "id": number} for number in ("1", "2")]
    names = {(await gateway.ask.post("/videos", json=event)).json()["video"] for event in long}
    assert len(names) == 2  # what tells them apart lies beyond what a key may hold
    empty = await gateway.ask.post("/videos", json={**_EVENT, "data": "text"})
    assert (empty.status_code, empty.json()["error"]) == (422, "the CloudEvent has no data object")


_UNUSABLE = [
    (b"", 400, "the body is not JSON"),
    (b"topic=Rivers", 400, "the body is not JSON"),
    (b"\xff\xfe{", 400, "the body is not JSON"),
    (b"[1, 2]", 400, "the body is a list: expected an object"),
    (b"[" * 100_000, 400, "the body is nested too deeply"),
    (b'{"topic": ["Rivers"]}', 422, "topic is a list: expected text or a number"),
    (b'{"topic": "Rivers", "length": "yes"}', 422, "length is 'yes'"),
    (b'{"topic": "Rivers", "notes": "n", "style": "no such"}', 422, "style is 'no such': expected one of"),
    (b'{"topic": "\\ud800", "notes": "n"}', 400, "the body is not JSON"),
    (b'{"topic": "a\\u0000b", "notes": "n"}', 422, "topic has the control character U+0000"),
    (b'{"priority": 5}', 422, "topic is missing"),
]


async def test_what_cannot_be_used_is_refused_with_a_line_that_would_be_right(gateway: Gateway) -> None:
    for body, status, says in _UNUSABLE:
        answer = await gateway.ask.post("/videos", content=body)
        assert (answer.status_code, says in answer.json()["error"]) == (status, True), (body[:50], answer.text)
        assert "topic" in answer.json()["hint"]
    assert await _videos(gateway) == 0


async def test_a_queue_that_is_full_asks_to_come_back(valkey_url: str, database_url: str, tmp_path: Path) -> None:
    async with gateway_of(valkey_url, database_url, tmp_path, Limits(waiting_capacity=1)) as gateway:
        await gateway.submit("a")
        answer = await gateway.ask.post("/videos", json=_ASKED)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        assert answer.json()["hint"] == "send it again later; the same key makes no second video"


async def test_a_gigabyte_is_refused_unread(gateway: Gateway) -> None:
    """Said in Content-Length, or sent in chunks that never end: refused at the limit, and nothing of it is kept."""
    most = submissions.most_bytes(gateway.parts)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 20
            yield b" " * (1 << 20)

    tracemalloc.start()
    said = await gateway.raw(
        b"POST /videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n" + b" " * 1000
    )
    chunked: httpx.Response | None = None
    with suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        chunked = await gateway.ask.post("/videos", content=endless())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert b" 413 " in said.partition(b"\r\n")[0]
    assert f"{most:,} bytes".encode() in said
    if chunked is not None:
        assert chunked.status_code == 413
    assert sent < most + (32 << 20)
    assert peak_bytes < 4 * most + (16 << 20)
    assert (await gateway.ask.get("/livez")).status_code == 200
    assert await _videos(gateway) == 0


async def test_a_length_that_lies_is_no_request(gateway: Gateway) -> None:
    """Shorter than the body: what is left over is not read as a second request that nobody made."""
    head = b"POST /videos HTTP/1.1\r\nHost: localhost\r\n"
    short = await gateway.raw(head + b"Content-Length: 2\r\n\r\n{}POST /pipeline/pause HTTP/1.1\r\n\r\n")
    assert short.count(b"HTTP/1.1 422") == 1
    for wrong in (b"-1", b"abc", b"1e3", b"2\r\nContent-Length: 3"):
        assert (await gateway.raw(head + b"Content-Length: " + wrong + b"\r\n\r\n{}")).startswith(b"HTTP/1.1 400")
    assert (await gateway.ask.get("/overview")).json()["gate"] == "open"


async def test_with_redis_away_nobody_is_told_that_it_was_taken(gateway: Gateway) -> None:
    await gateway.redis.cut()
    answer = await asyncio.wait_for(gateway.ask.post("/videos", json=_ASKED, headers={"idempotency-key": "k"}), 5)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["hint"] == "send it again with the same Idempotency-Key"
    await gateway.redis.mend()
    await gateway.submit("k")
    assert await _videos(gateway) == 1
