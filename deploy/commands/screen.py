"""Shows lines that change: in place on a terminal, one below the other elsewhere, until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text


def follow(lines: Callable[[], Awaitable[Sequence[str]]], every_s: float, console: Console | None = None) -> None:
    """Show what `lines` says, again every `every_s` seconds; Ctrl-C is how one leaves."""
    try:
        asyncio.run(_follow(lines, every_s, console or Console(highlight=False)))
    except KeyboardInterrupt:
        return


async def _follow(lines: Callable[[], Awaitable[Sequence[str]]], every_s: float, console: Console) -> None:
    if not console.is_terminal:
        while True:
            console.print("\n".join(await lines()), markup=False, soft_wrap=True)
            await asyncio.sleep(every_s)
    # a thread of rich's own would draw while we ask
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            live.update(Text("\n".join(await lines()), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(every_s)
