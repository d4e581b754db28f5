"""The transport on a Redis or Valkey server: what `port` promises, made of the parts beside this file.

Thread-safe. All state is on the server but for the cursors of the sweeps, which may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.transport import consumers
from streams.transport.connection import Connection
from streams.transport.dead_letters import DeadLetters
from streams.transport.lanes import Lanes
from streams.transport.leases import Leases
from streams.transport.looking import Looking
from streams.transport.measuring import Measuring
from streams.transport.mirrors import Mirrors
from streams.transport.port import (
    DeadLetter,
    Entry,
    Outcome,
    Publication,
    Requeued,
    Settlement,
    SourceFigures,
    Subscription,
)
from streams.transport.reading import Reading
from streams.transport.scripts import Scripts
from streams.transport.server import refuse_unsafe
from streams.transport.settling import Settling
from streams.transport.trimming import Trimming


class RedisTransport:
    """One process's way to the bus; each method is described in `port.Transport`."""

    def __init__(
        self,
        url: str,
        *,
        process: str,
        lease_s: float,
        block_s: float = 2.0,
        on_wiped: Callable[[str], None] | None = None,
        on_away: Callable[[], None] | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: Address of the server.
            process: What this process is called; part of its consumer name.
            lease_s: Silence after which an entry is given to somebody else.
            block_s: The longest blocking read; a longer one is cut to it.
            on_wiped: Told, in the reading thread, of each stream whose group was found missing and was made again.
            on_away: Told, in the thread that waits, of each try that found no server.
        """
        self._consumer = consumers.new_name(process)
        self._lease_s = lease_s
        self._block_s = block_s
        self._connection = Connection(url, block_s=block_s, on_away=on_away)
        scripts = Scripts(self._connection.ask)
        self._leases = Leases(self._connection, scripts, consumer=self._consumer, lease_s=lease_s)
        self._settling = Settling(self._connection, scripts, consumer=self._consumer)
        self._lanes = Lanes(self._connection, scripts)
        self._mirrors = Mirrors(self._connection)
        self._dead_letters = DeadLetters(self._connection, scripts)
        self._measuring = Measuring(self._connection, scripts)
        self._trimming = Trimming(self._connection, scripts)
        self._looking = Looking(self._connection, self._lanes)
        self._reading = Reading(
            self._connection, scripts, self._leases, consumer=self._consumer, lease_s=lease_s, on_wiped=on_wiped
        )

    @property
    def consumer(self) -> str:
        """This process's consumer name: it reads like a staff list."""
        return self._consumer

    def ensure_groups(self, subscription: Subscription) -> None:
        """Makes the groups that are missing, from the first entry on."""
        self._reading.ensure_groups(subscription)

    def read(self, subscription: Subscription, room: int, block_s: float) -> list[Entry]:
        """Up to `room` entries: left behind, tried again, new."""
        return self._reading.read(subscription, room, min(block_s, self._block_s))

    def renew(self, entries: Sequence[Entry]) -> list[Entry]:
        """Renews what is ours; returns what is not."""
        return self._leases.renew(entries)

    def settle(self, settlements: Sequence[Settlement]) -> list[Outcome]:
        """Ends deliveries."""
        return self._settling.settle(settlements)

    def hand_back(self, entries: Sequence[Entry]) -> None:
        """Leaves entries to whoever sweeps next."""
        self._leases.hand_back(entries)
        if entries:
            self._reading.sweep_within(0.0)

    def return_to(self, entry: Entry, consumer: str, idle_s: float = 0.0) -> None:
        """Leaves the entry to the consumer that works on it."""
        self._leases.return_to(entry, consumer, idle_s)
        self._reading.sweep_within(self._lease_s - idle_s)

    def publish(
        self,
        publications: Sequence[Publication],
        token: str | None = None,
        *,
        within_memory: bool = False,
        wait_s: float | None = None,
    ) -> list[str]:
        """Appends events and returns their ids."""
        return self._settling.publish(publications, token, within_memory=within_memory, wait_s=wait_s)

    def move_due(self) -> float | None:
        """Moves delayed entries to their lanes; seconds until the next."""
        return self._lanes.move_due()

    def observe(self, cursors: Mapping[str, str], block_s: float) -> list[Entry]:
        """What follows the cursors."""
        return self._looking.observe(cursors, min(block_s, self._block_s))

    def last_generated_id(self, stream: str, *, wait_s: float | None = None) -> str | None:
        """The newest id there ever was."""
        return self._looking.last_generated_id(stream, wait_s)

    def held(self, subscription: Subscription) -> list[Entry]:
        """Everything the group still has."""
        return self._looking.held(subscription)

    def trim(
        self, subscriptions: Sequence[Subscription], by_age: Sequence[str], *, retention_s: float, every_s: float = 0.0
    ) -> int | None:
        """Removes what nobody needs any more."""
        return self._trimming.trim(subscriptions, by_age, retention_s=retention_s, every_s=every_s)

    def retire(self, subscription: Subscription, idle_s: float) -> list[str]:
        """Removes names of consumers long gone."""
        return self._trimming.retire(subscription, idle_s)

    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters."""
        return self._dead_letters.all()

    def requeue(self, letter: DeadLetter, lane: str) -> Requeued:
        """Puts a dead letter back, once."""
        return self._dead_letters.requeue(letter, lane)

    def figures(self, subscription: Subscription) -> list[SourceFigures]:
        """How much the group has to do."""
        return self._measuring.figures(subscription)

    def delayed(self) -> dict[str, int]:
        """What waits for its time."""
        return self._measuring.delayed()

    def dead(self) -> int:
        """How many dead letters are kept."""
        return self._measuring.dead()

    def put_receipt(self, key: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Keeps a receipt."""
        self._mirrors.put_receipt(key, fields, ttl_s)

    def get_receipt(self, key: str) -> dict[str, str] | None:
        """The receipt."""
        return self._mirrors.get_receipt(key)

    def mirror(self, queue_key: str, scores: Mapping[str, float], set_key: str, members: set[str]) -> None:
        """Replaces a sorted set and a set."""
        self._mirrors.mirror(queue_key, scores, set_key, members)

    def mirrored(self, queue_key: str, set_key: str) -> tuple[dict[str, float], set[str]]:
        """What a sorted set and a set hold."""
        return self._mirrors.mirrored(queue_key, set_key)

    def leave(self, subscription: Subscription) -> None:
        """Removes our consumer name where nothing is pending."""
        self._leases.leave(subscription)

    def refuse_unsafe_server(self) -> None:
        """Raises UnsafeServerError for a server that may lose events."""
        refuse_unsafe(self._connection)

    def close(self) -> None:
        """Ends all waiting and closes the connections."""
        self._connection.close()
