"""dramatiq's broker on the bus: a queue is a consumer group, a message is an entry that anybody may have added.

Work enters by publishing to a stream, never by `actor.send`. A consumer here is a thin view: what is in hand, its
leases and its ends belong to the broker, so that dramatiq may restart a consumer without losing track. No error of the
connection reaches dramatiq. Order is not kept; an entry may be delivered again, so actors repeat without harm.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import sleep
from typing import Any, Final

import dramatiq
import msgspec
import structlog
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from streams.gate import Gate
from streams.middleware import Delivery, LoopThread, default_middleware
from streams.transport.dead_letters import letter_fields
from streams.transport.group_commit import GroupCommit
from streams.transport.housekeeping import Housekeeping
from streams.transport.in_hand import InHand
from streams.transport.port import DEAD, Entry, Publication, Settlement, Subscription, Tally, Transport, Untold

_MAX_DELIVERIES: Final = 10
#: How long a consumer looks away before it asks a shut gate, or a full process, again.
_LOOK_S: Final = 0.25
#: How long an ending process waits for the server to take its last settlements.
_DRAIN_S: Final = 5.0

log = structlog.get_logger(__name__)


class Delivered(msgspec.Struct, frozen=True):
    """What an actor is called with."""

    entry: Entry
    #: The consumer that holds the entry: this process.
    consumer: str


class StreamsBroker(Broker):
    """Hands entries to actors, one actor for each group, and ends each delivery as its actor ended."""

    def __init__(
        self,
        transport: Transport,
        subscriptions: Mapping[str, Subscription],
        *,
        budget: int,
        gate: Gate | None,
        lease_s: float,
        block_s: float = 2.0,
        max_deliveries: int = _MAX_DELIVERIES,
        loop_thread: LoopThread | None = None,
        middleware: list[Middleware] | None = None,
        tally: Tally | None = None,
        buried: Callable[[Entry, str, str], None] | None = None,
        turned: Callable[[], None] | None = None,
        in_touch: Callable[[], bool] = lambda: True,
    ) -> None:
        """Touches no server yet.

        Args:
            transport: The bus; stays its owner's to close.
            subscriptions: What may be consumed, by group.
            budget: Entries in hand at once, over all groups: the number of worker threads.
            gate: Shut: nothing is taken, what has not begun is handed back. None: always open.
            lease_s: As the transport has it.
            block_s: How long one read waits.
            max_deliveries: An entry delivered more often without an end goes to the dead letters.
            loop_thread: The running loop for async actors; None: one is made.
            middleware: In place of `default_middleware`.
            buried: Told of each entry that goes to the dead letters, with the error and the hint, before it does.
            tally: Told what is worth counting.
            turned: Told of each turn of the loop that consumes, whether or not there was something to take.
            in_touch: Whether the record can be reached from here. While it cannot, nothing is taken, and no lease is
                renewed: who can reach it takes the work over.
        """
        super().__init__(default_middleware(gate, loop_thread) if middleware is None else middleware)
        self.transport, self.gate, self.block_s, self.max_deliveries = transport, gate, block_s, max_deliveries
        self.in_hand = InHand(budget)
        self.tally = tally or Untold()
        self.buried, self.turned = buried, turned
        self.in_touch = in_touch
        self.housekeeping = Housekeeping(transport, self.in_hand, lease_s=lease_s, tally=self.tally, in_touch=in_touch)
        self.commit = GroupCommit(transport, self.in_hand, delayed=self.housekeeping.expect, tally=self.tally)
        self._subscriptions = dict(subscriptions)
        #: By group.
        self.actor_names: dict[str, str] = {}
        self._start_lock = threading.Lock()
        self._started = False

    def declare_actor(self, actor: dramatiq.Actor[Any, Any]) -> None:
        """Declares the one actor of a group; dramatiq calls it when an Actor is made."""
        if (other := self.actor_names.get(actor.queue_name)) is not None:
            raise ValueError(f"group {actor.queue_name} has the actor {other} already; a group has one actor")
        self.actor_names[actor.queue_name] = actor.actor_name
        super().declare_actor(actor)

    def declare_queue(self, queue_name: str) -> None:
        """Declares a group; no second queue for delays, the lane does that."""
        if queue_name not in self._subscriptions:
            known = ", ".join(self._subscriptions) or "none"
            raise ValueError(f"there is no subscription for group {queue_name!r}; there are: {known}")
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = self._subscriptions[queue_name]
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> StreamConsumer:
        """A view of one group; the budget takes the place of `prefetch`, `block_s` that of `timeout`."""
        del prefetch, timeout
        with self._start_lock:
            if not self._started:
                self._started = True
                self.housekeeping.start()
                self.commit.start()
        return StreamConsumer(self, self._subscriptions[queue_name])

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Takes what dramatiq's Retries wants again, `delay` in milliseconds; nothing else enters this way."""
        if not isinstance(message, Delivery):
            raise TypeError(f"{message} was sent to an actor; publish an event to its stream instead")
        self.emit_before("enqueue", message, delay)
        message.retry_later((delay or 0) / 1000, failed=True)
        self.emit_after("enqueue", message, delay)
        return message

    def close(self) -> None:
        """Waits a moment for the last ends, and stops keeping leases; the transport stays open."""
        if self._started:
            self.commit.close(_DRAIN_S)
            self.housekeeping.close(_DRAIN_S)


class StreamConsumer(Consumer):
    """One group as dramatiq's consumer thread sees it."""

    def __init__(self, broker: StreamsBroker, subscription: Subscription) -> None:
        self._broker, self._subscription = broker, subscription
        self._ready: deque[Entry] = deque()

    def __next__(self) -> Delivery | None:
        """The next delivery, or None after `block_s` at most."""
        broker = self._broker
        if broker.turned is not None:
            broker.turned()
        if broker.gate is not None and not broker.gate.takes():
            self._hand_back()
            broker.gate.wait_until_open(_LOOK_S)
            return None
        if not broker.in_touch():
            self._hand_back()
            sleep(_LOOK_S)
            return None
        if not self._ready and (room := broker.in_hand.wait_for_room(_LOOK_S)):
            self._admit(broker.transport.read(self._subscription, room, broker.block_s))
            if broker.gate is not None and not broker.gate.takes():
                return None  # it shut while we read: handed back at once by the next call
        while self._ready:
            entry = self._ready.popleft()
            if entry.deliveries > 1:
                broker.tally.redelivered(entry.group)
            if entry.deliveries <= broker.max_deliveries:
                return self._delivery(entry)
            self._bury(
                entry,
                f"delivered {entry.deliveries} times without an end, {broker.max_deliveries} are allowed",
                "its worker dies of it or never ends it: see its log, then publish the fields again",
            )
        return None

    def ack(self, message: MessageProxy) -> None:
        """Ends the delivery as its actor ended, in the background."""
        delivery = _delivery(message)
        if delivery.heir is not None:
            self._broker.commit.return_to(delivery.entry, delivery.heir.consumer, delivery.heir.idle_s)
        elif delivery.released:
            self._broker.commit.hand_back((delivery.entry,))
        else:
            self._broker.commit.settle(
                Settlement(delivery.entry, delivery.publications, delivery.retry_delay_s, failed=delivery.retry_failed)
            )

    def nack(self, message: MessageProxy) -> None:
        """It failed for good: to the dead letters."""
        delivery = _delivery(message)
        self._bury(delivery.entry, *delivery.failure())

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hands back what was not begun."""
        self._broker.commit.hand_back([_delivery(message).entry for message in messages])

    def close(self) -> None:
        """Hands back what is left and takes our name off the group."""
        self._hand_back()
        if self._broker.commit.drain(_DRAIN_S):
            self._broker.transport.leave(self._subscription)

    def _admit(self, entries: list[Entry]) -> None:
        taken, too_many = self._broker.in_hand.admit(entries)
        self._ready.extend(taken)
        self._broker.commit.hand_back(too_many)

    def _hand_back(self) -> None:
        if self._ready:
            self._broker.commit.hand_back(tuple(self._ready))
            self._ready.clear()

    def _delivery(self, entry: Entry) -> Delivery:
        milliseconds = entry.origin_id.partition("-")[0]
        message: Message[Any] = Message(
            queue_name=self._subscription.group,
            actor_name=self._broker.actor_names[self._subscription.group],
            args=(Delivered(entry, self._broker.transport.consumer),),
            kwargs={},
            options={"retries": entry.failures},
            # The same for each delivery of the event, however it comes.
            message_id=f"{entry.origin_stream}/{entry.origin_id}",
            message_timestamp=int(milliseconds) if milliseconds.isdigit() else 0,
        )
        return Delivery(message, entry)

    def _bury(self, entry: Entry, error: str, hint: str) -> None:
        """To the dead letters, with its fields as they came."""
        log.error("entry.dead", entry=f"{entry.origin_stream}/{entry.origin_id}", group=entry.group, error=error)
        if self._broker.buried is not None:
            self._broker.buried(entry, error, hint)
        self._broker.commit.settle(Settlement(entry, (Publication(DEAD, letter_fields(entry, error, hint)),)))


def _delivery(message: MessageProxy) -> Delivery:
    if not isinstance(message, Delivery):
        raise TypeError(f"{message} is not a delivery of this broker")
    return message
