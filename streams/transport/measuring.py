"""How much each group has to do, as the server knows it; what it does not know is None and never 0."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

from streams.transport.connection import Argument, Connection
from streams.transport.port import DEAD, LATER, SourceFigures, Subscription
from streams.transport.scripts import Scripts

#: Delayed entries that are looked at to tell whose they are.
_MOST_DELAYED: Final = 1_000


class Measuring:
    """What is exported and shown."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection, self._scripts = connection, scripts

    def figures(self, subscription: Subscription) -> list[SourceFigures]:
        """One for each of the group's sources, the lane first."""
        args: list[Argument] = [subscription.group, *subscription.sources]
        found: Any = self._connection.call(partial(self._scripts.figures, args=args))
        return [
            SourceFigures(
                stream=stream,
                group=subscription.group,
                undelivered=None if undelivered == b"" else undelivered,
                pending=pending,
                oldest_pending_s=None if oldest_ms == b"" else oldest_ms / 1000,
            )
            for stream, (undelivered, pending, oldest_ms) in zip(subscription.sources, found, strict=True)
        ]

    def delayed(self) -> dict[str, int]:
        """Entries that wait for their time, by lane."""
        found: Any = self._connection.call(partial(self._scripts.lanes, args=[LATER, _MOST_DELAYED]))
        return dict(Counter(lane.decode() for lane in found))

    def dead(self) -> int:
        """Letters that are kept, requeued ones too."""
        found: Any = self._connection.call(partial(self._connection.commands.xlen, DEAD))
        return int(found)
