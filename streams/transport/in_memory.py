"""The transport without a server, for tests: the same promises as over Redis, in one process and on its own clock.

Several of them on one InMemoryServer are so many processes. Only waiting for something new takes real time. It passes
the same conformance suite; what a network, a full memory or another program does is not to be learnt here.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from streams.transport.dead_letters import lane_fields, read_letter
from streams.transport.in_memory_server import InMemoryServer
from streams.transport.in_memory_streams import position, text
from streams.transport.port import (
    DEAD,
    RELEASED,
    BusClosedError,
    DeadLetter,
    Entry,
    Outcome,
    Publication,
    Requeued,
    Settlement,
    SourceFigures,
    Subscription,
)
from streams.transport.trimming import readers

_TOKEN_LIFE_MS: Final = 60_000
_TRIM: Final = "trim"
_numbers = itertools.count()


class InMemoryTransport:
    """One process's way to the bus; each method is described in `port.Transport`."""

    def __init__(
        self,
        server: InMemoryServer,
        *,
        process: str = "test",
        lease_s: float = 4.0,
        block_s: float = 2.0,
        on_wiped: Callable[[str], None] | None = None,
    ) -> None:
        """As `over_redis.RedisTransport`, with a server in the place of its address."""
        self._server, self._block_s, self._on_wiped = server, block_s, on_wiped
        self._lease_ms = round(1000 * lease_s)
        self._consumer = f"memory-{process}-0-{next(_numbers):08x}"
        self._closed = threading.Event()
        self._known: set[str] = set()

    @contextmanager
    def _locked(self) -> Iterator[InMemoryServer]:
        with self._server.changed:
            if self._closed.is_set():
                raise BusClosedError("the transport is closed")
            yield self._server

    @property
    def consumer(self) -> str:
        """This process's consumer name."""
        return self._consumer

    def ensure_groups(self, subscription: Subscription) -> None:
        """Makes the groups that are missing."""
        with self._locked() as server:
            server.make_groups(subscription)

    def read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        """Up to `room` entries: left behind, tried again, new."""
        with self._server.changed:
            found = self._take(subscription, room)
            if found == [] and not self._closed.is_set():
                self._server.changed.wait(min(block_s, self._block_s))
                found = self._take(subscription, room)
            return found or []

    def _take(self, subscription: Subscription, room: int) -> list[Entry] | None:
        """None where a group had to be made again."""
        if room <= 0 or self._closed.is_set():
            return None
        wiped = self._server.make_groups(subscription)
        if wiped and subscription.group in self._known:
            for stream in wiped:
                if self._on_wiped is not None:
                    self._on_wiped(stream)
            return None
        self._known.add(subscription.group)
        return self._server.take(subscription, self._consumer, room, self._lease_ms)

    def renew(self, entries: Sequence[Entry]) -> list[Entry]:
        """Renews what is ours; returns what is not."""
        with self._locked() as server:
            lost: list[Entry] = []
            for entry in entries:
                pending = server.owned(entry)
                if pending is None or pending.consumer != self._consumer:
                    lost.append(entry)
                else:
                    pending.since_ms = server.now_ms()
            return lost

    def settle(self, settlements: Sequence[Settlement]) -> list[Outcome]:
        """Ends deliveries."""
        with self._locked() as server:
            return [server.settle(self._consumer, settlement) for settlement in settlements]

    def hand_back(self, entries: Sequence[Entry]) -> None:
        """Leaves entries to whoever reads next."""
        with self._locked() as server:
            for entry in entries:
                server.give(self._consumer, entry, RELEASED, self._lease_ms)

    def return_to(self, entry: Entry, consumer: str, idle_s: float = 0.0) -> None:
        """Leaves the entry to the consumer that works on it."""
        with self._locked() as server:
            server.give(self._consumer, entry, consumer, round(1000 * idle_s))

    def publish(
        self,
        publications: Sequence[Publication],
        token: str | None = None,
        *,
        within_memory: bool = False,
        wait_s: float | None = None,
    ) -> list[str]:
        """Appends events and returns their ids."""
        del within_memory, wait_s  # there is always memory, and the server is always there
        with self._locked() as server:
            ends_ms, ids = server.tokens.get(token or "", (0, []))
            if ends_ms <= server.now_ms():
                ids = [server.append(publication.stream, publication.fields) for publication in publications]
            if token and ends_ms <= server.now_ms():
                server.tokens[token] = (server.now_ms() + _TOKEN_LIFE_MS, ids)
            return ids

    def move_due(self) -> float | None:
        """Moves delayed entries to their lanes; seconds until the next."""
        with self._locked() as server:
            return server.move_due()

    def observe(self, cursors: Mapping[str, str], block_s: float) -> list[Entry]:
        """What follows the cursors."""
        with self._server.changed:
            if not (found := self._following(cursors)) and not self._closed.is_set():
                self._server.changed.wait(min(block_s, self._block_s))
                found = self._following(cursors)
            return found

    def _following(self, cursors: Mapping[str, str]) -> list[Entry]:
        return [
            Entry(
                stream=name,
                id=text(entry_id),
                fields=self._server.stream(name).entries[entry_id],
                group="",
                origin_stream=name,
                origin_id=text(entry_id),
            )
            for name, cursor in cursors.items()
            for entry_id in self._server.stream(name).after(position(cursor))
        ]

    def last_generated_id(self, stream: str, *, wait_s: float | None = None) -> str | None:
        """The newest id there ever was."""
        del wait_s
        with self._locked() as server:
            return text(server.streams[stream].last) if stream in server.streams else None

    def held(self, subscription: Subscription) -> list[Entry]:
        """Everything the group still has."""
        with self._locked() as server:
            return server.held(subscription)

    def trim(
        self, subscriptions: Sequence[Subscription], by_age: Sequence[str], *, retention_s: float, every_s: float = 0.0
    ) -> int | None:
        """Removes what nobody needs any more."""
        with self._locked() as server:
            turn_ends_ms, _ = server.tokens.get(_TRIM, (0, []))
            if every_s > 0 and turn_ends_ms > server.now_ms():
                return None
            server.tokens[_TRIM] = (server.now_ms() + round(1000 * every_s), [])
            return server.trim(readers(subscriptions, by_age), retention_s)

    def retire(self, subscription: Subscription, idle_s: float) -> list[str]:
        """Removes names of consumers long gone."""
        with self._locked() as server:
            before_ms = server.now_ms() - round(1000 * idle_s)
            return server.remove_consumers(subscription, lambda _, heard_ms: heard_ms <= before_ms)

    def leave(self, subscription: Subscription) -> None:
        """Removes our consumer name where nothing is pending."""
        with self._server.changed:
            self._server.remove_consumers(subscription, lambda name, _: name == self._consumer)

    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters."""
        with self._locked() as server:
            return [
                read_letter(text(entry_id), fields, requeued=text(entry_id) in server.requeued)
                for entry_id, fields in server.stream(DEAD).entries.items()
            ]

    def requeue(self, letter: DeadLetter, lane: str) -> Requeued:
        """Puts a dead letter back, once."""
        with self._locked() as server:
            if position(letter.id) not in server.stream(DEAD).entries:
                return "missing"
            if letter.id in server.requeued:
                return "again"
            server.requeued.add(letter.id)
            server.append(lane, lane_fields(letter))
            return "requeued"

    def figures(self, subscription: Subscription) -> list[SourceFigures]:
        """How much the group has to do."""
        with self._locked() as server:
            return [server.figures(subscription.group, source) for source in subscription.sources]

    def delayed(self) -> dict[str, int]:
        """What waits for its time."""
        with self._locked() as server:
            return dict(Counter(delayed.lane for delayed in server.later))

    def dead(self) -> int:
        """How many dead letters are kept."""
        with self._locked() as server:
            return len(server.stream(DEAD).entries)

    def put_receipt(self, key: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Keeps a receipt."""
        with self._locked() as server:
            server.receipts[key] = (server.now_ms() + round(1000 * ttl_s), dict(fields))

    def get_receipt(self, key: str) -> dict[str, str] | None:
        """The receipt."""
        with self._locked() as server:
            ends_ms, fields = server.receipts.get(key, (0, {}))
            return dict(fields) if fields and ends_ms > server.now_ms() else None

    def mirror(self, queue_key: str, scores: Mapping[str, float], set_key: str, members: set[str]) -> None:
        """Replaces a sorted set and a set."""
        with self._locked() as server:
            server.queues |= {queue_key: dict(scores), set_key: set(members)}

    def mirrored(self, queue_key: str, set_key: str) -> tuple[dict[str, float], set[str]]:
        """What a sorted set and a set hold."""
        with self._locked() as server:
            queued, members = server.queues.get(queue_key), server.queues.get(set_key)
            return (
                dict(queued) if isinstance(queued, dict) else {},
                set(members) if isinstance(members, set) else set(),
            )

    def refuse_unsafe_server(self) -> None:
        """Refuses nothing: it is made for tests, and forgets everything."""

    def close(self) -> None:
        """Ends all waiting."""
        self._closed.set()
        with self._server.changed:
            self._server.changed.notify_all()
