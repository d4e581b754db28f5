"""What the bus is made of, and what a transport offers; knows neither Redis nor dramatiq nor the record.

A delivery is an Entry, its end a Settlement. Delivery is at least once: an entry comes back when its worker dies, and
what a settlement publishes is published once for each settlement that succeeds. Order holds for an observer only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

#: The sorted set of entries that are to be delivered later; the score is the server's time in milliseconds.
LATER = "lanes:later"
#: Where entries go that no worker could bring to an end.
DEAD = "stream:dead"
#: Owner of entries that were handed back: nobody's, taken by the next sweep.
RELEASED = "released"

#: settled: acknowledged, everything published. lost: it is not ours any more (another consumer has it, or the server
#: refused), nothing was acknowledged. gone: no longer pending at all, as after a wipe; nothing was published.
Outcome = Literal["settled", "lost", "gone"]
#: missing: no such letter is kept any more.
Requeued = Literal["requeued", "again", "missing"]
Fields = Mapping[str, str] | Mapping[bytes, bytes]


class BusUnavailableError(Exception):
    """The bus cannot be reached within the time that was allowed for it."""


class BusClosedError(Exception):
    """This transport was closed while, or before, it was used."""


class Subscription(msgspec.Struct, frozen=True):
    """What a consumer group reads: shared streams, and a lane of its own for retries."""

    group: str
    streams: tuple[str, ...]
    lane: str

    @property
    def sources(self) -> tuple[str, ...]:
        """All it reads from, the lane first: what was tried before is older than what is new."""
        return (self.lane, *self.streams)


class Entry(msgspec.Struct, frozen=True):
    """One delivery of an event."""

    stream: str
    id: str
    fields: dict[bytes, bytes]
    #: Empty when it was merely observed.
    group: str
    #: The public entry it came from: itself, unless it was read from the private lane.
    origin_stream: str
    origin_id: str
    #: Times it came back by the lane, and how many of those because it had failed.
    retries: int = 0
    failures: int = 0
    #: Times delivered; a hand-back is not counted.
    deliveries: int = 1
    #: Where its retries wait; empty when it was merely observed.
    lane: str = ""


class Publication(msgspec.Struct, frozen=True):
    """An event to be appended to a stream."""

    stream: str
    fields: dict[str, str] | dict[bytes, bytes]

    def __post_init__(self) -> None:
        """Refuses what no stream takes."""
        if not self.fields:
            raise ValueError(f"a publication to {self.stream} has no fields; an event needs at least one")


class Settlement(msgspec.Struct, frozen=True):
    """How a delivery ends: what it publishes, and whether it comes back later."""

    entry: Entry
    publications: tuple[Publication, ...] = ()
    #: Delivered again to this group only, after this many seconds; None: done.
    retry_delay_s: float | None = None
    #: Whether it comes back because it failed, or because that was the plan.
    failed: bool = True


class DeadLetter(msgspec.Struct, frozen=True):
    """What a group gave up on, and why."""

    id: str
    #: The group that gave up; empty where the letter does not say.
    group: str
    origin_stream: str
    origin_id: str
    error: str
    hint: str
    #: The event's own.
    fields: dict[bytes, bytes]
    requeued: bool


class SourceFigures(msgspec.Struct, frozen=True):
    """How much a group has to do on one of its streams."""

    stream: str
    group: str
    #: Not yet delivered; None: the server does not know, as after a group was moved.
    undelivered: int | None
    pending: int
    #: Since the oldest pending entry was added; None where nothing is pending.
    oldest_pending_s: float | None


class Tally(Protocol):
    """What the bus tells whoever counts; called from several threads, and quick."""

    def settled(self, outcome: Outcome, count: int) -> None:
        """So many deliveries ended in this way."""
        ...

    def redelivered(self, group: str) -> None:
        """An entry came that was delivered before, without an end."""
        ...

    def lease_lost(self, group: str) -> None:
        """An entry that is worked on here is somebody else's, or gone."""
        ...


class Untold:
    """A tally that counts nothing."""

    def settled(self, outcome: Outcome, count: int) -> None:
        """Nothing."""

    def redelivered(self, group: str) -> None:
        """Nothing."""

    def lease_lost(self, group: str) -> None:
        """Nothing."""


class Transport(Protocol):
    """A bus. Every method may be called from any thread, and waits out a server that is away unless it says otherwise.

    Raises BusClosedError where the transport was closed meanwhile.
    """

    @property
    def consumer(self) -> str:
        """This process's consumer name, `<host>-<process>-<pid>-<8 hex>`."""
        ...

    def ensure_groups(self, subscription: Subscription) -> None:
        """Makes the group on each of its streams, from their first entry on; one that exists stays as it is."""
        ...

    def read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        """Up to `room` entries: left behind by dead consumers, from the lane, or new; empty after `block_s`.

        Never raises for a server that is away: it waits a moment and returns nothing.
        """
        ...

    def renew(self, entries: Sequence[Entry]) -> list[Entry]:
        """Renews the leases of those that are still ours, and returns the others."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> list[Outcome]:
        """Ends deliveries, each on its own: publishes and acknowledges what is still ours."""
        ...

    def hand_back(self, entries: Sequence[Entry]) -> None:
        """Leaves entries, in place and uncounted, to whoever sweeps next."""
        ...

    def return_to(self, entry: Entry, consumer: str, idle_s: float = 0.0) -> None:
        """Leaves the entry, uncounted, to the consumer that is working on it; its lease began `idle_s` ago."""
        ...

    def publish(
        self,
        publications: Sequence[Publication],
        token: str | None = None,
        *,
        within_memory: bool = False,
        wait_s: float | None = None,
    ) -> list[str]:
        """Appends events, all or none, and returns their ids; the same token within a minute appends nothing twice.

        Args:
            publications: What to append, in this order.
            token: Names this call; one is made up where none is given, so that a lost reply repeats nothing.
            within_memory: Wait while the server is out of memory; otherwise the event is taken even then.
            wait_s: Raise BusUnavailableError after so long; None waits as long as it takes.
        """
        ...

    def move_due(self) -> float | None:
        """Moves delayed entries that are due to their lanes; seconds until the next, None where there is none."""
        ...

    def observe(self, cursors: Mapping[str, str], block_s: float) -> list[Entry]:
        """What follows the cursors, in stream order, by no group; never raises for a server that is away."""
        ...

    def last_generated_id(self, stream: str, *, wait_s: float | None = None) -> str | None:
        """Id of the newest entry there ever was in the stream; None where there is no stream.

        Raises BusUnavailableError when `wait_s` is given and over.
        """
        ...

    def held(self, subscription: Subscription) -> list[Entry]:
        """Everything the group still has: pending, not yet delivered, in its lane, delayed.

        Not a snapshot: what moves while it looks may be missed.
        """
        ...

    def trim(
        self, subscriptions: Sequence[Subscription], by_age: Sequence[str], *, retention_s: float, every_s: float = 0.0
    ) -> int | None:
        """Removes what all these groups have done and what is older than `retention_s`; returns how many.

        The streams of `by_age` are trimmed by their age alone. Some that might go may stay. None: another call has
        trimmed less than `every_s` ago.
        """
        ...

    def retire(self, subscription: Subscription, idle_s: float) -> list[str]:
        """Removes, and returns, the names of consumers that were idle for so long and have nothing pending."""
        ...

    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters that are kept, the oldest first."""
        ...

    def requeue(self, letter: DeadLetter, lane: str) -> Requeued:
        """Puts a dead letter's event into the lane, once: `again` says that it was put there before."""
        ...

    def figures(self, subscription: Subscription) -> list[SourceFigures]:
        """How much the group has to do, for each of its sources."""
        ...

    def delayed(self) -> dict[str, int]:
        """How many entries wait for their time, by lane."""
        ...

    def dead(self) -> int:
        """How many dead letters are kept."""
        ...

    def put_receipt(self, key: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Keeps a receipt for `ttl_s`."""
        ...

    def get_receipt(self, key: str) -> dict[str, str] | None:
        """The receipt, or None where there is none (yet, or any more)."""
        ...

    def mirror(self, queue_key: str, scores: Mapping[str, float], set_key: str, members: set[str]) -> None:
        """Replaces a sorted set and a set, together."""
        ...

    def mirrored(self, queue_key: str, set_key: str) -> tuple[dict[str, float], set[str]]:
        """What the sorted set and the set hold."""
        ...

    def leave(self, subscription: Subscription) -> None:
        """Removes this consumer's name where it has nothing pending; does not wait for a server that is away."""
        ...

    def refuse_unsafe_server(self) -> None:
        """Raises UnsafeServerError where the server may lose, or cannot do, what the bus needs."""
        ...

    def close(self) -> None:
        """Ends all waiting and closes the connections; calling it again does nothing."""
        ...
