"""Keeps `queue:priority` and `queue:processing` as the record has them, for the operators' aliases.

Dispatch writes them, and integrity where they are wrong; both keys are replaced in one transaction, and may be lost at
any moment.
"""

from __future__ import annotations

from schema.record.admission import Queue
from streams import names
from streams.transport.port import Transport


class Mirror:
    """The two queue keys."""

    def __init__(self, transport: Transport, queue: Queue) -> None:
        self._transport, self._queue = transport, queue

    async def snapshot(self) -> tuple[dict[str, float], set[str]]:
        """What the keys should hold now."""
        return await self._queue.mirrored()

    def shown(self) -> tuple[dict[str, float], set[str]]:
        """What the keys hold now; waits likewise."""
        return self._transport.mirrored(names.QUEUE, names.PROCESSING)

    def write(self, queued: dict[str, float], processing: set[str]) -> None:
        """Replace both keys; waits while Redis is away (call it from a thread)."""
        self._transport.mirror(names.QUEUE, queued, names.PROCESSING, processing)
