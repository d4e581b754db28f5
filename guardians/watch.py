"""The loop of every guardian: read the streams, tick, act, and say on stream:notices what was done and why.

A guardian ticks at its interval, and at once when an entry arrives that it wants; a tick that fails, or an entry that
cannot be judged, is logged, and the next one comes all the same. The time of the last tick that went well is a metric:
a guardian that died, or that hangs, is itself an alert. What it did is done whether or not Redis hears of it; while
Redis is away its notices are kept, up to a bound, and said when it is back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Literal, get_args

import structlog

from schema.events import notice
from schema.events.fact import stamp
from schema.events.notice import Notice
from schema.telemetry import metrics
from streams import names
from streams.observer import Observer
from streams.process import Process
from streams.publish import publish
from streams.transport.port import BusUnavailableError, Entry

#: Notices kept while Redis is away; older ones are then only in the log.
_KEPT: Final = 1000
#: How long one notice waits for Redis before it is kept.
_PATIENCE_S: Final = 1.0
_log = structlog.get_logger(__name__)

Level = Literal["normal", "warning", "critical"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)


def level_of(value: float, *, warning: float, critical: float) -> Level:
    """What a figure is that is better the smaller it is; at a limit it is still the better of the two."""
    return "critical" if value > critical else "warning" if value > warning else "normal"


def export_limits(guardian: str, figure: str, *, warning: float | None = None, critical: float | None = None) -> None:
    """Shows the limits of a figure beside its value."""
    for name, limit in (("warning", warning), ("critical", critical)):
        if limit is not None:
            metrics.GUARDIAN_LIMIT.labels(guardian, figure, name).set(limit)


class Actions:
    """What a guardian did, as log lines, as a metric, and as events with their reasons."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._unsaid: deque[Notice] = deque(maxlen=_KEPT)

    async def say(
        self,
        type_: str,
        *,
        cause: str,
        reason: str,
        video: str = "",
        stage: str = "",
        level: str = "",
        action: str = "",
        host: str = "",
    ) -> None:
        """One thing that was done; `cause` is a word, `reason` a sentence."""
        said = Notice(
            type=type_,
            at=stamp(self._process.clock.now()),
            by=self._process.name,
            video=video,
            stage=stage,
            reason=reason,
            cause=cause,
            level=level,
            action=action,
            host=host,
        )
        fields = {name: text for name, text in notice.to_fields(said).items() if name not in ("type", "at", "by")}
        _log.warning(type_, **fields)
        metrics.GUARDIAN_ACTIONS.labels(self._process.name, type_).inc()
        self._unsaid.append(said)
        await self.flush()

    async def flush(self) -> None:
        """Says what could not be said before."""
        while self._unsaid:
            said = self._unsaid[0]
            try:
                await asyncio.to_thread(self._publish, said)
            except BusUnavailableError:
                return
            if self._unsaid and self._unsaid[0] is said:
                self._unsaid.popleft()

    def _publish(self, said: Notice) -> None:
        publish(self._process.transport, names.NOTICES, notice.to_fields(said), wait_s=_PATIENCE_S)


async def watch(
    process: Process,
    tick: Callable[[], Awaitable[None]],
    *,
    streams: tuple[str, ...] = (),
    wakes: Callable[[Entry], bool] = lambda _entry: False,
) -> None:
    """Tick until cancelled; an entry of `streams` for which `wakes` is true brings the next tick forward."""
    wake = asyncio.Event()
    observer = Observer(process.transport, streams, None, block_s=process.settings.servers.block_s) if streams else None
    reading = asyncio.create_task(_read(observer, wakes, wake)) if observer is not None else None
    try:
        while True:
            try:
                await tick()
                metrics.GUARDIAN_LAST_TICK.labels(process.name).set(process.clock.now().timestamp())
                process.watchdog.consumed()
            except Exception:  # noqa: BLE001 - whatever it was, a guardian that stops watching is worse
                _log.exception("guardian.tick_failed", guardian=process.name)
            try:
                await asyncio.wait_for(wake.wait(), process.settings.servers.guardian_tick_s)
            except TimeoutError:
                continue
            wake.clear()
    finally:
        if observer is not None and reading is not None:
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
