"""Publishes again what the record says is owed and no stream holds; harmless twice, or on two machines at once.

A fact counts as held when its video is pending for the group, not yet delivered to it, or in its lane. Whether the
work behind it is alive is not asked here: the claim decides that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from schema import flow
from schema.events import fact as facts
from schema.record.owed import Debts, Owed
from streams import names
from streams.publish import publish
from streams.transport.port import Transport

_log = structlog.get_logger(__name__)


async def rebuild(debts: Debts, transport: Transport) -> list[Owed]:
    """Publish every owed fact that its group does not hold; returns those."""
    by_stage: dict[str, list[Owed]] = defaultdict(list)
    for debt in await debts.owed():
        by_stage[debt.stage].append(debt)
    published: list[Owed] = []
    for stage, debts_of_stage in by_stage.items():
        held = await asyncio.to_thread(_videos_held, transport, stage)
        for debt in debts_of_stage:
            if debt.video not in held:
                await asyncio.to_thread(publish, transport, debt.stream, facts.to_fields(debt.fact))
                _log.warning("fact.republished", video=debt.video, stage=debt.stage, stream=debt.stream)
                published.append(debt)
    return published


def _videos_held(transport: Transport, stage: str) -> set[str]:
    subscription = names.stage_subscription(flow.STAGE[stage])
    transport.ensure_groups(subscription)
    return {entry.fields.get(b"video", b"").decode(errors="replace") for entry in transport.held(subscription)}
