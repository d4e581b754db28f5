"""The permission to pay: what a paid adapter must be handed before it can send anything.

Only the ledger makes one, once the money is reserved and marked sent; an import contract keeps it so. It is an object
and no struct: it cannot be read from a file, decoded from an event or copied with other figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NoReturn, final
from uuid import UUID


@final
class Reservation:
    """So much money of one video, set aside for one call that may be sent now."""

    __slots__ = ("amount_usd", "attempt", "id", "model", "service", "stage", "units", "video")

    def __init__(self) -> None:
        raise TypeError("a reservation is made by the ledger alone: schema/money/ledger.py")

    #: Named by the caller before it asked; also the idempotency key where a provider takes one.
    id: UUID
    video: str
    stage: str
    attempt: int
    service: str
    model: str
    #: The most that this call may cost.
    amount_usd: Decimal
    #: The same bound in the provider's units, such as output_tokens or characters: the request must carry it.
    units: Mapping[str, int]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuses: a permission does not change."""
        raise AttributeError(f"a reservation cannot be changed ({name} = {value!r})")

    def __reduce__(self) -> NoReturn:
        """Refuses: a permission does not travel."""
        raise TypeError("a reservation cannot be copied or sent elsewhere")


_FIELDS: Final = Reservation.__slots__


def permit(
    *,
    reservation_id: UUID,
    video: str,
    stage: str,
    attempt: int,
    service: str,
    model: str,
    amount_usd: Decimal,
    units: Mapping[str, int],
) -> Reservation:
    """The permission that the record has just given; for the ledger alone."""
    made = object.__new__(Reservation)
    values = (amount_usd, attempt, reservation_id, model, service, stage, MappingProxyType(dict(units)), video)
    for name, value in zip(_FIELDS, values, strict=True):
        object.__setattr__(made, name, value)
    return made
