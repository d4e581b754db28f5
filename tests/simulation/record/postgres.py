"""The record's own `Postgres`, waiting and repeating as it does, over tables in memory.

A transaction is one step: nobody sees half of it. Before it and after it time goes by, and there whoever asked may
die: then it was not made, or was made and not heard of. While the server is away nobody gets a connection, and it may
be gone right after a commit, so that a transaction is made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

import msgspec

from schema.clock import Clock
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.simulation.record import audit, claims, gate, money, videos
from tests.simulation.record.statements import carry_out
from tests.simulation.record.tables import Row, Rows, Tables

#: The modules that know the statements.
SUBJECTS = (videos, claims, gate, money, audit)


class Server:
    """The server that all pools of a simulation share."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.tables = Tables(now())
        self.is_away = False

    async def reached(self) -> None:
        """A request is on its way."""

    async def answered(self) -> None:
        """The answer is on its way; raises OSError where it is lost."""


class Connection(AbstractAsyncContextManager["Connection"]):
    """One session; a statement outside of a transaction is one of its own."""

    def __init__(self, server: Server) -> None:
        self._server, self._depth = server, 0
        #: When its transaction began: the time that all of it has.
        self._began_at = server.now()

    async def __aenter__(self) -> Self:
        """It is ours once the server has answered."""
        await self._server.reached()
        if self._server.is_away:
            raise ConnectionRefusedError("the server is away")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is given back."""
        if kind is None:
            await self._server.answered()

    def transaction(self) -> _Transaction:
        """A transaction, or a savepoint inside of one."""
        return _Transaction(self, self._server.tables)

    async def fetch(self, text: str, *arguments: object) -> Rows:
        """The rows."""
        return self._do(text, arguments)

    async def fetchrow(self, text: str, *arguments: object) -> Row | None:
        """The first row."""
        rows = self._do(text, arguments)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: object) -> object:
        """The first column of the first row."""
        rows = self._do(text, arguments)
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, text: str, *arguments: object) -> str:
        """How many rows were touched, as a command's tag says it."""
        return f"DONE {len(self._do(text, arguments))}"

    async def executemany(self, text: str, many: list[tuple[object, ...]]) -> None:
        """One after the other."""
        for arguments in many:
            self._do(text, arguments)

    def _do(self, text: str, arguments: tuple[object, ...]) -> Rows:
        tables = self._server.tables
        given = tuple(_stored(argument) for argument in arguments)
        if self._depth:
            return carry_out(tables, self._began_at, text, given)
        try:
            rows = carry_out(tables, self._server.now(), text, given)
        except BaseException:
            tables.rollback()
            raise
        tables.commit()
        return rows


class _Transaction(AbstractAsyncContextManager[None]):
    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection, self._tables, self._place = connection, tables, 0

    async def __aenter__(self) -> None:
        self._place = self._tables.place()
        if not self._connection._depth:
            self._connection._began_at = self._connection._server.now()
        self._connection._depth += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection._depth -= 1
        if kind is not None:
            self._tables.rollback(self._place)
        elif not self._connection._depth:
            self._tables.commit()


class _Pool:
    def __init__(self, server: Server) -> None:
        self._server = server

    def acquire(self) -> Connection:
        return Connection(self._server)


def over(server: Server, *, process: str = "test", clock: Clock | None = None) -> Postgres:
    """The product's own class, on a pool of ours."""
    postgres = Postgres("postgresql://memory", Servers(), process=process, clock=clock)
    postgres._pool = cast("Any", _Pool(server))
    return postgres


def _stored(value: object) -> object:
    """A document as it is kept: JSON, as the codec of a real session makes it."""
    if isinstance(value, msgspec.Struct) or (isinstance(value, dict) and not isinstance(value, str)):
        return msgspec.json.encode(value)
    if isinstance(value, tuple):
        return msgspec.json.encode(value)
    return value

