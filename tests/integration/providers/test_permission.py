"""No paid adapter sends anything without a reservation for that very call."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.fakes.orders import ORDERS, bought, reservation
from tests.fakes.running import Fakes


class LooksLikeOne(msgspec.Struct):
    """All the fields of a reservation, and none of its standing."""

    service: str
    model: str
    units: dict[str, int]
    id: str = "forged"


@pytest.mark.parametrize("provider", ORDERS)
async def test_without_a_reservation_nothing_is_sent(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    one = bought(provider, fakes.settings())
    units = one.adapter.worst_case(one.order)
    for forged in (None, LooksLikeOne(one.adapter.service, one.adapter.model, units)):
        with pytest.raises(TypeError, match="expected a Reservation"):
            await one.adapter.call(one.order, forged, tmp_path)  # type: ignore[arg-type]
    assert fakes.lines() == []


@pytest.mark.parametrize("provider", ORDERS)
async def test_a_reservation_for_another_call_sends_nothing(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    one = bought(provider, fakes.settings())
    units = one.adapter.worst_case(one.order)
    too_small = {unit: most - 1 for unit, most in units.items()}
    others = (
        reservation(one.adapter, units, service="other"),
        reservation(one.adapter, units, model="other"),
        reservation(one.adapter, {}),
        reservation(one.adapter, too_small),
    )
    for other in others:
        with pytest.raises(TypeError, match="got a reservation"):
            await one.adapter.call(one.order, other, tmp_path)
    assert fakes.lines() == []


@pytest.mark.parametrize("provider", ORDERS)
async def test_the_reservation_travels_with_the_request(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    one = bought(provider, fakes.settings())
    reserved = one.reserved()
    await one.adapter.call(one.order, reserved, tmp_path)
    assert [line.reservation for line in fakes.lines()] == [str(reserved.id)]
