"""Streams, groups and pending entries in memory, as far as the in-memory server needs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

Id = tuple[int, int]
BEGINNING: Final[Id] = (0, 0)


@dataclass
class Pending:
    """One entry that was delivered and has not ended."""

    consumer: str
    since_ms: int
    deliveries: int

    def give(self, heir: str, since_ms: int) -> None:
        """To another consumer, uncounted."""
        self.consumer, self.since_ms, self.deliveries = heir, since_ms, max(0, self.deliveries - 1)


@dataclass
class Group:
    """What a consumer group knows of a stream."""

    last: Id = BEGINNING
    pending: dict[Id, Pending] = field(default_factory=dict)
    #: When each consumer was last heard of.
    consumers: dict[str, int] = field(default_factory=dict)

    @property
    def needs(self) -> Id:
        """The oldest entry that is not done with, or the last that was delivered."""
        return min(self.pending, default=self.last)

    def holds(self, consumer: str) -> bool:
        """Whether the consumer has anything pending."""
        return any(pending.consumer == consumer for pending in self.pending.values())


@dataclass
class Stream:
    """Entries in the order they were added."""

    entries: dict[Id, dict[bytes, bytes]] = field(default_factory=dict)
    last: Id = BEGINNING
    groups: dict[str, Group] = field(default_factory=dict)

    def append(self, fields: dict[bytes, bytes], now_ms: int) -> str:
        """Adds an entry; its id is later than all before."""
        self.last = (now_ms, 0) if now_ms > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = fields
        return text(self.last)

    def after(self, place: Id) -> Iterator[Id]:
        """Ids that follow a place."""
        return (entry_id for entry_id in self.entries if entry_id > place)

    def drop_before(self, place: Id) -> int:
        """Removes what is older; returns how much it was."""
        old = [entry_id for entry_id in self.entries if entry_id < place]
        for entry_id in old:
            del self.entries[entry_id]
        return len(old)


@dataclass(order=True)
class Delayed:
    """An entry that waits for its time."""

    due_ms: int
    number: int
    lane: str = field(compare=False)
    fields: dict[bytes, bytes] = field(compare=False)


def text(entry_id: Id) -> str:
    """An id as it is written."""
    return f"{entry_id[0]}-{entry_id[1]}"


def position(entry_id: str) -> Id:
    """An id as it is compared."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
