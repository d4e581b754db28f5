"""Starts racers (see racer.py) and talks to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.launch.plan import ROOT
from tests.integration.money.conftest import DAY_USD, VIDEO_USD


class Racer:
    """One process that spends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.pid = 0

    async def said(self) -> str:
        """Its next line."""
        return (await self._reader.readline()).decode().strip()

    def tell(self, line: str) -> None:
        """What to do next."""
        self._writer.write(f"{line}\n".encode())

    def signal(self, signum: signal.Signals) -> None:
        """As a person does."""
        os.kill(self.pid, signum)

    def close(self) -> None:
        """Ends it, wherever it is."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)


@asynccontextmanager
async def racers(database_url: str, count: int) -> AsyncIterator[list[Racer]]:
    """So many processes, ready for their first line."""
    pairs = [socket.socketpair() for _ in range(count)]
    theirs = [there.fileno() for _, there in pairs]
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.money.racer"),
        *(database_url, str(VIDEO_USD), str(DAY_USD), *map(str, theirs)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        pass_fds=theirs,
    )
    for _, there in pairs:
        there.close()
    made = [Racer(*await asyncio.open_connection(sock=here)) for here, _ in pairs]
    for racer in made:
        racer.pid = int(await racer.said())
    try:
        yield made
    finally:
        for racer in made:
            racer.close()
        await started.wait()
