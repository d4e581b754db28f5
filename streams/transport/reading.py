"""Reading for a group: what dead consumers left, what comes back, what is new; and groups that outlive a wipe.

Groups begin at the first entry of their stream. A sweep comes when the first lease may run out, on quiet streams and at
start-up too, and goes on where the last one ended. What a process left that died on this machine is taken without
waiting for its lease, once: who gives it back waits for the lease. A reader never has more than it asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic
from typing import Final

import redis

from streams.transport import consumers, lanes
from streams.transport.connection import Argument, Connection
from streams.transport.leases import Leases
from streams.transport.port import Entry, Subscription
from streams.transport.scripts import Scripts, paired

#: Sweeps in the time of one lease while the pending list is too long for one look.
_SWEEPS_OF_MANY: Final = 4
#: Workers that start together do not sweep together: so much of a lease is left to chance.
_JITTER: Final = 0.03
_BEGINNING: Final = "-"
#: The stream or the group is not there any more, said to a read, and to a read that was waiting.
_WIPED: Final = ("NOGROUP", "UNBLOCKED")


class _Sweeps:
    """Where the sweeps of one subscription stand."""

    def __init__(self, subscription: Subscription) -> None:
        self.cursors = [_BEGINNING] * len(subscription.sources)
        self.next_s = 0.0
        #: Whether several sources had something at once: then the script shares out the room.
        self.crowded = False
        #: Consumers whose entries this pass takes although their leases last, and those that had their pass.
        self.dead: set[str] = set()
        self.buried: set[str] = set()

    @property
    def at_beginning(self) -> bool:
        """Whether the next sweep is a new pass over the pending lists."""
        return all(cursor == _BEGINNING for cursor in self.cursors)

    def swept(self, cursors: list[str], soonest_s: float, owners: list[str], lease_s: float) -> None:
        """Notes how far a sweep came, and when the next is due: at once where it did not come to the end."""
        in_one = self.at_beginning
        self.cursors = cursors
        if not self.at_beginning:
            return
        self.buried |= self.dead
        self.dead = {owner for owner in owners if owner not in self.buried and consumers.surely_dead(owner)}
        if self.dead:
            self.next_s = 0.0
            return
        # What is delivered from now on lasts for a lease at least.
        wait_s = soonest_s if in_one else lease_s / _SWEEPS_OF_MANY
        jitter_s = lease_s * random.uniform(0.0, _JITTER)  # noqa: S311 - jitter is no secret
        # Too early is looked at twice, too late is late; where nothing is pending, early costs nothing.
        self.next_s = monotonic() + (wait_s - jitter_s if wait_s >= lease_s else wait_s + jitter_s / 10)


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

    def sweep_within(self, wait_s: float) -> None:
        """Something is left behind by then: looks at it then, or before."""
        due_s = monotonic() + wait_s
        for sweeps in tuple(self._sweeps.values()):
            sweeps.next_s = min(sweeps.next_s, due_s)

    def _read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        sweeps = self._sweeps.get(subscription.group)
        if sweeps is None:
            self._make_groups(subscription)
            sweeps = self._sweeps[subscription.group] = _Sweeps(subscription)
        try:
            found = self._take(subscription, room, sweeps) if sweeps.crowded or monotonic() >= sweeps.next_s else []
            found = found or self._wait(subscription, room, block_s, sweeps)
        except redis.ResponseError as error:
            if not str(error).startswith(_WIPED):
                raise
            for stream in self._make_groups(subscription):
                if self._on_wiped is not None:
                    self._on_wiped(stream)
            return []
        return found

    def _take(self, subscription: Subscription, room: int, sweeps: _Sweeps) -> list[Entry]:
        """What is there already, swept first when it is time."""
        found: list[Entry] = []
        while not found:
            sweeping = monotonic() >= sweeps.next_s
            lease_ms = max(1, round(1000 * self._lease_s)) if sweeping else 0
            # Usually the wait that follows sees what is new.
            new = "new" if sweeps.crowded else ""
            args: list[Argument] = [subscription.group, self._consumer, room, lease_ms, new]
            args += [len(sweeps.dead), *sweeps.dead]
            for source, cursor in zip(subscription.sources, sweeps.cursors, strict=True):
                args += [source, cursor]
            taken, cursors, soonest_ms, owners = self._scripts.take(args=args)
            found = [
                lanes.entry(subscription, source.decode(), entry_id.decode(), deliveries, paired(flat))
                for source, entry_id, deliveries, flat in taken
            ]
            sweeps.crowded = len({source for source, *_ in taken}) > 1
            if not sweeping:
                break
            before = sweeps.dead
            sweeps.swept(
                [cursor.decode() for cursor in cursors],
                soonest_ms / 1000,
                [owner.decode() for owner in owners],
                self._lease_s,
            )
            if not sweeps.dead or sweeps.dead == before:
                break
        return found

    def _wait(self, subscription: Subscription, room: int, block_s: float, sweeps: _Sweeps) -> list[Entry]:
        """The next that is new; several sources may answer at once, and what is too much is handed back."""
        until_sweep_s = sweeps.next_s - monotonic()
        block_ms = max(1, round(1000 * min(block_s, until_sweep_s)))
        of_group = ("XREADGROUP", "GROUP", subscription.group, self._consumer, "COUNT", room, "BLOCK", block_ms)
        sources, all_new = subscription.sources, (">",) * len(subscription.sources)
        reply = self._connection.ask_patiently(*of_group, "STREAMS", *sources, *all_new)
        entries = [
            lanes.entry(subscription, source.decode(), entry_id.decode(), 1, paired(flat))
            for source, of_source in reply or ()
            for entry_id, flat in of_source
        ]
        sweeps.crowded = len(reply or ()) > 1
        if entries[room:]:
            self._leases.hand_back(entries[room:])
            sweeps.next_s = 0.0
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
