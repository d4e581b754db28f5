"""The stuck guardian: attempts whose worker fell silent, attempts over their limit, stages that nobody comes to.

A dead worker's entry is taken over by the bus, and its stage by the claim; where that did not happen within a lease,
the fact that starts the stage is published again. A worker ends what is over its limit itself; where it cannot, the
attempt is ended here, as a failure, and a newer one may begin; the last one fails the video with its reason. A worker
that is inside its limit is never disturbed, and while the gate is shut no clock runs. It ends no process: one that
hangs finds its attempt gone and ends itself.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

import structlog

from guardians.watch import Actions, export_limits, watch
from schema.events import fact as facts
from schema.events import notice
from schema.events.fact import Fact
from schema.flow import LAST
from schema.record.overdue import Attempt, Overdue, limit_s
from schema.record.owed import Debts, Owed
from schema.record.refusals import Refusals
from schema.telemetry import metrics
from streams import names
from streams.process import Process
from streams.publish import publish

SILENT: Final = "dead_lease"
LATE: Final = "over_limit"
LAST_RESORT: Final = "last_resort"
_log = structlog.get_logger(__name__)


class StuckGuardian:
    """What was called again already, from one tick to the next."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits = process, process.settings.limits
        self._lease_s = process.settings.servers.lease_s
        self._overdue, self._actions = Overdue(process.postgres), Actions(process)
        self._refusals = Refusals(process.postgres)
        self._silent_debts = Debts(process.postgres, grace_s=self._lease_s)
        self._old_debts = Debts(process.postgres, grace_s=self._limits.last_resort_s)
        self._called: set[tuple[str, str, int]] = set()
        self._last_called_s: dict[tuple[str, str], float] = {}
        export_limits(process.name, SILENT, critical=self._lease_s)
        export_limits(process.name, LAST_RESORT, critical=self._limits.last_resort_s)

    async def tick(self) -> None:
        """Look at all that runs; nothing while the gate is shut."""
        await self._actions.flush()
        if not self._process.gate.takes():
            return
        running = await self._overdue.running(steady_s=self._lease_s)
        silent = [attempt for attempt in running if attempt.silent_s > self._lease_s]
        late = [attempt for attempt in running if attempt.silent_s <= 0 and attempt.running_s > self._most_s(attempt)]
        metrics.STUCK_ATTEMPTS.labels(SILENT).set(len(silent))
        metrics.STUCK_ATTEMPTS.labels(LATE).set(len(late))
        self._called &= {_key(attempt) for attempt in running}
        await self._call_silent([attempt for attempt in silent if _key(attempt) not in self._called])
        for attempt in late:
            await self._end(attempt)
        await self._last_resort(running)

    def _most_s(self, attempt: Attempt) -> float:
        """Its limit, and the grace in which its worker ends it."""
        return limit_s(attempt) + self._limits.hang_grace_s

    async def _call_silent(self, silent: list[Attempt]) -> None:
        """Publishes again what starts the stages of attempts whose worker fell silent, once for each attempt."""
        if not silent:
            return
        debts = {(debt.video, debt.stage): debt for debt in await self._silent_debts.owed()}
        for attempt in silent:
            if (debt := debts.get((attempt.video, attempt.stage))) is not None:
                await self._publish(debt.stream, debt.fact)
                self._called.add(_key(attempt))
                reason = f"{attempt.worker} was not heard of for {attempt.silent_s:.1f} s after its lease ran out"
                await self._say("stuck.called_again", SILENT, reason, debt)

    async def _end(self, attempt: Attempt) -> None:
        """Ends an attempt that its worker cannot end."""
        limit, last = limit_s(attempt), attempt.failures + 1 >= self._limits.max_attempts
        reason = f"timed_out: attempt {attempt.number} of {attempt.stage} took longer than its limit of {limit:g} s"
        if last:
            reason += f" (after {attempt.failures + 1} attempts)"
        ended = await self._overdue.time_out(attempt, limit_s=self._most_s(attempt), last=last, reason=reason)
        if ended is None:
            return
        metrics.STAGE_ATTEMPTS.labels(attempt.stage, "timed_out").inc()
        if ended.failed is not None:
            await self._give_up(attempt, ended.failed)
        else:
            for debt in await Debts(self._process.postgres, grace_s=0.0).owed():
                if (debt.video, debt.stage) == (attempt.video, attempt.stage):
                    await self._publish(debt.stream, debt.fact)
        type_ = "stuck.failed" if last else "stuck.retried"
        reason = f"{reason}; {attempt.worker} did not end it"
        await self._actions.say(type_, cause=LATE, reason=reason, video=attempt.video, stage=attempt.stage)

    async def _give_up(self, attempt: Attempt, failed: Fact) -> None:
        """The end of the video, for all to know, and the event that it came from among the dead letters."""
        await self._publish(LAST.stream, failed)
        stream, _, entry_id = attempt.entry.partition("/")
        hint = "its worker hangs: see its log"
        await self._refusals.note("dead", stream=stream, entry_id=entry_id, error=failed.reason, hint=hint)
        fields = {name.encode(): text.encode() for name, text in facts.to_fields(failed).items()}
        letter = notice.rejection(failed.reason, hint, stream, entry_id, fields)
        await asyncio.to_thread(publish, self._process.transport, names.DEAD, letter)

    async def _last_resort(self, running: list[Attempt]) -> None:
        """Calls stages again that could begin long since, where nobody is at work on such a stage."""
        since_s, now_s = self._limits.last_resort_s, self._process.clock.monotonic_s()
        if await self._overdue.unheld_s() < since_s:
            return
        busy = {attempt.stage for attempt in running if attempt.silent_s <= 0}
        debts = {(debt.video, debt.stage): debt for debt in await self._old_debts.owed() if debt.stage not in busy}
        self._last_called_s = {key: at_s for key, at_s in self._last_called_s.items() if key in debts}
        for key, debt in debts.items():
            if now_s - self._last_called_s.get(key, -math.inf) >= since_s:
                self._last_called_s[key] = now_s
                await self._publish(debt.stream, debt.fact)
                reason = f"{debt.stage} could begin for {since_s:g} s and nobody is at work on it"
                await self._say("stuck.called_again", LAST_RESORT, reason, debt)

    async def _publish(self, stream: str, fact: Fact) -> None:
        await asyncio.to_thread(publish, self._process.transport, stream, facts.to_fields(fact))

    async def _say(self, type_: str, cause: str, reason: str, debt: Owed) -> None:
        await self._actions.say(type_, cause=cause, reason=reason, video=debt.video, stage=debt.stage)


def _key(attempt: Attempt) -> tuple[str, str, int]:
    return attempt.video, attempt.stage, attempt.number


async def run(process: Process) -> None:
    """Watch until cancelled."""
    await watch(process, StuckGuardian(process).tick)
