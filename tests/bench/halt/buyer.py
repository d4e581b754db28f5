"""`python -m tests.bench.halt.buyer FOLDER LOOPS`: buys from the fakes without end, so many orders at once.

The way is the product's own: claim, reserve, sent, the call, settle. No two orders are alike. A refusal because of a
halt is asked again at once, so that money is tried throughout every halt.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import uuid
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import msgspec

from actors.providers import configured
from actors.providers.ports import Adapter, ScriptOrder, SearchOrder
from actors.providers.purchase import Buy, Purchases
from schema.artifacts import Artifacts
from schema.documents import Brief
from schema.record.postgres import Postgres
from schema.settings.environment import Settings, read
from streams.interrupts import Halted

#: The stage, running, for which each process buys; the bench has made its row.
VIDEO, STAGE = "v{}", "script"
#: Of so many loops of a process one buys scripts, whose client costs far more than the ledger does.
_A_WRITER_IN: Final = 8
_AGAIN_S: Final = 0.004
_NO_LIMIT: Final = 10**9


async def _buy(buy: Buy, adapter: Adapter[Any, Any], number: int) -> None:
    while True:
        words = uuid.uuid4().hex
        order: msgspec.Struct = SearchOrder(words, "photo", "landscape", 1)
        if number % _A_WRITER_IN == 0:
            order = ScriptOrder(Brief(words, length_s=30.0))
        folder = Path(mkdtemp(dir="."))
        try:
            await buy(adapter, order, folder)
        except Halted:
            await asyncio.sleep(_AGAIN_S)
        finally:
            shutil.rmtree(folder)


async def _run(video: str, loops: int) -> None:
    settings = read()
    limits = msgspec.structs.replace(settings.limits, pexels_requests_per_hour=_NO_LIMIT)
    postgres = Postgres(settings.servers.database_address, settings.servers, process="buyer")
    await postgres.open()
    shop = Purchases(postgres, Artifacts("artifacts"), Settings(servers=settings.servers, limits=limits))
    buy = shop.buyer(video, STAGE, 1, checkpoint=_never)
    writer = configured.writer("openai", settings.providers, economy=False)
    finder = configured.finder("pexels", settings.providers, economy=False)
    await asyncio.gather(
        *(_buy(buy, writer if number % _A_WRITER_IN == 0 else finder, number) for number in range(loops))
    )


def _never() -> None:
    """The gate of a process may be late; the record alone must do."""


def main(folder: str, video: str, loops: str) -> None:
    """Buy until ended."""
    os.chdir(folder)
    asyncio.run(_run(video, int(loops)))


if __name__ == "__main__":
    main(*sys.argv[1:])
