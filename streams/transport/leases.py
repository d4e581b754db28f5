"""Leases on entries: renewed by their owner alone, given back in place, left behind at the end.

A lease is the idle time of the pending entry on the server, so a dead process needs nobody to notice: its entries grow
old and the next sweep takes them. Giving back sets the idle time to a whole lease and takes the delivery off the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from streams.transport.connection import Argument, Connection
from streams.transport.port import RELEASED, Entry, Subscription
from streams.transport.scripts import Scripts

#: Entries in one script call: a call holds up everybody else for as long as it runs.
_BATCH: Final = 200


class Leases:
    """The leases of one consumer."""

    def __init__(self, connection: Connection, scripts: Scripts, *, consumer: str, lease_s: float) -> None:
        self._connection, self._scripts = connection, scripts
        self._consumer, self._lease_ms = consumer, _milliseconds(lease_s)

    def renew(self, entries: Sequence[Entry]) -> list[Entry]:
        """Renews what is still ours; returns what is not."""
        lost: list[Entry] = []
        for start in range(0, len(entries), _BATCH):
            batch = entries[start : start + _BATCH]
            places = self._connection.call(partial(self._scripts.renew, args=[self._consumer, *_places(batch)]))
            lost += [batch[place - 1] for place in places]
        return lost

    def hand_back(self, entries: Sequence[Entry]) -> None:
        """To whoever sweeps next."""
        self._give(entries, RELEASED, self._lease_ms)

    def return_to(self, entry: Entry, consumer: str, idle_s: float) -> None:
        """To the consumer that works on it."""
        self._give((entry,), consumer, _milliseconds(idle_s))

    def leave(self, subscription: Subscription) -> None:
        """Removes our name from the group's streams; one try, since nothing depends on it."""
        args = [subscription.group, self._consumer, *subscription.sources]
        self._connection.attempt(partial(self._scripts.leave, args=args), None)

    def _give(self, entries: Sequence[Entry], heir: str, idle_ms: int) -> None:
        for start in range(0, len(entries), _BATCH):
            args = [self._consumer, heir, idle_ms, *_places(entries[start : start + _BATCH])]
            self._connection.call(partial(self._scripts.give, args=args))


def _milliseconds(seconds: float) -> int:
    return max(0, round(1000 * seconds))


def _places(entries: Sequence[Entry]) -> list[Argument]:
    return [part for entry in entries for part in (entry.stream, entry.group, entry.id)]
