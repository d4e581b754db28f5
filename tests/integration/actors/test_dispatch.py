from __future__ import annotations

import asyncio

import pytest

from actors import dispatch
from actors.dispatch import Dispatch
from schema import flow
from schema.documents import Brief
from schema.events.command import Command
from schema.record.admission import Queue
from schema.record.claims import Claim, Claims
from schema.record.commands import Commands
from schema.record.stops import AdmissionStops
from schema.record.videos import Videos
from schema.settings.limits import Limits
from streams import names
from streams.process import Process
from tests.integration.processes import Processes, entries, running, until
from tests.integration.record.conftest import accept, admitted
from tests.integration.streams.workers import Server

ADMITTED = "stream:admitted"


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("dispatch")


@pytest.fixture
def videos(process: Process) -> Videos:
    return Videos(process.postgres)


def published(server: Server) -> list[str]:
    """The videos whose admission is in the stream, in order."""
    return [fields[b"video"].decode() for fields in entries(server, ADMITTED)]


@pytest.mark.parametrize("state", ["halted", "paused"])
async def test_nothing_is_admitted_while_the_gate_is_shut_though_the_queue_fills(
    process: Process, videos: Videos, redis_server: Server, state: str
) -> None:
    process.gate.set("halted" if state == "halted" else "paused")
    video = await accept(videos, "k")
    turning = Dispatch(process)
    await turning.turn()
    assert await videos.counts() == {"queued": 1}
    assert published(redis_server) == []
    process.gate.set("open")
    await turning.turn()
    assert published(redis_server) == [video]


async def test_two_dispatchers_at_once_admit_no_more_than_one_and_say_each_video_once(
    processes: Processes, redis_server: Server
) -> None:
    both = [await processes("dispatch", limits=Limits(max_concurrent=3)) for _ in range(2)]
    for number in range(8):
        await accept(Videos(both[0].postgres), f"k{number}")
    turning = [Dispatch(process) for process in both]
    for _ in range(3):
        await asyncio.gather(*(one.turn() for one in turning))
    assert await Queue(both[0].postgres).in_hand() == 3
    assert len(published(redis_server)) == len(set(published(redis_server))) == 3


async def test_no_more_are_admitted_than_may_be_in_hand_and_the_next_when_one_ends(
    processes: Processes, redis_server: Server
) -> None:
    process = await processes("dispatch", limits=Limits(max_concurrent=2))
    videos = Videos(process.postgres)
    for number in range(4):
        await accept(videos, f"k{number}")
    turning = Dispatch(process)
    await turning.turn()
    await turning.turn()
    assert len(published(redis_server)) == 2
    await process.postgres.run(
        lambda connection: connection.execute(
            "UPDATE video_stages SET status = 'dropped' WHERE video_id = $1", published(redis_server)[0]
        )
    )
    await turning.turn()
    assert len(published(redis_server)) == 3


async def test_what_was_admitted_before_a_crash_is_published_by_the_next_turn_once(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    video = await admitted(videos)
    process.gate.set("halted")  # owed since before the halt
    await Dispatch(process).turn()
    await Dispatch(process).turn()
    assert published(redis_server) == [video]


async def test_a_crash_between_publishing_and_noting_it_publishes_nothing_twice(
    process: Process, videos: Videos, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = await admitted(videos)

    async def crash(_self: Queue, _videos: list[str]) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as before_the_crash:
        before_the_crash.setattr(Queue, "mark_published", crash)
        with pytest.raises(RuntimeError, match="killed"):
            await Dispatch(process).turn()
    await Dispatch(process).turn()
    assert published(redis_server) == [video]
    assert await Queue(process.postgres).unpublished() == ()


async def test_the_two_queue_keys_show_the_record_and_come_back_after_a_wipe(
    processes: Processes, redis_server: Server
) -> None:
    process = await processes("dispatch", limits=Limits(max_concurrent=1))
    videos = Videos(process.postgres)
    await accept(videos, "low", 2)
    high, middle = await accept(videos, "high", 9), await accept(videos, "middle", 7)
    turning = Dispatch(process)
    await turning.turn()
    shown = redis_server.zrange(names.QUEUE, 0, -1, desc=True, withscores=True)
    assert shown[0] == (middle.encode(), 7.0)
    assert [score for _, score in shown] == [7.0, 2.0]
    assert redis_server.smembers(names.PROCESSING) == {high.encode()}
    redis_server.flushall()
    for _ in range(5):
        await turning.turn()
    assert redis_server.zcard(names.QUEUE) == 2
    assert redis_server.scard(names.PROCESSING) == 1


async def test_above_the_disk_threshold_nothing_is_admitted(processes: Processes, redis_server: Server) -> None:
    process = await processes("dispatch", limits=Limits(disk_usage_percent=1e-9))
    await accept(Videos(process.postgres), "k")
    await Dispatch(process).turn()
    assert await Videos(process.postgres).counts() == {"queued": 1}
    assert published(redis_server) == []


async def test_while_a_guardian_stops_admission_nothing_is_admitted_and_the_next_turn_after_it_goes_on(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    video, stops = await accept(videos, "k"), AdmissionStops(process.postgres)
    await stops.keep("gpu", "host", {"gpu_memory": "card 0 is full"})
    turning = Dispatch(process)
    await turning.turn()
    assert await videos.counts() == {"queued": 1}
    await stops.keep("gpu", "host", {})
    await turning.turn()
    assert published(redis_server) == [video]


async def test_it_wakes_for_a_notice_and_for_an_opening_gate_without_waiting_for_its_turn(
    process: Process, videos: Videos, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_TURN_S", 3600.0)
    process.gate.set("halted")
    await accept(videos, "first")

    async def queued(count: int) -> bool:
        return await videos.counts() == {"queued": count}

    async with running(dispatch.run(process)):
        await until(lambda: queued(1))  # its first turn: from here on it follows the streams
        await accept(videos, "second")
        await asyncio.to_thread(redis_server.xadd, names.NOTICES, {"type": "video.accepted"})
        await until(lambda: queued(2))
        process.gate.set("open")
        await until(lambda: len(published(redis_server)) == 2)


async def test_economy_mode_admits_three_at_once_and_normal_the_rest(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    for number in range(9):
        await accept(videos, f"k{number}")
    turning = Dispatch(process)
    await _order(process, Command("mode", mode="economy", id="economy"))
    await turning.turn()
    assert len(published(redis_server)) == 3
    await _order(process, Command("mode", mode="normal", id="normal"))
    await turning.turn()
    assert len(published(redis_server)) == 7


async def test_the_economy_mode_of_one_video_keeps_no_other_out(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    found = [await accept(videos, f"k{number}") for number in range(9)]
    await _order(process, Command("mode", mode="economy", video=found[0], id="economy"))
    await Dispatch(process).turn()
    assert len(published(redis_server)) == 7


async def test_a_retried_video_goes_on_where_it_was_without_waiting_for_integrity(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    video = await admitted(videos)
    claims = Claims(process.postgres, worker="w", lease_s=60, max_crashes=5)
    turning = Dispatch(process)
    await turning.turn()
    for name in ("script", "media"):
        claim = await claims.claim(video, flow.STAGE[name], entry="e", delayed=False)
        assert isinstance(claim, Claim)
        await (claims.fail(claim, "no pictures") if name == "media" else claims.commit(claim, Brief(topic="t")))
    await _order(process, Command("retry", video=video, id="retry"))
    await turning.turn()
    await turning.turn()
    assert [fields[b"type"] for fields in entries(redis_server, "stream:scripts")] == [b"script.written"] * 2
    assert published(redis_server) == [video]


async def test_a_video_retried_within_a_minute_of_its_admission_is_admitted_again(
    process: Process, videos: Videos, redis_server: Server
) -> None:
    video = await accept(videos, "k")
    turning = Dispatch(process)
    await turning.turn()
    await _order(process, Command("cancel", video=video, id="cancel"))
    await _order(process, Command("retry", video=video, id="retry"))
    await turning.turn()
    assert published(redis_server) == [video, video]
    assert [fields[b"id"].decode() for fields in entries(redis_server, ADMITTED)] == [
        f"{video}.admitted.1",
        f"{video}.admitted.2",
    ]


async def _order(process: Process, command: Command) -> None:
    """Gives a command to the record, and lets the process look there as it does each second."""
    await Commands(process.postgres).apply(command)
    process.keeper._obey(await process.gate_record.read())
