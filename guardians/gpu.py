"""The gpu guardian of one host: memory, utilisation, temperature and encoder sessions of its cards, and what follows.

Little free memory: memory is asked back from the host's render processes, and GPU jobs are throttled; at the limit no
video is admitted. High utilisation throttles too. What runs is never touched, and what was held back goes on when the
figures were normal for a while. A card that is lost holds nothing back, since films are then rendered on the CPU; one
that cannot be read leaves things as they are. Without a card it says so once, and looks again once a minute.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import structlog

from guardians.cards import Latch, Utilization, export, in_words, memory_level, which
from guardians.nvml import Nvml, Reading, Trouble
from guardians.throttle import Throttle
from guardians.watch import Actions, Level, export_limits, watch
from schema.events.notice import GPU_OUT_OF_MEMORY, GPU_RELEASE
from schema.record.stops import AdmissionStops
from schema.telemetry import metrics
from streams import names
from streams.process import Process
from streams.transport.port import Entry

MEMORY: Final = "gpu_memory"
UTILIZATION: Final = "gpu_utilization"
_RELEASE_EVERY_S: Final = 30.0
_LOOK_FOR_CARDS_S: Final = 60.0
_DRIVER_PATIENCE_S: Final = 10.0
_NORMAL: Final = "the figures have been normal for a while"
_log = structlog.get_logger(__name__)


class GpuGuardian:
    """What is known of the cards of this host from one tick to the next."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits, self._host = process, process.settings.limits, socket.gethostname()
        self._nvml, self._actions, self._stops = Nvml(), Actions(process), AdmissionStops(process.postgres)
        self._throttles = {
            cause: Throttle(process, cause=cause, host=self._host, jobs=self._limits.gpu_jobs)
            for cause in (MEMORY, UTILIZATION)
        }
        self._stop, self._low, self._busy = (Latch(self._limits.gpu_calm_s) for _ in range(3))
        self._utilization = Utilization(self._limits)
        self._busy_level: Level = "normal"
        self._lost: dict[int | None, str] = {}
        self._asking: asyncio.Task[Reading] | None = None
        self._had_cards: bool | None = None
        self._out_of_memory = ""
        self._keeps = True  # rows that a former process of this guardian left
        self._next_look_s = self._next_release_s = 0.0
        export_limits(
            process.name,
            "ytempire_gpu_utilization_ratio",
            warning=self._limits.gpu_utilization_warning_percent / 100,
            critical=self._limits.gpu_utilization_critical_percent / 100,
        )

    def wakes(self, entry: Entry) -> bool:
        """Whether a render process of this host had no memory left."""
        said = {name.decode(errors="replace"): text.decode(errors="replace") for name, text in entry.fields.items()}
        if said.get("type") != GPU_OUT_OF_MEMORY or said.get("host", self._host) != self._host:
            return False
        self._out_of_memory = said.get("reason") or f"{said.get('by', 'a render process')} had no GPU memory left"
        return True

    async def tick(self) -> None:
        """Look, export, act."""
        await self._actions.flush()
        now_s = self._process.clock.monotonic_s()
        if self._had_cards is False and now_s < self._next_look_s and not self._out_of_memory and not self._keeps:
            return
        reading = await self._read()
        export(reading, self._limits)
        await self._tell_lost(reading, now_s)
        await self._judge(reading, now_s, stays=any(trouble.kind == "failing" for trouble in reading.troubles))
        await self._keep(now_s)

    async def _read(self) -> Reading:
        """The cards; a driver that hangs is asked once, and waited for in the background."""
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._nvml.read))
        await asyncio.wait({self._asking}, timeout=_DRIVER_PATIENCE_S)
        if not self._asking.done():
            return Reading(troubles=(Trouble("failing", f"no answer within {_DRIVER_PATIENCE_S:g} s"),))
        asked, self._asking = self._asking, None
        return asked.result()

    async def _tell_lost(self, reading: Reading, now_s: float) -> None:
        """Says what is not there, once, and what is there again."""
        troubles = {trouble.card: trouble for trouble in reading.troubles}
        if self._had_cards is None and None in troubles and troubles[None].kind == "absent":
            _log.info("gpu.none", reason=troubles[None].reason, looks_again_s=_LOOK_FOR_CARDS_S)
        if reading.cards and not self._had_cards:
            _log.info("gpu.cards", cards=[f"{card.name}, {card.total_mb} MB" for card in reading.cards])
        if None in troubles and troubles[None].kind == "absent" and not self._had_cards:
            self._had_cards, self._next_look_s = False, now_s + _LOOK_FOR_CARDS_S
            return
        self._had_cards = True
        for card, trouble in troubles.items():
            if card not in self._lost and trouble.kind != "out_of_memory":
                await self._say("gpu.lost", trouble.kind, f"{which(card)}: {trouble.reason}", level="critical")
                self._lost[card] = trouble.reason
        for card in [card for card in self._lost if card not in troubles and reading.cards]:
            del self._lost[card]
            await self._say("gpu.back", "answers", f"{which(card)} answers again", level="normal")

    async def _judge(self, reading: Reading, now_s: float, *, stays: bool) -> None:
        """Turns the latches, asks memory back, tells a change of utilisation; where not all is known, all `stays`."""
        levels = {card.index: memory_level(card, self._limits) for card in reading.cards}
        reasons = {card.index: in_words(card, self._limits) for card in reading.cards}
        for trouble in reading.troubles:
            if trouble.kind == "out_of_memory":
                index = -1 if trouble.card is None else trouble.card
                levels[index], reasons[index] = "critical", f"{which(trouble.card)}: {trouble.reason}"
        low = [reasons[index] for index, level in levels.items() if level != "normal"]
        if self._out_of_memory:
            low, self._out_of_memory = [*low, self._out_of_memory], ""
            self._next_release_s = now_s
        full = [reasons[index] for index, level in levels.items() if level == "critical"]
        self._low.update("; ".join(low), now_s=now_s, stays=stays)
        self._stop.update("; ".join(full), now_s=now_s, stays=stays or bool(low))
        await self._judge_utilization(reading, now_s, stays=stays)
        if low and now_s >= self._next_release_s:
            self._next_release_s = now_s + _RELEASE_EVERY_S
            await self._say(GPU_RELEASE, MEMORY, "; ".join(low), level="critical" if full else "warning")

    async def _judge_utilization(self, reading: Reading, now_s: float, *, stays: bool) -> None:
        level, reason = self._utilization.judge(reading)
        above = f"{reason}, above {self._limits.gpu_utilization_critical_percent:g}%"
        self._busy.update(above if level == "critical" else "", now_s=now_s, stays=stays)
        if level != self._busy_level:
            self._busy_level = level
            await self._say("gpu.level", UTILIZATION, reason, level=level)

    async def _keep(self, now_s: float) -> None:
        """Brings record and orders to what is held back, and says what changed."""
        full = self._stop.reason
        if full or self._keeps:
            kept = await self._stops.keep(self._process.name, self._host, {MEMORY: full} if full else {})
            self._keeps = bool(full)
            for stop in kept.placed:
                await self._say("gpu.admission_stopped", stop.cause, stop.reason)
            for stop in kept.lifted:
                await self._say("gpu.admission_resumed", stop.cause, f"{_NORMAL}: {stop.reason}", level="normal")
        for cause, latch in ((MEMORY, self._low), (UTILIZATION, self._busy)):
            if not self._had_cards and not latch.reason and not self._throttles[cause].given:
                continue  # a machine that never had a card has no order to lift
            if await self._throttles[cause].set(latch.reason, now_s=now_s):
                if latch.reason:
                    await self._say("gpu.throttled", cause, latch.reason)
                else:
                    await self._say("gpu.throttle_lifted", cause, _NORMAL, level="normal")
        metrics.ADMISSION_STOPPED.labels(MEMORY).set(1 if full else 0)
        metrics.GPU_JOBS_LIMIT.clear()
        if self._low.reason or self._busy.reason:
            metrics.GPU_JOBS_LIMIT.labels(self._host).set(self._limits.gpu_jobs)

    async def _say(self, type_: str, cause: str, reason: str, *, level: str = "critical") -> None:
        action = {"gpu.lost": _LOST_ACTION, "gpu.level": "Queue throttling"}.get(type_, "") if level != "normal" else ""
        await self._actions.say(type_, cause=cause, reason=reason, level=level, action=action, host=self._host)


_LOST_ACTION: Final = "Films are rendered on the CPU meanwhile: look for Xid errors in the kernel's log"


async def run(process: Process) -> None:
    """Watch until cancelled."""
    guardian = GpuGuardian(process)
    await watch(process, guardian.tick, streams=(names.NOTICES,), wakes=guardian.wakes)
