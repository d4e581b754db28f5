"""A stage of one process that is given its deliveries by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Scene, Script
from schema.events import fact as facts
from schema.settings.limits import Limits
from streams.broker import Delivered
from streams.interrupts import Interrupted
from streams.process import Process
from streams.transport.port import Entry, Publication
from tests.integration.record.conftest import value

SCRIPT = flow.STAGE["script"]
OUTPUT = Script(title="t", scenes=(Scene(narration="n"),))
LIMITS = Limits(max_attempts=2, retry_min_s=0.05, retry_max_s=0.1)
Work = Callable[[Task], Awaitable[msgspec.Struct]]


class Stage:
    """The script stage of one process, given deliveries by hand."""

    def __init__(self, process: Process, work: Work, stage: flow.Stage = SCRIPT) -> None:
        self.process, self._actor = process, StageActor(process, stage, work)

    async def __call__(self, video: str, entry_id: str = "1-0", *, retries: int = 0) -> tuple[Publication, ...]:
        """One delivery of the fact that starts the stage."""
        said = facts.to_fields(facts.admission(video, at=datetime.now(UTC), traceparent=""))
        raw = {name.encode(): text.encode() for name, text in said.items()}
        stream = flow.ADMITTED_STREAM
        entry = Entry(stream, entry_id, raw, "script", stream, entry_id, retries=retries)
        return await self._actor(Delivered(entry, self.process.transport.consumer))

    async def outcomes(self) -> list[str]:
        """How each attempt ended, in order."""
        found = await value(self.process.postgres, "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts")
        assert isinstance(found, list)
        return found


async def write(_task: Task) -> Script:
    return OUTPUT


async def row(process: Process, video: str) -> tuple[str, str, int]:
    """Status of the video, why, and failures of its script stage."""
    found = await value(
        process.postgres,
        """SELECT v.status || '|' || coalesce(v.reason, '') || '|' || s.failures
             FROM video_queue v JOIN video_stages s ON s.video_id = v.id AND s.stage = 'script' WHERE v.id = $1""",
        video,
    )
    status, reason, failures = str(found).split("|")
    return status, reason, int(failures)


async def outcome(working: Awaitable[object]) -> BaseException | object:
    """What a delivery returned or raised; an interrupt is no Exception, and would end the test's loop."""
    try:
        return await working
    except Interrupted as interrupt:
        return interrupt
