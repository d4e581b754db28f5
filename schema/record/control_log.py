"""Which commands were applied, and how far: each once by its id, and the place in stream:control.

A command's id is the token of whoever wrote the record first (command line, HTTP, a guardian), else its entry's id.
Statements for a transaction that somebody else has begun.
"""

from __future__ import annotations

from schema.errors import RefusedError
from schema.events.command import Command
from schema.record.postgres import Connection

#: The reader whose place in stream:control is kept with what was applied.
READER = "control"

_ENTER = """
INSERT INTO control_log (command, verb, by, reason, entry_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (command) DO UPDATE SET entry_id = coalesce(control_log.entry_id, excluded.entry_id)
RETURNING xmax = 0"""

_REFUSE = """
INSERT INTO control_log (command, verb, by, reason, entry_id, error, hint) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (command) DO NOTHING"""

_ADVANCE = """
INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, 'stream:control', $2)
ON CONFLICT (reader, stream) DO UPDATE SET entry_id = excluded.entry_id"""

_BEGIN_ANEW = """
INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, 'stream:control', '0-0')
ON CONFLICT (reader, stream) DO UPDATE SET entry_id = '0-0', generation = cursors.generation + 1"""


def position(entry_id: str) -> list[int]:
    """An entry id as [ms, seq], comparable."""
    ms, _, seq = entry_id.partition("-")
    return [int(ms), int(seq or 0)]


def token(command: Command, entry_id: str | None) -> str:
    """What the command is known by."""
    known_by = command.id or entry_id
    if not known_by:
        raise ValueError("a command that is not in the stream needs an id of its own")
    return known_by


async def enter(connection: Connection, command: Command, entry_id: str | None) -> bool:
    """Note the command; False when it was applied before."""
    return bool(
        await connection.fetchval(_ENTER, token(command, entry_id), command.verb, command.by, command.reason, entry_id)
    )


async def refuse(connection: Connection, command: Command, entry_id: str, error: RefusedError) -> None:
    """Note that a command of the stream was refused, and why."""
    await connection.execute(
        _REFUSE, token(command, entry_id), command.verb, command.by, command.reason, entry_id, str(error), error.hint
    )


async def refusal(connection: Connection, command: Command, entry_id: str) -> RefusedError | None:
    """Why this command was refused when it was met before, if it was."""
    known_by = token(command, entry_id)
    row = await connection.fetchrow("SELECT error, hint FROM control_log WHERE command = $1", known_by)
    return RefusedError(row["error"], hint=row["hint"]) if row and row["error"] is not None else None


async def arrived(connection: Connection, command: Command, entry_id: str) -> None:
    """What was written here first has come to its place in the stream: from now on it may be lifted there."""
    for table in ("holds", "standing_orders"):
        await connection.execute(
            f"UPDATE {table} SET entry = $2 WHERE command = $1 AND entry IS NULL",
            *(token(command, entry_id), position(entry_id)),
        )


async def advance(connection: Connection, entry_id: str) -> None:
    """All up to this entry was applied."""
    await connection.execute(_ADVANCE, READER, entry_id)


async def begin_anew(connection: Connection) -> None:
    """The stream began again (a wipe): its place is at the start, under a new generation."""
    await connection.execute(_BEGIN_ANEW, READER)
    # what was said in the old stream precedes all that the new one says, whatever its ids are
    for table in ("holds", "standing_orders"):
        await connection.execute(f"UPDATE {table} SET entry = '{{0,0}}' WHERE entry IS NOT NULL")


async def place(connection: Connection) -> tuple[str, int]:
    """How far the stream was applied, and in which generation."""
    row = await connection.fetchrow(
        "SELECT entry_id, generation FROM cursors WHERE reader = $1 AND stream = 'stream:control'", READER
    )
    return (row["entry_id"], row["generation"]) if row else ("0-0", 0)
