"""Processes of their own that spend, as an actor's does: each does what the lines on its socket say, and answers.

`python -m tests.integration.money.racer DATABASE_URL VIDEO_USD DAY_USD DESCRIPTOR ...` forks one for each descriptor.
`one VIDEO USD`: reserve, send and settle one call; answers `granted`, or why not. `forever VIDEO USD`: answers `begun`,
then reserves and releases until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from decimal import Decimal

from schema.money.calls import Refused
from schema.money.ledger import Ledger
from tests.integration.money.conftest import ask, opened


async def _one(ledger: Ledger, video: str, usd: str) -> str:
    asked = ask(usd, video=video)
    answer = await ledger.reserve(asked)
    if isinstance(answer, Refused):
        return answer.why
    await ledger.sent(asked.id, asked.attempt)
    await ledger.settle(asked.id, asked.amount_usd, used={})
    return "granted"


async def _race(database_url: str, video_usd: str, day_usd: str, descriptor: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))

    def say(word: object) -> None:
        writer.write(f"{word}\n".encode())

    async with opened(database_url) as postgres:
        ledger = Ledger(postgres, video_budget_usd=Decimal(video_usd), day_budget_usd=Decimal(day_usd))
        say(os.getpid())
        while line := (await reader.readline()).decode():
            verb, video, usd = line.split()
            if verb == "one":
                say(await _one(ledger, video, usd))
                continue
            say("begun")
            while True:
                asked = ask(usd, video=video)
                await ledger.reserve(asked)
                await ledger.release(asked.id, "again")
    writer.close()


def main(database_url: str, video_usd: str, day_usd: str, *descriptors: str) -> None:
    """Forks them, and waits for their end."""
    for mine in descriptors:
        if os.fork() == 0:
            for other in descriptors:
                if other != mine:
                    os.close(int(other))
            asyncio.run(_race(database_url, video_usd, day_usd, int(mine)))
            os._exit(0)
    for descriptor in descriptors:
        os.close(int(descriptor))
    for _ in descriptors:
        os.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
