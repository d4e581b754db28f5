"""Looks at the permission before anything is sent: a paid adapter's first line.

The signature of `Adapter.call` already asks for a reservation; this holds at run time too, for what a type checker did
not see. It cannot tell whether the money was really marked sent: only the ledger makes reservations.
"""

from __future__ import annotations

from collections.abc import Mapping

from schema.money.reservation import Reservation


def check(reservation: object, *, service: str, model: str, worst_case: Mapping[str, int]) -> None:
    """Raise TypeError unless `reservation` is one, for this service and model, and covers the order."""
    if not isinstance(reservation, Reservation):
        raise TypeError(f"got {type(reservation).__name__}, expected a Reservation: nothing is sent without one")
    if (reservation.service, reservation.model) != (service, model):
        got = f"{reservation.service}/{reservation.model}"
        raise TypeError(f"got a reservation for {got}, expected one for {service}/{model}")
    for unit, most in worst_case.items():
        reserved = reservation.units.get(unit, 0)
        if reserved < most:
            raise TypeError(f"got a reservation of {reserved} {unit}, expected {most}: reserve what worst_case says")
