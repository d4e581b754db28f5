"""Bills above their reservations, and the hold that each of them places on the factory.

The hold is a second step, after the bill was booked, so that a booked bill never depends on it; whoever dies in
between leaves an overrun without a hold, which the cost guardian finds here and makes up for. A hold is placed once:
what an operator has resumed over is not held for again.
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from schema.events.command import Command
from schema.money.calls import dollars
from schema.record.gate import GateRecord
from schema.record.postgres import Connection, Postgres

CAUSE = "cost_overrun"
#: The hold is the cost guardian's own, whoever of its side places it.
BY = "cost"

_READ = """
SELECT r.id, r.video_id, r.stage, r.service, r.model, r.price, r.amount, r.billed
  FROM money.overruns AS o JOIN money.reservations AS r ON r.id = o.reservation_id"""

# What an operator acknowledged was an earlier bill: a later one is a cause of its own.
_IS_ANOTHER = """
DELETE FROM acknowledged_causes AS a USING money.overruns AS o
 WHERE a.cause = $1 AND a.by = $2 AND o.reservation_id = $3 AND o.held_at IS NULL AND o.at > a.acknowledged_at"""


class Overrun(msgspec.Struct, frozen=True):
    """A bill that was above what had been set aside for it."""

    reservation: UUID
    video: str
    stage: str
    service: str
    model: str
    price: str
    reserved_usd: Decimal
    billed_usd: Decimal

    @property
    def reason(self) -> str:
        """In words, with what to do about it."""
        return (
            f"{self.service} {self.model} billed {dollars(self.billed_usd)} where {dollars(self.reserved_usd)} was the "
            f"most by its price ({self.price}): correct it in the file that YTEMPIRE_PRICES names, then resume"
        )


class Overruns:
    """The rows of money.overruns."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres, self._gate = postgres, GateRecord(postgres)

    async def not_held(self) -> list[Overrun]:
        """Those that no hold was placed for."""

        async def work(connection: Connection) -> list[Overrun]:
            rows = await connection.fetch(f"{_READ} WHERE o.held_at IS NULL ORDER BY o.at")
            return [_overrun(row) for row in rows]

        return await self._postgres.run(work)

    async def hold(self, reservation: UUID) -> Overrun:
        """Halt the factory for it, once; says what it halted for."""

        async def read(connection: Connection) -> Overrun:
            await connection.execute(_IS_ANOTHER, CAUSE, BY, reservation)
            row = await connection.fetchrow(f"{_READ} WHERE o.reservation_id = $1", reservation)
            if row is None:
                raise LookupError(f"there is no overrun of reservation {reservation}")
            return _overrun(row)

        async def note(connection: Connection) -> None:
            await connection.execute(
                "UPDATE money.overruns SET held_at = now() WHERE reservation_id = $1 AND held_at IS NULL", reservation
            )

        overrun = await self._postgres.run(read)
        token = f"{CAUSE} {reservation}"
        command = Command(verb="halt", reason=overrun.reason, by=BY, cause=CAUSE, id=token)
        await self._gate.apply(command, entry_id=None)
        await self._postgres.run(note)
        return overrun


def _overrun(row: asyncpg.Record) -> Overrun:
    return Overrun(
        reservation=row["id"],
        video=row["video_id"],
        stage=row["stage"],
        service=row["service"],
        model=row["model"],
        price=row["price"],
        reserved_usd=row["amount"],
        billed_usd=row["billed"],
    )
