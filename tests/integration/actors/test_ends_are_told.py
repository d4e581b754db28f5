from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.errors import PermanentError
from schema.events import fact as facts
from schema.record.claims import Claim, Claims
from schema.record.videos import Videos
from streams import names
from streams.broker import Delivered
from streams.process import Process
from streams.transport.port import Entry, Publication
from tests.integration.actors.by_hand import OUTPUT
from tests.integration.processes import Processes
from tests.integration.record.conftest import admitted, value


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("quality")


def entry(video: str, stage: flow.Stage, *, deliveries: int) -> Entry:
    """The same entry each time, delivered so often."""
    said = facts.to_fields(facts.admission(video, at=datetime.now(UTC), traceparent=""))
    raw = {name.encode(): text.encode() for name, text in said.items()}
    return Entry("stream:in", "7-0", raw, stage.name, "stream:in", "7-0", deliveries=deliveries)


def types(publications: tuple[Publication, ...]) -> list[tuple[str, object]]:
    """What is published, and where."""
    return [(each.stream, {str(name): text for name, text in each.fields.items()}.get("type")) for each in publications]


async def fails(_task: Task) -> msgspec.Struct:
    raise PermanentError("no words")


async def finishes(_task: Task) -> msgspec.Struct:
    return OUTPUT


async def test_completed_video_is_told_although_its_worker_died_before_it_acknowledged(process: Process) -> None:
    video = await admitted(Videos(process.postgres))
    claims = Claims(process.postgres, worker="w", lease_s=60, max_crashes=2)
    for stage in flow.STAGES[:-1]:
        claim = await claims.claim(video, stage, entry="x", delayed=False)
        assert isinstance(claim, Claim)
        await claims.commit(claim, OUTPUT)
    actor, consumer = StageActor(process, flow.LAST, finishes), process.transport.consumer
    first = await actor(Delivered(entry(video, flow.LAST, deliveries=1), consumer))  # and it dies here

    again = await actor(Delivered(entry(video, flow.LAST, deliveries=2), consumer))
    replayed = await actor(Delivered(entry(video, flow.LAST, deliveries=1), consumer))

    assert types(first) == types(again) == [(flow.LAST.stream, flow.LAST.fact)]
    assert replayed == ()  # a stream that is read anew from its start tells no end twice


async def test_failed_video_is_told_although_its_worker_died_before_it_acknowledged(process: Process) -> None:
    video = await admitted(Videos(process.postgres))
    actor, consumer = StageActor(process, flow.FIRST, fails), process.transport.consumer
    first = await actor(Delivered(entry(video, flow.FIRST, deliveries=1), consumer))
    async with process.postgres._pool.acquire() as connection:  # type: ignore[union-attr] # it is open
        await connection.execute("DELETE FROM refused_events")  # it died before this, too

    again = await actor(Delivered(entry(video, flow.FIRST, deliveries=2), consumer))
    replayed = await actor(Delivered(entry(video, flow.FIRST, deliveries=1), consumer))

    assert types(first) == types(again)
    assert types(again)[0] == (flow.LAST.stream, flow.FAILED_FACT)
    assert types(again)[1][0] == names.DEAD
    assert await value(process.postgres, "SELECT error FROM refused_events") == "no words"
    assert replayed == ()
