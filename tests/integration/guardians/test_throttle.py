from __future__ import annotations

import pytest

from guardians.throttle import Throttle
from streams import names
from streams.process import Process
from streams.transport.port import BusUnavailableError
from tests.integration.processes import Processes, entries
from tests.integration.streams.workers import Server


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("gpu")


def said(server: Server) -> list[tuple[str, str]]:
    """Jobs and reason of each order on stream:control."""
    return [(fields[b"jobs"].decode(), fields[b"reason"].decode()) for fields in entries(server, names.CONTROL)]


async def test_it_is_given_once_said_again_with_the_same_id_and_lifted(process: Process, redis_server: Server) -> None:
    throttle = Throttle(process, cause="gpu_memory", host="h", jobs=2)
    assert not await throttle.set("", now_s=1)
    assert said(redis_server) == [("all", "its guardian begins anew")]
    assert await throttle.set("full", now_s=2)
    assert not await throttle.set("fuller", now_s=3)
    assert said(redis_server)[1:] == [("2", "full")]
    await throttle.set("fuller", now_s=40)
    given, again = entries(redis_server, names.CONTROL)[1:]
    assert given == again
    assert (given[b"host"], given[b"by"], given[b"cause"]) == (b"h", b"gpu", b"gpu_memory")
    assert await throttle.set("", now_s=41)
    for now_s in range(100, 1000, 100):
        await throttle.set("", now_s=now_s)
    assert said(redis_server)[3:] == [("all", "normal again")] * 3
    assert len({fields[b"id"] for fields in entries(redis_server, names.CONTROL)}) == 3


async def test_an_order_that_redis_did_not_hear_is_said_by_the_next_tick(
    process: Process, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = process.transport.publish

    def away(*_: object, **__: object) -> list[str]:
        raise BusUnavailableError("away")

    monkeypatch.setattr(process.transport, "publish", away)
    throttle = Throttle(process, cause="gpu_memory", host="h", jobs=2)
    assert await throttle.set("full", now_s=1)
    monkeypatch.setattr(process.transport, "publish", publish)
    assert not await throttle.set("full", now_s=2)
    assert said(redis_server) == [("2", "full")]
