"""The integrity guardian: what the record says is owed and no stream holds is published again.

At once when a process noticed that Redis was wiped, else every few seconds. It takes no work from anyone: a fact that
is said once too often is only noise.
"""

from __future__ import annotations

import structlog

from guardians.watch import watch
from schema.record.owed import Debts
from schema.telemetry import metrics
from streams import names
from streams.process import WIPED, Process
from streams.rebuild import rebuild
from streams.transport.port import Entry

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

    await watch(process, tick, streams=(names.NOTICES,), wakes=wakes)
