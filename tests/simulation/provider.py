"""A provider that keeps a ledger of its own, and bills, refuses, breaks off and overcharges by lot.

What it was paid is the evidence: the invariants compare it with the record. Like a real one it knows a request by its
key where it says so, and bills that once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import msgspec

from actors.providers.ports import Answer, Resend
from schema.errors import BilledError, PermanentError, RateLimitedError, RetryableError, UnknownOutcomeError
from schema.money.prices import Price, Prices
from schema.money.reservation import Reservation
from tests.simulation.loop import Loop

Behaviour = Literal["answers", "bills and breaks off", "breaks off", "busy", "fails", "refuses", "unusable", "overcharges"]
#: By service: dollars for one call at the most, and whether a request is known by its key.
SERVICES: Final[dict[str, tuple[Decimal, Resend]]] = {
    "writer": (Decimal("0.90"), "keyed"),
    "finder": (Decimal("0.55"), "blind"),
    "speaker": (Decimal("0.80"), "blind"),
}
_CHEAPER: Final = {"standard": Decimal(1), "economy": Decimal("0.5")}
_CENTS: Final = 100


class Order(msgspec.Struct, frozen=True):
    """What is bought for a video."""

    text: str


class Product(msgspec.Struct, frozen=True):
    """What is delivered."""

    text: str


class Charge(msgspec.Struct, frozen=True):
    """A line of the provider's ledger."""

    reservation: str
    service: str
    usd: Decimal


def price_list() -> Prices:
    """What they charge: by the cent."""
    prices = Prices()
    prices._prices = {
        (service, model): Price(service, model, {"cents": Decimal(1_000_000) / _CENTS}, None, "simulation")
        for service in SERVICES
        for model in _CHEAPER
    }
    return prices


class Provider:
    """All of them."""

    def __init__(self, loop: Loop, chance: random.Random, *, trouble: float) -> None:
        """`trouble` is the share of calls that do not simply go well."""
        self.ledger: list[Charge] = []
        self.trouble = trouble
        self.on_charge: Callable[[Charge], None] = lambda _: None
        self._loop, self._chance = loop, chance

    def behaviour(self) -> Behaviour:
        """How it takes this call."""
        if self._chance.random() >= self.trouble:
            return "answers"
        draw: tuple[Behaviour, ...] = ("bills and breaks off", "breaks off", "busy", "fails", "refuses", "unusable")
        weights = (5, 3, 3, 3, 1, 2)
        if self._chance.random() < 0.03:
            return "overcharges"
        return self._chance.choices(draw, weights)[0]

    async def take(self, service: str, order: Order, reservation: Reservation) -> Answer[Product]:
        """One request."""
        self._loop.on_point("request sent")
        await self._loop.pause()
        behaviour = self.behaviour()
        match behaviour:
            case "busy":
                raise RateLimitedError("busy", retry_after_s=0.5)
            case "fails":
                raise RetryableError("it failed")
            case "refuses":
                raise PermanentError("it refuses this request")
            case "breaks off":
                raise UnknownOutcomeError("no answer; it may have been billed")
        used = self._billed(service, reservation, overcharges=behaviour == "overcharges")
        self._loop.on_point("request billed")
        await self._loop.pause()
        if self._chance.random() < 0.3:
            await _sleep(self._loop, 2 * self._chance.random())
        if behaviour == "bills and breaks off":
            raise UnknownOutcomeError("no answer; it may have been billed")
        if behaviour == "unusable":
            raise BilledError("it cannot be used", used={"cents": used})
        return Answer(Product(order.text), {"cents": used})

    def _billed(self, service: str, reservation: Reservation, *, overcharges: bool) -> int:
        """What it costs, in cents; a request that is known by its key is billed once."""
        known = next((charge for charge in self.ledger if charge.reservation == str(reservation.id)), None)
        if known is not None and SERVICES[service][1] == "keyed":
            return int(known.usd * _CENTS)
        most = reservation.units["cents"]
        cents = most + 3 if overcharges else most * self._chance.choice((40, 75, 100)) // 100
        charge = Charge(str(reservation.id), service, Decimal(cents) / _CENTS)
        self.ledger.append(charge)
        self.on_charge(charge)
        return cents


class Paid:
    """The adapter of one service."""

    def __init__(self, provider: Provider, service: str, model: str) -> None:
        self.service, self.model = service, model
        self.resend: Resend = SERVICES[service][1]
        self._provider = provider

    def worst_case(self, _order: Order) -> dict[str, int]:
        """The most it can cost."""
        return {"cents": int(SERVICES[self.service][0] * _CHEAPER[self.model] * _CENTS)}

    async def call(self, order: Order, reservation: Reservation, _out: Path) -> Answer[Product]:
        """Send it."""
        return await self._provider.take(self.service, order, reservation)


async def _sleep(loop: Loop, seconds: float) -> None:
    future = loop.create_future()
    loop.call_later(seconds, future.set_result, None)
    await future
