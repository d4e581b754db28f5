"""In the place of dramatiq's worker and our broker over it: takes entries, has them worked on, and ends them.

It ends a delivery as streams/broker.py and streams/middleware.py do, and keeps leases as streams/transport/housekeeping
does; those themselves, and their threads, are looked at where real processes are killed, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from streams.broker import Delivered
from streams.interrupts import Interrupted, RetryLater, ReturnTo
from streams.process import Process
from streams.transport.dead_letters import letter_fields
from streams.transport.in_memory_server import InMemoryServer
from streams.transport.port import DEAD, Entry, Outcome, Publication, Settlement, Subscription

Actor = Callable[[Delivered], Awaitable[tuple[Publication, ...]]]
_ROOM: Final = 6
_RETRIES: Final = 3
_MAX_DELIVERIES: Final = 10
_LOOK_S: Final = 0.25
_TURNS: Final = 4


class Worker:
    """What one process has in hand."""

    def __init__(self, process: Process, bus: InMemoryServer, say: Callable[[str], None], *, gated: bool) -> None:
        """`say` hears of what may not be."""
        self._owned, self._say = bus.owned, say
        self._process, self._gate = process, process.gate if gated else None
        self._transport = process.transport
        self._in_hand: dict[tuple[str, str, str], Entry] = {}

    async def consume(self, subscription: Subscription, actor: Actor) -> None:
        """Take the entries of a group for ever."""
        while True:
            if self._gate is not None and not self._gate.takes():
                await asyncio.sleep(_LOOK_S)
                continue
            room = _ROOM - sum(key[0] == subscription.group for key in self._in_hand)
            if room <= 0:
                await asyncio.sleep(_LOOK_S)
                continue
            block_s = self._process.settings.servers.block_s
            for entry in await asyncio.to_thread(self._transport.read, subscription, room, block_s):
                key = (entry.group, entry.stream, entry.id)
                self._in_hand[key] = entry
                asyncio.create_task(self._work(key, entry, actor))  # noqa: RUF006 - the loop keeps what a process does

    async def keep_leases(self) -> None:
        """Renew what is in hand, and move what is due."""
        turn_s = self._process.settings.servers.lease_s / _TURNS
        while True:
            await asyncio.sleep(turn_s)
            if self._in_hand:
                await asyncio.to_thread(self._transport.renew, list(self._in_hand.values()))
            await asyncio.to_thread(self._transport.move_due)

    async def _work(self, key: tuple[str, str, str], entry: Entry, actor: Actor) -> None:
        try:
            await self.deliver(entry, actor)
        finally:
            self._in_hand.pop(key, None)

    async def deliver(self, entry: Entry, actor: Actor) -> None:
        """One delivery, to its end."""
        if self._gate is not None and not self._gate.takes():
            await asyncio.to_thread(self._transport.hand_back, [entry])
            return
        if entry.deliveries > _MAX_DELIVERIES:
            await self._bury(entry, "delivered too often", "see the log")
            return
        try:
            publications = await actor(Delivered(entry, self._transport.consumer))
        except ReturnTo as heir:
            await asyncio.to_thread(self._transport.return_to, entry, heir.consumer, heir.idle_s)
        except Interrupted:
            await asyncio.to_thread(self._transport.hand_back, [entry])
        except RetryLater as later:
            await self.settle(Settlement(entry, retry_delay_s=later.delay_s, failed=False))
        except Exception as error:  # noqa: BLE001 - as the broker's middleware
            if entry.failures >= _RETRIES:
                await self._bury(entry, f"{type(error).__name__}: {error}", str(getattr(error, "hint", "")))
            else:
                await self.settle(Settlement(entry, retry_delay_s=1.0))
        else:
            await self.settle(Settlement(entry, publications))

    async def settle(self, settlement: Settlement) -> Outcome:
        """End a delivery."""
        entry = settlement.entry

        def settle() -> Outcome:
            pending = self._owned(entry)
            outcome = self._transport.settle([settlement])[0]
            if outcome == "settled" and (pending is None or pending.consumer != self._transport.consumer):
                self._say(f"bus: {entry.stream}/{entry.id} was ended by {self._process.name}, who does not hold it")
            return outcome

        return await asyncio.to_thread(settle)

    async def _bury(self, entry: Entry, error: str, hint: str) -> None:
        await self.settle(Settlement(entry, (Publication(DEAD, letter_fields(entry, error, hint)),)))
