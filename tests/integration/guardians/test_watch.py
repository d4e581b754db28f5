from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from guardians.watch import Actions, watch
from schema.telemetry import metrics
from streams.process import Process
from streams.transport.port import BusUnavailableError, Entry
from tests.integration.guardians.conftest import notices
from tests.integration.processes import PATIENCE_S, Processes, running
from tests.integration.streams.workers import Server

STREAM = "stream:watched"


class Ticks:
    """Counts ticks; the ones named here fail."""

    def __init__(self, *failing: int) -> None:
        self._failing, self._number = failing, 0
        self._ticked: asyncio.Queue[int] = asyncio.Queue()

    async def __call__(self) -> None:
        """One tick."""
        self._number += 1
        self._ticked.put_nowait(self._number)
        if self._number in self._failing:
            raise RuntimeError("a question went wrong")

    async def next(self) -> int:
        """The number of the next tick, waited for."""
        return await asyncio.wait_for(self._ticked.get(), PATIENCE_S)

    def none(self) -> bool:
        """Whether none came that was not asked for."""
        return self._ticked.empty()


def _wanted(entry: Entry) -> bool:
    return b"wanted" in entry.fields


def _last_tick(guardian: str) -> float:
    return (
        metrics.REGISTRY.get_sample_value("ytempire_guardian_last_tick_timestamp_seconds", {"guardian": guardian})
        or 0.0
    )


async def _patient(processes: Processes) -> Process:
    return await processes("guardian", servers=replace(processes.servers, guardian_tick_s=3600.0))


async def test_a_tick_that_fails_is_followed_by_the_next(processes: Processes) -> None:
    ticks = Ticks(1, 2)
    async with running(watch(await processes("guardian"), ticks, streams=(STREAM,), wakes=_wanted)):
        assert [await ticks.next() for _ in range(4)] == [1, 2, 3, 4]


async def test_only_a_tick_that_went_well_is_shown_as_the_last(processes: Processes) -> None:
    ticks = Ticks(*range(1, 1000))
    process = await processes("failing")
    async with running(watch(process, ticks)):
        assert [await ticks.next() for _ in range(3)] == [1, 2, 3]
    assert _last_tick("failing") == 0.0
    before_s = process.clock.now().timestamp()
    ticks = Ticks()
    async with running(watch(process, ticks)):
        assert [await ticks.next() for _ in range(2)] == [1, 2]
    assert before_s <= _last_tick("failing") <= process.clock.now().timestamp()


async def test_what_was_done_while_redis_was_away_is_said_when_it_is_back_in_order(
    processes: Processes, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes("guardian")
    actions = Actions(process)
    publish = process.transport.publish

    def away(*_: object, **__: object) -> list[str]:
        raise BusUnavailableError("away")

    monkeypatch.setattr(process.transport, "publish", away)
    await actions.say("first", cause="c", reason="one")
    await actions.say("second", cause="c", reason="two", video="v")
    assert notices(redis_server) == []
    monkeypatch.setattr(process.transport, "publish", publish)
    await actions.flush()
    await actions.flush()
    first, second = notices(redis_server)
    assert (first["type"], first["by"], first["cause"], first["reason"]) == ("first", "guardian", "c", "one")
    assert (second["type"], second["video"]) == ("second", "v")
    done = {"guardian": "guardian", "type": "second"}
    assert metrics.REGISTRY.get_sample_value("ytempire_guardian_actions_total", done) == 1


async def test_an_entry_that_is_wanted_brings_the_next_tick_forward_and_another_one_does_not(
    processes: Processes, redis_server: Server
) -> None:
    ticks, seen = Ticks(), asyncio.Event()

    def wakes(entry: Entry) -> bool:
        seen.set()
        return _wanted(entry)

    async with running(watch(await _patient(processes), ticks, streams=(STREAM,), wakes=wakes)):
        assert await ticks.next() == 1
        redis_server.xadd(STREAM, {"other": "x"})
        await asyncio.wait_for(seen.wait(), PATIENCE_S)
        assert ticks.none()
        redis_server.xadd(STREAM, {"wanted": "x"})
        assert await ticks.next() == 2


async def test_a_judge_that_fails_on_one_entry_still_judges_the_next(
    processes: Processes, redis_server: Server
) -> None:
    def wakes(entry: Entry) -> bool:
        return entry.fields[b"wanted"] == b"yes"

    ticks = Ticks()
    async with running(watch(await _patient(processes), ticks, streams=(STREAM,), wakes=wakes)):
        assert await ticks.next() == 1
        redis_server.xadd(STREAM, {"unforeseen": "x"})
        redis_server.xadd(STREAM, {"wanted": "yes"})
        assert await ticks.next() == 2
