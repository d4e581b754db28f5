"""The integrity guardian: what the record says is owed and no stream holds is published again.

At once when a process noticed that Redis was wiped, else every few seconds. It takes no work from anyone: a fact that
is said once too often is only noise. It also keeps the streams small, and exports how much is on them.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from guardians.watch import watch
from schema.record.owed import Debts
from schema.telemetry import metrics
from streams import figures, names
from streams.process import WIPED, Process
from streams.rebuild import rebuild
from streams.transport.port import Entry

_TRIM_EVERY_S: Final = 60.0
#: Silence after which a consumer that has nothing pending loses its name; a living one gets it back when it reads.
_RETIRE_AFTER_S: Final = 3600.0
_log = structlog.get_logger(__name__)


async def run(process: Process) -> None:
    """Watch until cancelled."""
    debts = Debts(process.postgres, grace_s=process.settings.servers.lease_s)
    at_once = Debts(process.postgres, grace_s=0.0)
    wiped = False

    def wakes(entry: Entry) -> bool:
        nonlocal wiped
        wiped = wiped or entry.fields.get(b"type") == WIPED.encode()
        return wiped

    async def tick() -> None:
        nonlocal wiped
        chosen, wiped = (at_once if wiped else debts), False
        published = await rebuild(chosen, process.transport)
        metrics.FACTS_REPUBLISHED.inc(len(published))
        if published:
            _log.warning("integrity.rebuilt", facts=len(published))
        await asyncio.to_thread(_keep_bus, process)

    await watch(process, tick, streams=(names.NOTICES,), wakes=wakes)


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
