"""The integrity guardian: the record against itself, its streams, its keys and its films; and Redis rebuilt from it.

What the record says is owed and no stream holds is published again: at once when a process noticed that Redis was
wiped, else every few seconds. It takes no work from anyone: a fact that is said once too often is only noise. Holds and
modes need no rebuilding, since every process reads them in the record. Contradictions are mended where that is safe,
quarantined where it is not, else said; those that only a look at every row can find are looked for seldom, and at once
when `type integrity.check` is said on stream:notices. It also ends what no attempt will end (reservations, idle
sessions of ours), keeps the streams small, and exports how much is on them. While Redis is away it waits, record and
all.
"""

from __future__ import annotations

import asyncio
from typing import Final

from guardians.checks.films import FilmCheck
from guardians.checks.keys import KeysCheck
from guardians.checks.report import Report
from guardians.watch import watch
from schema.events.notice import WIPED
from schema.money.abandoned import Abandoned
from schema.money.audit import MoneyAudit
from schema.record.audit import Audit
from schema.record.owed import Debts
from schema.telemetry import metrics
from streams import figures, names
from streams.process import Process
from streams.rebuild import rebuild
from streams.transport.port import Entry

#: Said by anybody on stream:notices: look at everything now.
CHECK: Final = "integrity.check"
_TRIM_EVERY_S: Final = 60.0
#: Silence after which a consumer that has nothing pending loses its name; a living one gets it back when it reads.
_RETIRE_AFTER_S: Final = 3600.0


class IntegrityGuardian:
    """When which look is due."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits = process, process.settings.limits
        self._debts = Debts(process.postgres, grace_s=process.settings.servers.lease_s)
        self._at_once = Debts(process.postgres, grace_s=0.0)
        self._audit, self._money = Audit(process.postgres), MoneyAudit(process.postgres)
        self._abandoned, self._report = Abandoned(process.postgres), Report(process)
        self._films, self._keys = FilmCheck(process, self._report), KeysCheck(process, self._report)
        self._wiped = self._asked = False
        self._next_s = self._next_full_s = 0.0

    def wakes(self, entry: Entry) -> bool:
        """Whether Redis was wiped, or somebody wants everything to be looked at."""
        said = entry.fields.get(b"type")
        self._wiped = self._wiped or said == WIPED.encode()
        self._asked = self._asked or said == CHECK.encode()
        return self._wiped or self._asked

    async def tick(self) -> None:
        """Rebuild, then look at what is due."""
        await self._rebuild()
        await self._report.flush()
        now_s, asked = self._process.clock.monotonic_s(), self._asked
        self._asked = False
        if asked or now_s >= self._next_s:
            self._next_s = now_s + self._limits.audit_s
            await self._look()
        elif self._keys.suspect:
            await self._keys.look()
        if asked or now_s >= self._next_full_s:
            self._next_full_s = now_s + self._limits.full_audit_s
            await self._look_at_everything()
        await self._films.look()
        await asyncio.to_thread(_keep_bus, self._process)

    async def _rebuild(self) -> None:
        wiped, self._wiped = self._wiped, False
        published = await rebuild(self._at_once if wiped else self._debts, self._process.transport)
        if wiped:
            await self._keys.restore()
        metrics.FACTS_REPUBLISHED.inc(len(published))
        if published or wiped:
            why = "Redis was wiped" if wiped else "no stream held them"
            reason = f"{len(published)} facts were published again: {why}"
            await self._report.said("integrity.rebuilt", "wiped" if wiped else "owed", reason)

    async def _look(self) -> None:
        """What costs a few index probes."""
        await self._report.repaired(await self._audit.mend())
        await self._report.repaired(await self._money.implausible())
        await self._report.repaired(await self._audit.close_idle_sessions(self._limits.idle_session_s))
        if turned := await self._abandoned.turn():
            reason = f"{turned} reservations of attempts that are over: released, or unknown where they were sent"
            await self._report.said("integrity.repaired", "abandoned_reservations", reason)
        await self._keys.look()

    async def _look_at_everything(self) -> None:
        """What reads every row."""
        for video in await self._audit.never_finished():
            reason = "completed, but its last stage was never done"
            await self._films.quarantine(video, reason, check="never_finished")
        mended, stands = await self._money.contradictions()
        await self._report.repaired(mended)
        await self._report.found("money", stands)


async def run(process: Process) -> None:
    """Watch until cancelled."""
    guardian = IntegrityGuardian(process)
    await watch(process, guardian.tick, streams=(names.NOTICES,), wakes=guardian.wakes)


def _keep_bus(process: Process) -> None:
    """Exports the figures of the bus, and once a minute removes what nobody needs any more."""
    transport, subscriptions = process.transport, tuple(names.SUBSCRIPTIONS.values())
    figures.export(transport, subscriptions)
    retention_s = process.settings.servers.retention_days * 24 * 3600
    removed = transport.trim(subscriptions, names.UNREAD, retention_s=retention_s, every_s=_TRIM_EVERY_S)
    if removed is None:
        return
    metrics.ENTRIES_TRIMMED.inc(removed)
    for subscription in subscriptions:
        transport.retire(subscription, _RETIRE_AFTER_S)
