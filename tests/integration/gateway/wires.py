"""A way to a server that a test can cut, as when the server is stopped, or freeze, as when its machine hangs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

_PIECE_BYTES = 65_536


class Wire:
    """Carries bytes from a port of its own to another; used as `async with`."""

    def __init__(self, to_port: int) -> None:
        self._to_port, self.port = to_port, 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Self:
        """Take connections."""
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop them."""
        self._flows.set()
        await self.cut()

    async def mend(self) -> None:
        """Take connections, on the same port as before."""
        self._flows.set()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse connections, and drop those there are."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Take connections and bytes, and say nothing any more."""
        self._flows.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers |= {writer, back}
        # at its end the loop cancels what still waits, which the server of streams would take for a fault
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer), return_exceptions=True)
        self._writers -= {writer, back}

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(_PIECE_BYTES):
                await self._flows.wait()
                sink.write(piece)
                await sink.drain()
        finally:
            sink.close()
