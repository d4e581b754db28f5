"""An order for each paid provider, and the permission to send it, as tests want them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from actors.providers import configured
from actors.providers.ports import Adapter, Answer, ScriptOrder, SearchOrder, SpeechOrder
from schema.documents import Brief
from schema.money.reservation import Reservation, permit
from schema.settings.providers import Providers

TEXT = "Octopuses have three hearts, and 2 of them rest while they swim."
ORDERS: dict[str, msgspec.Struct] = {
    "openai": ScriptOrder(Brief("Why octopuses have three hearts", length_s=30.0)),
    "pexels": SearchOrder("octopus in the sea", "photo", "landscape", 3),
    "elevenlabs": SpeechOrder(TEXT, voice="default", before="Listen.", after="They walk instead."),
    "google": SpeechOrder(TEXT, voice="default"),
}


class Bought(msgspec.Struct, frozen=True):
    """An adapter with an order that it takes."""

    adapter: Adapter[Any, Any]
    order: msgspec.Struct

    def reserved(self) -> Reservation:
        """The permission for exactly this order."""
        return reservation(self.adapter, self.adapter.worst_case(self.order))

    async def call(self, out: Path) -> Answer[Any]:
        """Send it."""
        return await self.adapter.call(self.order, self.reserved(), out)


def bought(provider: str, settings: Providers, order: msgspec.Struct | None = None, *, economy: bool = False) -> Bought:
    """An order for this provider."""
    make: Any = {"openai": configured.writer, "pexels": configured.finder}.get(provider, configured.speaker)
    return Bought(make(provider, settings, economy=economy), ORDERS[provider] if order is None else order)


def reservation(adapter: Adapter[Any, Any], units: dict[str, int], **others: Any) -> Reservation:  # noqa: ANN401 - any of its fields
    """The permission for a call to this adapter."""
    fields: dict[str, Any] = {
        "reservation_id": uuid4(),
        "video": "video",
        "stage": "stage",
        "attempt": 1,
        "service": adapter.service,
        "model": adapter.model,
        "amount_usd": Decimal("0.10"),
        "units": units,
    }
    return permit(**(fields | others))
