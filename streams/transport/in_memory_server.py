"""A server for tests that is no server: it does in memory what the scripts in `lua` do, on a clock that is given to it.

Whoever calls it holds its lock. It keeps nothing, and knows no limit of memory.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from streams.transport import lanes
from streams.transport.in_memory_streams import BEGINNING, Delayed, Group, Id, Pending, Stream, position, text
from streams.transport.port import Entry, Outcome, Settlement, SourceFigures, Subscription


class InMemoryServer:
    """What all in-memory transports of a test share."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.now_ms = now_ms
        #: The lock, and what blocked readers wait for.
        self.changed = threading.Condition(threading.RLock())
        self._numbers = itertools.count()
        self.wipe()

    def wipe(self) -> None:
        """Forgets everything, as FLUSHALL does."""
        with self.changed:
            self.streams: dict[str, Stream] = {}
            self.later: list[Delayed] = []
            #: With the time they end.
            self.tokens: dict[str, tuple[int, list[str]]] = {}
            self.receipts: dict[str, tuple[int, dict[str, str]]] = {}
            self.requeued: set[str] = set()
            self.queues: dict[str, object] = {}
            self.changed.notify_all()

    def stream(self, name: str) -> Stream:
        """The stream, empty where it is not there."""
        return self.streams.get(name, Stream())

    def append(self, stream: str, fields: Mapping[str, str] | Mapping[bytes, bytes]) -> str:
        """Adds an entry; returns its id."""
        self.changed.notify_all()
        return self.streams.setdefault(stream, Stream()).append(raw(fields), self.now_ms())

    def make_groups(self, subscription: Subscription) -> list[str]:
        """Makes the groups that are missing; returns their streams."""
        made: list[str] = []
        for source in subscription.sources:
            groups = self.streams.setdefault(source, Stream()).groups
            if subscription.group not in groups:
                groups[subscription.group] = Group()
                made.append(source)
        return made

    def take(self, subscription: Subscription, consumer: str, room: int, lease_ms: int) -> list[Entry]:
        """What dead consumers left, then what is new."""
        found: list[Entry] = []
        for claims in (True, False):
            for source in subscription.sources:
                group = self.streams[source].groups[subscription.group]
                group.consumers[consumer] = self.now_ms()
                ids = self._expired(group, lease_ms) if claims else self.streams[source].after(group.last)
                for entry_id in list(itertools.islice(ids, room - len(found))):
                    found += self._deliver(subscription, source, entry_id, consumer)
        return found

    def _expired(self, group: Group, lease_ms: int) -> Iterator[Id]:
        now_ms = self.now_ms()
        return (entry_id for entry_id, pending in group.pending.items() if now_ms - pending.since_ms >= lease_ms)

    def _deliver(self, subscription: Subscription, source: str, entry_id: Id, consumer: str) -> list[Entry]:
        group = self.streams[source].groups[subscription.group]
        before = group.pending.pop(entry_id, None)
        if (fields := self.streams[source].entries.get(entry_id)) is None:
            return []  # trimmed meanwhile
        deliveries = 1 if before is None else before.deliveries + 1
        group.pending[entry_id] = Pending(consumer, self.now_ms(), deliveries)
        group.last = max(group.last, entry_id)
        return [lanes.entry(subscription, source, text(entry_id), deliveries, fields)]

    def owned(self, entry: Entry) -> Pending | None:
        """The pending entry, where it is pending."""
        group = self.stream(entry.stream).groups.get(entry.group, Group())
        return group.pending.get(position(entry.id))

    def settle(self, consumer: str, settlement: Settlement) -> Outcome:
        """Ends a delivery."""
        entry = settlement.entry
        if (pending := self.owned(entry)) is None:
            return "gone"
        if pending.consumer != consumer:
            return "lost"
        for publication in settlement.publications:
            self.append(publication.stream, publication.fields)
        if settlement.retry_delay_s is not None:
            retries, failures = entry.retries + 1, entry.failures + settlement.failed
            fields = lanes.on_lane(entry, retries=retries, failures=failures)
            due_ms = self.now_ms() + round(1000 * settlement.retry_delay_s)
            self.later = sorted([*self.later, Delayed(due_ms, next(self._numbers), entry.lane, fields)])
        del self.streams[entry.stream].groups[entry.group].pending[position(entry.id)]
        return "settled"

    def give(self, consumer: str, entry: Entry, heir: str, idle_ms: int) -> None:
        """To another consumer, where it is still ours."""
        pending = self.owned(entry)
        if pending is not None and pending.consumer == consumer:
            pending.give(heir, self.now_ms() - idle_ms)
            self.streams[entry.stream].groups[entry.group].consumers[heir] = self.now_ms()

    def move_due(self) -> float | None:
        """Moves what is due; seconds until the next."""
        while self.later and self.later[0].due_ms <= self.now_ms():
            due = self.later.pop(0)
            self.append(due.lane, due.fields)
        return (self.later[0].due_ms - self.now_ms()) / 1000 if self.later else None

    def held(self, subscription: Subscription) -> list[Entry]:
        """Pending, not yet delivered, delayed."""
        found = [
            lanes.entry(subscription, delayed.lane, f"{delayed.number}", 0, delayed.fields)
            for delayed in self.later
            if delayed.lane == subscription.lane
        ]
        for source in subscription.sources:
            stream = self.stream(source)
            group = stream.groups.get(subscription.group, Group())
            for entry_id in (*group.pending, *stream.after(group.last)):
                if fields := stream.entries.get(entry_id):
                    deliveries = group.pending[entry_id].deliveries if entry_id in group.pending else 0
                    found.append(lanes.entry(subscription, source, text(entry_id), deliveries, fields))
        return found

    def trim(self, groups_of: Mapping[str, Sequence[str]], retention_s: float) -> int:
        """Removes what nobody needs; exactly, where a real server keeps whole nodes."""
        removed = 0
        for name, groups in groups_of.items():
            known = self.stream(name).groups
            needed: list[Id] = [known[group].needs if group in known else BEGINNING for group in groups]
            removed += self.stream(name).drop_before(min([(self.now_ms() - round(1000 * retention_s), 0), *needed]))
        return removed

    def remove_consumers(self, subscription: Subscription, gone: Callable[[str, int], bool]) -> list[str]:
        """Removes names for which `gone(name, heard_ms)` holds and that have nothing pending."""
        removed: list[str] = []
        for source in subscription.sources:
            group = self.stream(source).groups.get(subscription.group, Group())
            for name, heard_ms in tuple(group.consumers.items()):
                if gone(name, heard_ms) and not group.holds(name):
                    del group.consumers[name]
                    removed.append(name)
        return removed

    def figures(self, group_name: str, source: str) -> SourceFigures:
        """How much a group has to do on one stream."""
        stream, group = self.stream(source), self.stream(source).groups.get(group_name)
        oldest = min(group.pending, default=None) if group else None
        return SourceFigures(
            stream=source,
            group=group_name,
            undelivered=len(list(stream.after(group.last))) if group else None,
            pending=len(group.pending) if group else 0,
            oldest_pending_s=None if oldest is None else (self.now_ms() - oldest[0]) / 1000,
        )


def raw(fields: Mapping[str, str] | Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Fields as the wire has them."""
    return {_bytes(name): _bytes(value) for name, value in fields.items()}


def _bytes(text_or_bytes: str | bytes) -> bytes:
    return text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
