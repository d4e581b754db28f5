"""The truth about the gate: a set of holds, the commands that made it, and how far stream:control has been applied.

Whoever writes here first (command line, HTTP, a guardian) gives the command a token, and its entry in the stream is
recognised by it; what redis-cli typed is known by its entry id. Each command applies once. A resume from the stream
lifts only holds that precede it there; one that is written here directly lifts all that are here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from schema.events.command import Command
from schema.record.postgres import Connection, Postgres

State = Literal["open", "paused", "halted"]
OPERATOR = "operator"
#: The reader whose place in stream:control is kept with the holds.
READER = "control"

_PLACE = """
INSERT INTO holds (kind, cause, by, reason, command, entry) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (kind, cause, by) DO UPDATE
   SET reason = excluded.reason, command = excluded.command, entry = excluded.entry, placed_at = now()"""

_LIFT = """
DELETE FROM holds WHERE ($1 = 'operator' OR by = $1) AND ($2 = '' OR cause = $2)
   AND ($3::bigint[] IS NULL OR (entry IS NOT NULL AND entry < $3)) RETURNING kind, cause, by"""


class Hold(msgspec.Struct, frozen=True):
    """One reason why the factory stands still."""

    kind: str
    cause: str
    by: str
    reason: str
    placed_at: datetime


class Truth(msgspec.Struct, frozen=True):
    """What the record says: the state, its holds, and how far the stream has been applied."""

    state: State
    holds: tuple[Hold, ...]
    cursor: str
    generation: int


class Applied(msgspec.Struct, frozen=True):
    """What a command did; `repeated` when it had been applied before."""

    repeated: bool
    lifted: int
    state: State


def position(entry_id: str) -> list[int]:
    """An entry id as [ms, seq], comparable."""
    ms, _, seq = entry_id.partition("-")
    return [int(ms), int(seq or 0)]


class GateRecord:
    """The holds in the record."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def read(self) -> Truth:
        """The gate as the record has it now."""
        return await self._postgres.run(_truth)

    async def apply(self, command: Command, *, entry_id: str | None) -> Applied:
        """Apply a command once: from the stream with its `entry_id`, or directly (None), known by `command.id`."""
        token = command.id or entry_id
        if not token:
            raise ValueError("a command that is not in the stream needs an id of its own")

        async def work(connection: Connection) -> Applied:
            lifted: list[object] = []
            first = await connection.fetchval(
                """INSERT INTO control_log (command, verb, by, reason, entry_id) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (command) DO UPDATE SET entry_id = coalesce(control_log.entry_id, excluded.entry_id)
                RETURNING xmax = 0""",
                *(token, command.verb, command.by, command.reason, entry_id),
            )
            entry = position(entry_id) if entry_id else None
            if not first:
                await connection.execute(
                    "UPDATE holds SET entry = $2 WHERE command = $1 AND entry IS NULL", token, entry
                )
            elif command.verb == "resume":
                lifted = await self._lift(connection, command, entry)
            else:
                await connection.execute(_PLACE, command.verb, command.cause, command.by, command.reason, token, entry)
            if entry_id:
                await _advance(connection, entry_id)
            return Applied(repeated=not first, lifted=len(lifted), state=(await _truth(connection)).state)

        return await self._postgres.run(work)

    async def _lift(self, connection: Connection, command: Command, entry: list[int] | None) -> list[object]:
        rows = await connection.fetch(_LIFT, command.by, command.cause, entry)
        for row in rows:
            if command.by == OPERATOR and row["by"] != OPERATOR:
                await connection.execute(
                    """INSERT INTO acknowledged_causes (cause, by) VALUES ($1, $2)
                    ON CONFLICT (cause, by) DO UPDATE SET acknowledged_at = now()""",
                    *(row["cause"], row["by"]),
                )
        return list(rows)

    async def pass_over(self, entry_id: str) -> None:
        """An entry that is no command was seen: only the place moves on."""
        await self._postgres.run(lambda connection: _advance(connection, entry_id))

    async def begin_anew(self) -> None:
        """The stream began again (a wipe): its place is at the start, under a new generation."""

        async def work(connection: Connection) -> None:
            await connection.execute(
                """INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, 'stream:control', '0-0')
                ON CONFLICT (reader, stream) DO UPDATE SET entry_id = '0-0', generation = cursors.generation + 1""",
                READER,
            )
            # what was held in the old stream precedes all that the new one says, whatever its ids are
            await connection.execute("UPDATE holds SET entry = '{0,0}' WHERE entry IS NOT NULL")

        await self._postgres.run(work)

    async def unsent(self) -> list[Command]:
        """Commands whose holds are not in the stream yet: whoever wrote them could not publish them."""

        async def work(connection: Connection) -> list[Command]:
            rows = await connection.fetch(
                """SELECT kind, cause, by, reason, command FROM holds
                    WHERE entry IS NULL AND placed_at < now() - interval '1 second'"""
            )
            return [
                Command(verb=row["kind"], reason=row["reason"], by=row["by"], cause=row["cause"], id=row["command"])
                for row in rows
            ]

        return await self._postgres.run(work)


async def _truth(connection: Connection) -> Truth:
    rows = await connection.fetch("SELECT kind, cause, by, reason, placed_at FROM holds ORDER BY placed_at")
    place = await connection.fetchrow(
        "SELECT entry_id, generation FROM cursors WHERE reader = $1 AND stream = 'stream:control'", READER
    )
    holds = tuple(Hold(row["kind"], row["cause"], row["by"], row["reason"], row["placed_at"]) for row in rows)
    kinds = {hold.kind for hold in holds}
    state: State = "halted" if "halt" in kinds else "paused" if kinds else "open"
    return Truth(state, holds, place["entry_id"] if place else "0-0", place["generation"] if place else 0)


async def _advance(connection: Connection, entry_id: str) -> None:
    await connection.execute(
        """INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, 'stream:control', $2)
        ON CONFLICT (reader, stream) DO UPDATE SET entry_id = excluded.entry_id""",
        *(READER, entry_id),
    )
