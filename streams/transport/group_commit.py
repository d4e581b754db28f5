"""Ends deliveries in the background, all that gathered during one round trip in the next one.

Whoever ends a delivery never waits for the server and never sees its errors: the end is kept until the server has taken
it. Should it refuse for good, the entry is let go, its lease runs out and somebody else gets it.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from streams.transport.in_hand import InHand
from streams.transport.port import BusClosedError, Entry, Outcome, Settlement, Tally, Transport

T = TypeVar("T")

#: How long the first of a batch waits for others that are in hand: one large commit costs less than many small ones.
_LINGER_S: Final = 0.001

log = structlog.get_logger(__name__)


class GroupCommit:
    """One thread that ends deliveries; the other methods may be called from any."""

    def __init__(
        self, transport: Transport, in_hand: InHand, *, delayed: Callable[[float], None], tally: Tally
    ) -> None:
        """`delayed` is told, in seconds, of each entry that was put aside."""
        self._transport, self._in_hand, self._delayed, self._tally = transport, in_hand, delayed, tally
        self._more = threading.Condition()
        self._settlements: deque[Settlement] = deque()
        self._returns: deque[tuple[Entry, str | None, float]] = deque()
        self._working = self._sleeping = self._closing = False
        self._enough = 1
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def settle(self, settlement: Settlement) -> None:
        """Publishes, delays, acknowledges."""
        self._settlements.append(settlement)
        self._wake()

    def hand_back(self, entries: Sequence[Entry]) -> None:
        """Leaves entries to whoever sweeps next."""
        self._returns.extend([(entry, None, 0.0) for entry in entries])
        self._wake()

    def return_to(self, entry: Entry, consumer: str, idle_s: float) -> None:
        """Leaves the entry to the consumer that works on it."""
        self._returns.append((entry, consumer, idle_s))
        self._wake()

    def _wake(self) -> None:
        """Nothing where the thread is at work: it looks again before it sleeps."""
        if self._sleeping and len(self._settlements) + len(self._returns) >= self._enough:
            with self._more:
                self._more.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Waits until the server has taken everything; whether it has."""
        with self._more:
            return self._more.wait_for(lambda: not (self._settlements or self._returns or self._working), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Ends the thread once everything is taken, or `timeout_s` is over."""
        with self._more:
            self._closing = True
            self._more.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._wait():
            settlements, returns = _drained(self._settlements), _drained(self._returns)
            try:
                self._commit(settlements)
                self._return(returns)
            except BusClosedError:
                return
            except Exception:
                log.exception("commit.failed", hint="these entries are delivered again when their leases are over")
            finally:
                self._in_hand.release([settlement.entry for settlement in settlements])
                self._in_hand.release([entry for entry, _, _ in returns])

    def _wait(self) -> bool:
        """Until there is something to take; False: there is nothing, and never will be."""
        if not (self._settlements or self._returns):
            with self._more:
                self._working = False
                self._more.notify_all()
                # Before the last look: whoever adds from now on wakes us.
                self._sleeping = True
                self._enough = 1
                self._more.wait_for(lambda: self._settlements or self._returns or self._closing)
                self._enough = (len(self._in_hand) + 1) // 2
                if not self._closing:
                    self._more.wait_for(lambda: len(self._settlements) >= self._enough, _LINGER_S)
                self._sleeping = False
        self._working = True
        return bool(self._settlements or self._returns)

    def _commit(self, settlements: list[Settlement]) -> None:
        if not settlements:
            return
        outcomes = self._transport.settle(settlements)
        for ended_so, count in Counter(outcomes).items():
            self._tally.settled(ended_so, count)
        for settlement, outcome in zip(settlements, outcomes, strict=True):
            if outcome == "settled" and settlement.retry_delay_s is not None:
                self._delayed(settlement.retry_delay_s)
            elif outcome != "settled":
                self._unsettled(settlement, outcome)

    def _unsettled(self, settlement: Settlement, outcome: Outcome) -> None:
        entry = settlement.entry
        orphaned = outcome == "gone" and settlement.publications and settlement.retry_delay_s is None
        log.warning("settle.unsettled", entry=f"{entry.stream}/{entry.id}", outcome=outcome, published=bool(orphaned))
        if orphaned:
            # Redis was wiped under a running job: what it made is true all the same.
            self._transport.publish(settlement.publications, f"{entry.group}:{entry.stream}:{entry.id}")

    def _return(self, returns: list[tuple[Entry, str | None, float]]) -> None:
        self._transport.hand_back([entry for entry, consumer, _ in returns if consumer is None])
        for entry, consumer, idle_s in returns:
            if consumer is not None:
                self._transport.return_to(entry, consumer, idle_s)


def _drained(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]
