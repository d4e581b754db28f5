"""Reading for a group: what dead consumers left, what comes back, what is new; and groups that outlive a wipe.

Groups begin at the first entry of their stream. Sweeps come every third of a lease, on quiet streams and at start-up
too, and go on where the last one ended. A reader never has more than it asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import redis

from streams.transport import lanes
from streams.transport.connection import Connection
from streams.transport.leases import Leases
from streams.transport.port import Entry, Subscription
from streams.transport.scripts import Argument, Scripts, paired

#: Sweeps in the time of one lease.
_SWEEPS: Final = 3
_BEGINNING: Final = "0-0"
#: The stream or the group is not there any more, said to a read, and to a read that was waiting.
_WIPED: Final = ("NOGROUP", "UNBLOCKED")


class _Sweeps:
    """Where the sweeps of one subscription stand."""

    def __init__(self, subscription: Subscription) -> None:
        self.cursors = [_BEGINNING] * len(subscription.sources)
        self.next_s = 0.0


class Reading:
    """The reads of one consumer."""

    def __init__(
        self,
        connection: Connection,
        scripts: Scripts,
        leases: Leases,
        *,
        consumer: str,
        lease_s: float,
        on_wiped: Callable[[str], None] | None,
    ) -> None:
        self._connection, self._scripts, self._leases = connection, scripts, leases
        self._consumer, self._lease_s, self._on_wiped = consumer, lease_s, on_wiped
        self._sweeps: dict[str, _Sweeps] = {}

    def ensure_groups(self, subscription: Subscription) -> None:
        """Makes the groups that are missing."""
        self._connection.call(lambda: self._make_groups(subscription))

    def read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        """Up to `room` entries, or none after `block_s`."""
        if room <= 0:
            return []
        return self._connection.attempt(lambda: self._read(subscription, room, block_s), [])

    def _read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        sweeps = self._sweeps.get(subscription.group)
        if sweeps is None:
            self._make_groups(subscription)
            sweeps = self._sweeps[subscription.group] = _Sweeps(subscription)
        try:
            return self._take(subscription, room, sweeps) or self._wait(subscription, room, block_s, sweeps)
        except redis.ResponseError as error:
            if not str(error).startswith(_WIPED):
                raise
            for stream in self._make_groups(subscription):
                if self._on_wiped is not None:
                    self._on_wiped(stream)
            return []

    def _take(self, subscription: Subscription, room: int, sweeps: _Sweeps) -> list[Entry]:
        """What is there already, swept first when it is time."""
        sweeping = monotonic() >= sweeps.next_s
        lease_ms = max(1, round(1000 * self._lease_s)) if sweeping else 0
        args: list[Argument] = [subscription.group, self._consumer, room, lease_ms]
        for source, cursor in zip(subscription.sources, sweeps.cursors, strict=True):
            args += [source, cursor]
        taken, cursors = self._scripts.take(args=args)
        sweeps.cursors = [cursor.decode() for cursor in cursors]
        if sweeping and all(cursor == _BEGINNING for cursor in sweeps.cursors):
            # Jitter: workers that start together do not sweep together.
            sweeps.next_s = monotonic() + self._lease_s / _SWEEPS * random.uniform(0.8, 1.0)  # noqa: S311
        return [
            lanes.entry(subscription, source.decode(), entry_id.decode(), deliveries, paired(flat))
            for source, entry_id, deliveries, flat in taken
        ]

    def _wait(self, subscription: Subscription, room: int, block_s: float, sweeps: _Sweeps) -> list[Entry]:
        """The next that is new; several sources may answer at once, and what is too much is handed back."""
        until_sweep_s = sweeps.next_s - monotonic()
        block_ms = max(1, round(1000 * min(block_s, until_sweep_s)))
        sources: dict[Any, Any] = dict.fromkeys(subscription.sources, ">")
        reply: Any = self._connection.blocking.xreadgroup(
            subscription.group, self._consumer, sources, count=room, block=block_ms
        )
        entries = [
            lanes.entry(subscription, source.decode(), entry_id.decode(), 1, fields)
            for source, of_source in reply or ()
            for entry_id, fields in of_source
        ]
        if entries[room:]:
            self._leases.hand_back(entries[room:])
        return entries[:room]

    def _make_groups(self, subscription: Subscription) -> list[str]:
        """The streams whose group was missing, in the order of the sources."""
        made: list[str] = []
        for source in subscription.sources:
            try:
                self._connection.commands.xgroup_create(source, subscription.group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
            else:
                made.append(source)
        return made
