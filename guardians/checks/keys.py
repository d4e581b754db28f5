"""The two queue keys against the record: written again where they are wrong at two looks in a row.

Dispatch writes them a moment after the record changes, so one look alone proves nothing; where dispatch is gone they
stay right all the same.
"""

from __future__ import annotations

import asyncio
from typing import Final

from guardians.checks.report import Report
from schema.record.admission import Queue
from schema.record.audit import Finding
from streams import names
from streams.mirror import Mirror
from streams.process import Process

_SUBJECT: Final = f"{names.QUEUE} and {names.PROCESSING}"


class KeysCheck:
    """Whether the last look found them wrong."""

    def __init__(self, process: Process, report: Report) -> None:
        self._mirror, self._report = Mirror(process.transport, Queue(process.postgres)), report
        self.suspect = False

    async def look(self) -> None:
        """Compare, and mend at the second look."""
        shown = await asyncio.to_thread(self._mirror.shown)
        queued, processing = await self._mirror.snapshot()
        if shown == (queued, processing):
            self.suspect = False
            return
        if not self.suspect:
            self.suspect = True
            return
        self.suspect = False
        await self.restore()
        wrong = len(shown[0].items() ^ queued.items()) + len(shown[1] ^ processing)
        await self._report.repaired([Finding("queue_keys", _SUBJECT, f"{wrong} members were wrong: written again")])

    async def restore(self) -> None:
        """Write them as the record has them."""
        queued, processing = await self._mirror.snapshot()
        await asyncio.to_thread(self._mirror.write, queued, processing)
