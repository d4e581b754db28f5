"""What the routes of the gateway work with: one of each, for the life of the process.

A request never waits for a server as long as the factory's processes do: whoever asks gets an answer, if only that
Postgres or Redis is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from deploy.exporters import Exporters
from deploy.gateway.live import Live
from schema.errors import RecordUnavailableError
from schema.money.statement import Statement
from schema.record.commands import Commands
from schema.record.figures import Figures
from schema.record.gate import GateRecord
from schema.record.glance import Glance
from schema.record.story import Stories
from schema.record.videos import Videos
from streams.process import Process

T = TypeVar("T")
#: How long Postgres may stay silent before an answer says so.
RECORD_PATIENCE_S: Final = 3.0


class Parts:
    """Readers of the record, the bus, and the live feed."""

    def __init__(self, process: Process) -> None:
        self.process, self.settings = process, process.settings
        postgres = process.postgres
        self.gate, self.glance, self.videos = GateRecord(postgres), Glance(postgres), Videos(postgres)
        self.statement, self.figures = Statement(postgres), Figures(postgres)
        self.stories, self.commands = Stories(postgres), Commands(postgres)
        self.exporters = Exporters(process.settings.servers, process.name)
        self.live = Live(self)


async def soon(asked: Awaitable[T]) -> T:
    """What the record answers; raises RecordUnavailableError where it does not in time."""
    try:
        return await asyncio.wait_for(asked, RECORD_PATIENCE_S)
    except TimeoutError:
        raise RecordUnavailableError(
            f"Postgres does not answer within {RECORD_PATIENCE_S:g} s", hint="./ytempire doctor"
        ) from None
