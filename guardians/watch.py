"""The loop of every guardian: read the streams, tick, act.

A guardian ticks at its interval, and at once when an entry arrives that it wants; a tick that fails, or an entry that
cannot be judged, is logged, and the next one comes all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from streams.observer import Observer
from streams.process import Process
from streams.transport.port import Entry

_log = structlog.get_logger(__name__)


async def watch(
    process: Process,
    tick: Callable[[], Awaitable[None]],
    *,
    streams: tuple[str, ...],
    wakes: Callable[[Entry], bool],
) -> None:
    """Tick until cancelled; an entry of `streams` for which `wakes` is true brings the next tick forward."""
    wake = asyncio.Event()
    observer = Observer(process.transport, streams, None, block_s=process.settings.servers.block_s)
    reading = asyncio.create_task(_read(observer, wakes, wake))
    try:
        while True:
            try:
                await tick()
            except Exception:  # noqa: BLE001 - whatever it was, a guardian that stops watching is worse
                _log.exception("guardian.tick_failed", guardian=process.name)
            try:
                await asyncio.wait_for(wake.wait(), process.settings.servers.guardian_tick_s)
            except TimeoutError:
                continue
            wake.clear()
    finally:
        observer.stop()
        reading.cancel()


async def _read(observer: Observer, wakes: Callable[[Entry], bool], wake: asyncio.Event) -> None:
    while True:
        for entry in await asyncio.to_thread(observer.read):
            try:
                if wakes(entry):
                    wake.set()
            except Exception:  # noqa: BLE001 - likewise
                _log.exception("guardian.entry_failed", entry=f"{entry.stream}/{entry.id}")
