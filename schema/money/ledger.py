"""The ledger: sets money aside, gives the permission to spend it, and books what became of it.

Each call is one statement, a function of schema/record/sql/0002_money.sql, so that no lock outlives it; each may be
repeated, with the same answer, and is repeated while Postgres is away. What it cannot do is know a bill before the
provider sends it: a price that is too low is found by its first bill, recorded, and refused from then on.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from schema.money.bought import StoredFile
from schema.money.calls import Ask, Ended, Quota, Refused, Reserved
from schema.money.reservation import Reservation, permit
from schema.record.postgres import Postgres, storable

_RESERVE = "SELECT * FROM money.reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
_SENT = "SELECT answer, (reservation).* FROM money.mark_sent($1, $2)"
_SETTLE = "SELECT * FROM money.settle($1, $2, $3, $4, $5, $6)"
_RELEASE = "SELECT money.release($1, $2) AS state"
_UNKNOWN = "SELECT money.mark_unknown($1, $2) AS state"


class Sent(msgspec.Struct, frozen=True):
    """The call may be made now, with this permission; the rest is for the journal."""

    permission: Reservation
    ask: Ask
    second_purchase: bool
    reserved_at: datetime


class Ledger:
    """The money of all videos, under two budgets."""

    def __init__(self, postgres: Postgres, *, video_budget_usd: Decimal, day_budget_usd: Decimal) -> None:
        self._postgres = postgres
        self._video_budget_usd, self._day_budget_usd = video_budget_usd, day_budget_usd

    async def reserve(self, ask: Ask, quotas: tuple[Quota, ...] = ()) -> Reserved | Refused:
        """Set the money aside; first ends what older attempts of this stage left open."""
        row = await self._postgres.call(
            _RESERVE,
            *(ask.id, ask.video, ask.stage, ask.attempt, ask.service, ask.model, ask.price, ask.units, ask.amount_usd),
            *(ask.policy, ask.input_hash, ask.take, self._video_budget_usd, self._day_budget_usd, quotas),
        )
        if row["answer"] != "reserved":
            return Refused(row["answer"], left_usd=row["left_usd"], quota=row["quota"] or "")
        return Reserved(row["second"])

    async def sent(self, reservation: UUID, attempt: int) -> Sent | Refused:
        """The call is about to be made: its money may be gone from here on. Reads the gate again.

        One whose outcome is unknown may be sent again where its provider knows it by its key; its money stays counted.
        """
        row = await self._postgres.call(_SENT, reservation, attempt)
        return _sent(row) if row["answer"] == "sent" else Refused(row["answer"])

    async def settle(
        self,
        reservation: UUID,
        billed_usd: Decimal,
        *,
        used: dict[str, int],
        request_id: str = "",
        result: bytes | None = None,
        files: tuple[StoredFile, ...] = (),
    ) -> Ended:
        """Book the bill, and keep what it bought in the same step: `result` as JSON, None where there is none."""
        text = None if result is None else result.decode()
        row = await self._postgres.call(
            _SETTLE, reservation, billed_usd, used, storable(request_id), text, None if text is None else files
        )
        return Ended(row["answer"], overrun=row["overrun"])

    async def release(self, reservation: UUID, why: str) -> Ended:
        """Nothing was billed for certain; what was unknown stays unknown."""
        return Ended((await self._postgres.call(_RELEASE, reservation, storable(why)))["state"])

    async def unknown(self, reservation: UUID, why: str) -> Ended:
        """It was sent and may have been billed: all of it stays counted."""
        return Ended((await self._postgres.call(_UNKNOWN, reservation, storable(why)))["state"])


def _sent(row: asyncpg.Record) -> Sent:
    ask = Ask(
        id=row["id"],
        video=row["video_id"],
        stage=row["stage"],
        attempt=row["attempt"],
        service=row["service"],
        model=row["model"],
        price=row["price"],
        units=msgspec.json.decode(row["units"], type=dict[str, int]),
        amount_usd=row["amount"],
        policy=row["policy"],
        input_hash=row["input_hash"],
        take=row["take"],
    )
    permission = permit(
        reservation_id=ask.id,
        video=ask.video,
        stage=ask.stage,
        attempt=ask.attempt,
        service=ask.service,
        model=ask.model,
        amount_usd=ask.amount_usd,
        units=ask.units,
    )
    return Sent(permission, ask, row["second_purchase"], row["reserved_at"])
