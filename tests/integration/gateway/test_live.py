"""The live feed: what a listener gets first, what changes, and that listeners who are slow or gone harm nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.gateway import live
from streams import names
from streams.publish import publish
from tests.integration.gateway.conftest import Gateway
from tests.integration.processes import until


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, object]]]:
    kind = ""
    async for line in lines:
        name, _, text = line.partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield kind, msgspec.json.decode(text)


async def test_a_listener_gets_the_picture_what_happens_and_what_changes_and_leaves_nothing(gateway: Gateway) -> None:
    async with asyncio.timeout(15), gateway.ask.stream("GET", "/live") as feed:
        assert feed.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in feed.headers
        said = _messages(feed.aiter_lines())
        first = dict([await anext(said), await anext(said)])
        assert set(first) == {"processes", "overview"}
        assert first["overview"]["gate"] == "open"
        video = await gateway.submit()
        seen: dict[str, object] = {}
        async for kind, data in said:
            if kind == "event":
                seen.setdefault(str(data["stream"]), data["fields"])
            elif kind == "overview" and data["videos"] == {**first["overview"]["videos"], "waiting": 1}:  # type: ignore[dict-item]
                break
        assert seen["stream:intake"] == {"key": "k", "notes": "Rivers carry water to the sea.", "topic": "Rivers"}
        assert video
    await until(lambda: not gateway.live._listeners)
    assert not gateway.live._watched.is_set()


async def test_a_listener_that_reads_too_slowly_is_told_so_and_gets_the_picture_again(gateway: Gateway) -> None:
    listener = gateway.live.listen()
    first = await asyncio.wait_for(anext(listener), 10)
    assert first[0].kind in ("overview", "processes")
    await until(lambda: len(gateway.live._last) == 2)
    for number in range(live._KEPT + 5):
        gateway.live._tell(live.Message("event", str(number).encode()))
    waits = gateway.live._listeners.copy().pop()
    assert waits.qsize() < live._KEPT
    kinds = [message.kind for message in await anext(listener)]
    assert kinds[0] == "lost"
    assert set(kinds[1:3]) == {"overview", "processes"}
    await listener.aclose()
    assert not gateway.live._listeners


async def test_what_fails_in_a_look_does_not_end_the_feed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()

    async def fail(*, hears: bool) -> None:
        failed.set()
        raise ValueError(hears)

    monkeypatch.setattr(gateway.live, "_look_once", fail)
    listener = gateway.live.listen()
    waiting = asyncio.ensure_future(anext(listener))
    await asyncio.wait_for(failed.wait(), 10)
    await asyncio.to_thread(publish, gateway.process.transport, names.NOTICES, {"type": "still.heard"})
    assert b"still.heard" in (await asyncio.wait_for(waiting, 10))[0].data
    await listener.aclose()
