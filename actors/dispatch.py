"""Dispatch: admits queued videos by priority and age while there is room, and mirrors the queue for operators.

Admission is committed first and published after; what was committed and not published is swept on the next turn, so a
crash in between loses nothing. It also keeps `waiting` videos moving into the queue, during a halt too: that is
bookkeeping, no work is started by it.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import structlog

from schema import flow
from schema.events import fact as facts
from schema.record.admission import Admitted, Queue
from schema.record.owed import Debts
from schema.record.stops import AdmissionStops
from schema.record.videos import Videos
from schema.telemetry import metrics
from streams import names
from streams.mirror import Mirror
from streams.observer import Observer
from streams.process import Process
from streams.publish import publish

_log = structlog.get_logger(__name__)
_TURN_S = 1.0
_MIRROR_EVERY_TURNS = 5
#: Streams whose entries may mean that there is work to admit, or room for it.
_WAKERS = (names.NOTICES, flow.LAST.stream)


class Dispatch:
    """One turn after the other, each harmless to repeat."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._queue, self._videos = Queue(process.postgres), Videos(process.postgres)
        self._debts = Debts(process.postgres, grace_s=0.0)
        self._limits = process.settings.limits
        self._mirror = Mirror(process.transport, self._queue)
        self._mirrored: object = None
        self._turns = 0
        self._disk_full = False
        self._stops = AdmissionStops(process.postgres)
        self._stopped: tuple[str, ...] = ()

    async def turn(self) -> None:
        """Promote, admit, publish, mirror."""
        self._turns += 1
        age_s = self._limits.age_per_priority_s
        await self._queue.promote(capacity=self._limits.queue_capacity, age_per_priority_s=age_s)
        if self._process.gate.takes() and await self._may_admit():
            most = self._limits.at_once(self._process.mode())
            admitted = await self._queue.admit(most=most, age_per_priority_s=age_s)
            for video in admitted:
                _log.info("video.admitted", video=video.video, admissions=video.admissions)
            await self._go_on({video.video for video in admitted if video.admissions > 1})
        await self._publish(await self._queue.unpublished())
        await self._show()

    async def _go_on(self, videos: set[str]) -> None:
        """Say again what starts the stages of videos that were taken up; integrity heals a crash in between."""
        for debt in await self._debts.owed() if videos else ():
            if debt.video in videos and debt.stage != flow.FIRST.name:
                await asyncio.to_thread(publish, self._process.transport, debt.stream, facts.to_fields(debt.fact))

    async def _publish(self, admitted: tuple[Admitted, ...]) -> None:
        if not admitted:
            return
        for video in admitted:
            now = self._process.clock.now()
            fact = facts.admission(video.video, at=now, traceparent=video.traceparent, number=video.admissions)
            await asyncio.to_thread(
                publish, self._process.transport, flow.ADMITTED_STREAM, facts.to_fields(fact), token=fact.id
            )
        await self._queue.mark_published([video.video for video in admitted])

    async def _show(self) -> None:
        snapshot = await self._mirror.snapshot()
        queued, processing = snapshot
        is_due = self._turns % _MIRROR_EVERY_TURNS == 0
        if snapshot != self._mirrored or is_due:
            await asyncio.to_thread(self._mirror.write, queued, processing)
            self._mirrored = snapshot
        metrics.QUEUED.set(len(queued))
        if is_due or self._turns == 1:  # so many may wait that counting them costs more than the rest of a turn
            metrics.WAITING.set(await self._videos.waiting(most=self._limits.waiting_capacity))
        metrics.IN_HAND.set(await self._queue.in_hand())

    async def _may_admit(self) -> bool:
        """Whether disk and guardians let videos in; says when that changes."""
        stops = await self._stops.standing()
        if (causes := tuple(stop.cause for stop in stops)) != self._stopped:
            self._stopped = causes
            _log.warning("admission.stopped" if causes else "admission.resumed", why=[stop.reason for stop in stops])
        return not stops and await asyncio.to_thread(self._disk_has_room)

    def _disk_has_room(self) -> bool:
        path = Path(self._process.settings.servers.data_dir)
        if not path.exists():
            return True
        usage = shutil.disk_usage(path)
        full = 100 * usage.used / (usage.used + usage.free) > self._limits.disk_usage_percent
        if full != self._disk_full:
            self._disk_full = full
            _log.warning("disk.full" if full else "disk.has_room", limit_percent=self._limits.disk_usage_percent)
        return not full


async def run(process: Process) -> None:
    """Turn when something happened, and every second anyhow, until cancelled."""
    dispatch, wake, loop = Dispatch(process), asyncio.Event(), asyncio.get_running_loop()

    def gate_changed(_state: str) -> None:
        loop.call_soon_threadsafe(wake.set)

    process.gate.on_change(gate_changed)
    observer = Observer(process.transport, _WAKERS, None, block_s=process.settings.servers.block_s)
    watching = asyncio.create_task(_watch(observer, wake))
    try:
        while True:
            await dispatch.turn()
            process.watchdog.consumed()
            try:
                await asyncio.wait_for(wake.wait(), _TURN_S)
            except TimeoutError:
                continue
            wake.clear()
    finally:
        observer.stop()
        watching.cancel()


async def _watch(observer: Observer, wake: asyncio.Event) -> None:
    while True:
        if await asyncio.to_thread(observer.read):
            wake.set()
