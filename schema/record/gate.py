"""The truth about the gate: a set of holds, and beside it the orders in force and how far stream:control was applied.

A resume from the stream lifts only holds that precede it there; one that is written here directly lifts all that are
here. A guardian lifts only its own, and places none for a cause that an operator has resumed over, until it says itself
that the cause is gone.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from schema.events.command import Command, is_guardian
from schema.record import control_log
from schema.record.control_log import position
from schema.record.postgres import Connection, Postgres
from schema.record.standing import Order

__all__ = ["Applied", "GateRecord", "Hold", "Order", "State", "Truth", "position"]

State = Literal["open", "paused", "halted"]

_PLACE = """
INSERT INTO holds (kind, cause, by, reason, command, entry)
SELECT $1, $2, $3, $4, $5, $6
 WHERE NOT ($7 AND EXISTS (SELECT 1 FROM acknowledged_causes WHERE cause = $2 AND by = $3))
ON CONFLICT (kind, cause, by) DO UPDATE
   SET reason = excluded.reason, command = excluded.command, entry = excluded.entry, placed_at = now()
RETURNING true"""

_LIFT = """
DELETE FROM holds WHERE ($1 = '' OR by = $1) AND ($2 = '' OR cause = $2)
   AND ($3::bigint[] IS NULL OR (entry IS NOT NULL AND entry < $3)) RETURNING kind, cause, by"""

# One statement, so one moment: holds of before a halt beside a cursor of after it would open a gate. And every process
# asks it all the time. No row of `place`: nothing was applied yet.
_READ = """
WITH place AS (SELECT entry_id, generation FROM cursors WHERE reader = $1 AND stream = 'stream:control')
SELECT coalesce((SELECT entry_id FROM place), '0-0') AS cursor,
       coalesce((SELECT generation FROM place), 0) AS generation,
       (SELECT coalesce(json_agg(h ORDER BY placed_at), '[]')::text
          FROM (SELECT kind, cause, by, reason, placed_at FROM holds) AS h) AS holds,
       (SELECT coalesce(json_agg(o ORDER BY placed_at), '[]')::text
          FROM (SELECT kind, scope, cause, by, value, reason, placed_at FROM standing_orders) AS o) AS orders"""

_ACKNOWLEDGE = """
INSERT INTO acknowledged_causes (cause, by) VALUES ($1, $2)
ON CONFLICT (cause, by) DO UPDATE SET acknowledged_at = now()"""


#: How long `hold_ahead` waits for a row before it lets go of its own: less than Postgres takes to see a deadlock.
_LOCK_WAIT, _PAUSE_S = "200ms", 0.05


class Hold(msgspec.Struct, frozen=True):
    """One reason why the factory stands still."""

    kind: str
    cause: str
    by: str
    reason: str
    placed_at: datetime


class Truth(msgspec.Struct, frozen=True):
    """What the record says: the state, its holds, how far the stream has been applied, and the orders in force."""

    state: State
    holds: tuple[Hold, ...]
    cursor: str
    generation: int
    orders: tuple[Order, ...] = ()


class Applied(msgspec.Struct, frozen=True):
    """What a command did; `repeated` when it had been applied before."""

    repeated: bool
    lifted: int
    state: State


class GateRecord:
    """The holds in the record."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def read(self) -> Truth:
        """The gate as the record has it now."""
        return _truth(await self._postgres.call(_READ, control_log.READER))

    async def apply(self, command: Command, *, entry_id: str | None) -> Applied:
        """Apply a hold or a resume once: from the stream with its `entry_id`, or directly, known by `command.id`."""

        async def work(connection: Connection) -> Applied:
            lifted = 0
            first = await control_log.enter(connection, command, entry_id)
            if first:
                lifted = await _carry_out(connection, command, entry_id) or 0
            elif entry_id:
                await control_log.arrived(connection, command, entry_id)
            if entry_id:
                await control_log.advance(connection, entry_id)
            return Applied(repeated=not first, lifted=lifted, state=await state_of(connection))

        return await self._postgres.run(work)

    async def hold_ahead(self, command: Command, *, entry_id: str) -> bool:
        """Place a hold of the stream before what stands in front of it there; True when this placed it.

        Not where the stream has begun anew and nobody has noted that yet: then it waits for its turn.
        """

        async def work(connection: Connection) -> bool:
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            cursor, _ = await control_log.place(connection)
            if position(entry_id) <= position(cursor) or not await control_log.enter(connection, command, entry_id):
                return False
            await _carry_out(connection, command, entry_id)
            return True

        while True:
            try:
                return await self._postgres.run(work)
            except asyncpg.LockNotAvailableError:  # whoever carries out what stands in front has it in hand
                await asyncio.sleep(_PAUSE_S)

    async def acknowledged(self, by: str) -> frozenset[str]:
        """Causes of this guardian that an operator has resumed over: a hold for them would not be placed."""

        async def work(connection: Connection) -> frozenset[str]:
            rows = await connection.fetch("SELECT cause FROM acknowledged_causes WHERE by = $1", by)
            return frozenset(row["cause"] for row in rows)

        return await self._postgres.run(work)

    async def acknowledged_orders(self, by: str) -> frozenset[tuple[str, str, str]]:
        """Kind, scope and cause of orders of this guardian that an operator has lifted: they would not be placed."""

        async def work(connection: Connection) -> frozenset[tuple[str, str, str]]:
            rows = await connection.fetch("SELECT kind, scope, cause FROM acknowledged_orders WHERE by = $1", by)
            return frozenset((row["kind"], row["scope"], row["cause"]) for row in rows)

        return await self._postgres.run(work)

    async def pass_over(self, entry_id: str) -> None:
        """An entry that is no command was seen: only the place moves on."""
        await self._postgres.run(lambda connection: control_log.advance(connection, entry_id))

    async def begin_anew(self) -> None:
        """The stream began again (a wipe): its place is at the start, under a new generation."""
        await self._postgres.run(control_log.begin_anew)

    async def unsent(self) -> list[Command]:
        """Commands whose holds are not in the stream yet: whoever wrote them could not publish them."""
        return await self._postgres.run(unsent_holds)


async def hold_or_lift(connection: Connection, command: Command, *, token: str, entry: list[int] | None) -> int | None:
    """Place a hold (None where its cause is acknowledged) or lift some; returns how many were lifted."""
    if command.verb == "resume":
        return await _lift(connection, command, entry)
    given = (command.verb, command.cause, command.by, command.reason, token, entry, is_guardian(command.by))
    return 0 if await connection.fetchval(_PLACE, *given) else None


async def state_of(connection: Connection) -> State:
    """What the holds amount to."""
    return _state({row["kind"] for row in await connection.fetch("SELECT DISTINCT kind FROM holds")})


async def unsent_holds(connection: Connection) -> list[Command]:
    """Commands whose holds are not in the stream yet."""
    rows = await connection.fetch(
        """SELECT kind, cause, by, reason, command FROM holds
            WHERE entry IS NULL AND placed_at < now() - interval '1 second'"""
    )
    return [
        Command(verb=row["kind"], reason=row["reason"], by=row["by"], cause=row["cause"], id=row["command"])
        for row in rows
    ]


async def _carry_out(connection: Connection, command: Command, entry_id: str | None) -> int | None:
    entry = position(entry_id) if entry_id else None
    return await hold_or_lift(connection, command, token=control_log.token(command, entry_id), entry=entry)


async def _lift(connection: Connection, command: Command, entry: list[int] | None) -> int:
    own = command.by if is_guardian(command.by) else ""
    rows = await connection.fetch(_LIFT, own, command.cause, entry)
    if own:  # it says that the cause is gone: the next time it is another one
        await connection.execute(
            "DELETE FROM acknowledged_causes WHERE by = $1 AND ($2 = '' OR cause = $2)", own, command.cause
        )
    for row in rows:
        if not own and is_guardian(row["by"]):
            await connection.execute(_ACKNOWLEDGE, row["cause"], row["by"])
    return len(rows)


def _truth(row: asyncpg.Record) -> Truth:
    holds = msgspec.json.decode(row["holds"], type=tuple[Hold, ...])
    orders = msgspec.json.decode(row["orders"], type=tuple[Order, ...])
    return Truth(_state({hold.kind for hold in holds}), holds, row["cursor"], row["generation"], orders)


def _state(kinds: set[str]) -> State:
    return "halted" if "halt" in kinds else "paused" if kinds else "open"
