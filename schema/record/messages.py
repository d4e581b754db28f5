"""Messages to people on their way: posted once by their source, once per cause and while, so many an hour, then sent.

What is the same again is kept as `repeated`, what is too much as `held back`: both are counted in what is told next,
neither is sent. An alert that is over is told only where it was told that it began. A message is sent at least once to
each address: a process that dies between sending and writing it down lets it be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres, storable

OVER: Final = "normal"
#: What says that there are more alerts than are told.
FLOOD: Final = "flood"
_HOUR_S: Final = 3600.0
_FIRST_WAIT_S, _LONGEST_WAIT_S, _GIVEN_UP_AFTER_S = 15.0, 3600.0, 24 * 3600.0
_KEPT_DAYS: Final = 30
_LOCK: Final = 0x59_54_4D_53

_TOLD: Final = """
SELECT (SELECT count(*) FROM messages WHERE cause = $1 AND level = $2 AND state IN ('due', 'sent') AND at > $3) AS same,
       (SELECT count(*) FROM messages WHERE level <> 'report' AND cause <> 'flood' AND state IN ('due', 'sent')
                                        AND at > $4) AS hour,
       (SELECT level FROM messages WHERE cause = $1 AND state IN ('due', 'sent') ORDER BY at DESC, id DESC LIMIT 1)
           AS before"""

_POST: Final = """
INSERT INTO messages (source, cause, level, title, body, at, state, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $6)
ON CONFLICT (source) DO NOTHING RETURNING id"""

# whoever takes it has until the next time to send it
_TAKE: Final = f"""
UPDATE messages AS m SET tries = tries + 1,
       next_at = $1 + make_interval(secs => least({_LONGEST_WAIT_S}, {_FIRST_WAIT_S} * power(2, least(tries, 10))))
 WHERE id = (SELECT id FROM messages WHERE state = 'due' AND next_at <= $1 ORDER BY next_at, id LIMIT 1
                FOR UPDATE SKIP LOCKED)
RETURNING id, cause, level, title, body, at, delivered, tries, (
       SELECT count(*) FROM messages AS o WHERE o.cause = m.cause AND o.level = m.level AND o.state = 'repeated'
          AND o.id < m.id AND o.id > coalesce((SELECT max(s.id) FROM messages AS s WHERE s.cause = m.cause
                                                  AND s.level = m.level AND s.state = 'sent'), 0)) AS repeats"""

_CURSORS: Final = """
INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, $2, $3)
ON CONFLICT (reader, stream) DO UPDATE SET entry_id = excluded.entry_id"""


class Message(msgspec.Struct, frozen=True):
    """Something to tell. `cause` stays the same while the cause does; `level` is warning, critical, normal, report."""

    source: str
    cause: str
    level: str
    title: str
    body: str
    at: datetime


class Due(msgspec.Struct, frozen=True):
    """A message whose time has come; `repeats` is how often its cause came again since it was last told."""

    id: int
    cause: str
    level: str
    title: str
    body: str
    at: datetime
    delivered: tuple[str, ...]
    tries: int
    repeats: int


class Messages:
    """The rows of messages, and where the reader of streams is."""

    def __init__(self, postgres: Postgres, *, repeat_s: float, per_hour: int) -> None:
        self._postgres, self._repeat_s, self._per_hour = postgres, repeat_s, per_hour

    async def post(
        self, messages: Sequence[Message], *, reader: str = "", cursors: Mapping[str, str] | None = None
    ) -> list[str]:
        """Keep messages, and with them how far a reader has come; returns what became of each, empty if known."""

        async def work(connection: Connection) -> list[str]:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            states = [await self._post(connection, message) for message in messages]
            await connection.executemany(
                _CURSORS, [(reader, stream, entry_id) for stream, entry_id in (cursors or {}).items()]
            )
            return states

        return await self._postgres.run(work)

    async def _post(self, connection: Connection, message: Message) -> str:
        state = await self._state(connection, message)
        posted = await connection.fetchval(
            _POST,
            message.source,
            storable(message.cause),
            message.level,
            storable(message.title),
            storable(message.body),
            message.at,
            state,
        )
        if posted is None:
            return ""
        if state == "held back":
            title = f"more than {self._per_hour} alerts within an hour"
            body = "The others are not told one by one: see ./ytempire status and the console."
            await self._post(connection, Message(f"flood:{message.source}", FLOOD, "critical", title, body, message.at))
        return state

    async def _state(self, connection: Connection, message: Message) -> str:
        if message.level == "report":
            return "due"
        told = await connection.fetchrow(
            _TOLD,
            message.cause,
            message.level,
            message.at - timedelta(seconds=self._repeat_s),
            message.at - timedelta(seconds=_HOUR_S),
        )
        assert told is not None  # noqa: S101 - sub-queries make a row
        if message.level == OVER and told["before"] in (None, OVER):
            return "repeated"
        if told["same"] and told["before"] == message.level:
            return "repeated"
        return "held back" if message.cause != FLOOD and told["hour"] >= self._per_hour else "due"

    async def take(self, now: datetime) -> Due | None:
        """The next that is due; it is due again after a pause, unless it is settled before."""

        async def work(connection: Connection) -> Due | None:
            row = await connection.fetchrow(_TAKE, now)
            return None if row is None else Due(**dict(row) | {"delivered": tuple(row["delivered"])})

        return await self._postgres.run(work)

    async def settle(self, due: Due, now: datetime, *, delivered: Sequence[str], error: str) -> str:
        """What came of sending it: returns its state, which is still `due` where some address did not take it."""
        old = now - due.at > timedelta(seconds=_GIVEN_UP_AFTER_S)
        state = "sent" if not error else "given up" if old else "due"

        async def work(connection: Connection) -> None:
            await connection.execute(
                """UPDATE messages SET state = $2, delivered = $3, error = $4,
                          sent_at = CASE WHEN $2 = 'sent' THEN $5::timestamptz END WHERE id = $1""",
                *(due.id, state, list(delivered), storable(error), now),
            )

        await self._postgres.run(work)
        return state

    async def cursors(self, reader: str) -> dict[str, str]:
        """How far a reader has come, by stream; empty where it never began."""

        async def work(connection: Connection) -> dict[str, str]:
            rows = await connection.fetch("SELECT stream, entry_id FROM cursors WHERE reader = $1", reader)
            return {row["stream"]: row["entry_id"] for row in rows}

        return await self._postgres.run(work)

    async def forget_old(self) -> None:
        """Remove what nobody looks at any more."""

        async def work(connection: Connection) -> None:
            await connection.execute(f"DELETE FROM messages WHERE at < now() - interval '{_KEPT_DAYS} days'")

        await self._postgres.run(work)
