"""The thread that keeps what a process has in hand: renews its leases, and moves delayed entries that are due.

It is no sign of life of the work: it only says that this process still runs. A lease that was lost is asked for again
at each turn, since an entry may be returned to us; whether the work goes on is for the record to decide. So a process
that has lost its way to the record renews nothing: what it holds is for those who have not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

from streams.transport.in_hand import InHand
from streams.transport.port import BusClosedError, Entry, Tally, Transport

#: Renewals in the time of one lease.
_TURNS: Final = 4
#: The shortest wait between two looks at what is due.
_SHORTEST_S: Final = 0.005

log = structlog.get_logger(__name__)


class Housekeeping:
    """Renews every quarter of a lease; looks at what is due once a lease, and when it knows that something is."""

    def __init__(
        self, transport: Transport, in_hand: InHand, *, lease_s: float, tally: Tally, in_touch: Callable[[], bool]
    ) -> None:
        self._transport, self._in_hand, self._tally, self._in_touch = transport, in_hand, tally, in_touch
        self._lease_s, self._turn_s = lease_s, lease_s / _TURNS
        self._wake = threading.Condition()
        self._closing = False
        self._due_s = 0.0
        self._lost: set[tuple[str, str, str]] = set()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def expect(self, delay_s: float) -> None:
        """Something is due in so many seconds."""
        with self._wake:
            self._due_s = min(self._due_s, monotonic() + delay_s)
            self._wake.notify_all()

    def close(self, timeout_s: float) -> None:
        """Ends the thread; leases are renewed no more."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        renew_s = monotonic() + self._turn_s
        while not self._closing:
            try:
                if monotonic() >= renew_s:
                    renew_s = monotonic() + self._turn_s
                    self._renew()
                if monotonic() >= self._due_s:
                    self._move_due()
            except BusClosedError:
                return
            except Exception:
                log.exception("housekeeping.failed", hint="it goes on with the next turn")
                self._due_s = monotonic() + self._turn_s
            with self._wake:
                if not self._closing:
                    self._wake.wait(max(0.0, min(renew_s, self._due_s) - monotonic()))

    def _renew(self) -> None:
        entries = self._in_hand.entries()
        if not entries or not self._in_touch():
            return
        lost = self._transport.renew(entries)
        for entry in lost:
            if _key(entry) not in self._lost:
                log.info("lease.lost", entry=f"{entry.stream}/{entry.id}", group=entry.group)
                self._tally.lease_lost(entry.group)
        self._lost = {_key(entry) for entry in lost}

    def _move_due(self) -> None:
        with self._wake:
            self._due_s = monotonic() + self._lease_s
        wait_s = self._transport.move_due()
        if wait_s is not None and wait_s < self._lease_s:
            self.expect(max(wait_s, _SHORTEST_S))


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.group, entry.stream, entry.id
