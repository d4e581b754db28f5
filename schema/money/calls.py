"""What is said to the ledger about one paid call, and what it answers.

Plain values: the permission itself is in schema/money/reservation.py, and only the ledger gives it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from schema.settings.limits import Limits

#: Whether a request of unknown outcome may be sent again; see actors/providers/ports.py.
Policy = Literal["keyed", "queryable", "free", "blind"]
State = Literal["reserved", "sent", "settled", "released", "unknown"]
Why = Literal["superseded", "halted", "price_refused", "over_video", "over_day", "over_quota"]


class Quota(msgspec.Struct, frozen=True):
    """At most so many calls in any stretch of so many seconds."""

    name: str
    most: int
    window_s: float

    @property
    def slice_s(self) -> float:
        """By so much a window slides: after it a full quota may have room again."""
        return self.window_s / 60


def quotas(service: str, limits: Limits) -> tuple[Quota, ...]:
    """The counted quotas of a service; money is none of them."""
    return {
        "pexels": (Quota("pexels requests an hour", limits.pexels_requests_per_hour, 3_600),),
        "youtube": (Quota("youtube uploads a day", limits.youtube_uploads_per_day, 86_400),),
    }.get(service, ())


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call that somebody wants to make."""

    #: Made by the caller before it asks: asking twice with it is asking once.
    id: UUID
    video: str
    stage: str
    attempt: int
    service: str
    model: str
    #: The figures that the amount was made with, in words; a price that proved wrong is refused by them.
    price: str
    units: dict[str, int]
    #: The most that the call can cost.
    amount_usd: Decimal
    policy: Policy
    #: What it buys, as schema/money/bought.py names it; None where nothing is kept.
    input_hash: str | None = None
    take: int = 0


class Reserved(msgspec.Struct, frozen=True):
    """The money is set aside."""

    #: The same input was, or may have been, billed before.
    second_purchase: bool


class Refused(msgspec.Struct, frozen=True):
    """It is not, or the call may not be made."""

    why: Why
    #: What the budget that said no has left.
    left_usd: Decimal | None = None
    #: The quota that said no.
    quota: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The state that a reservation has after it was to be ended."""

    state: State
    #: The bill was above the reservation.
    overrun: bool = False


def dollars(usd: Decimal) -> str:
    """An amount as a message shows it, exactly."""
    return f"${usd.normalize():f}"
