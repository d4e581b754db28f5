"""Publishing, and the end of a delivery: check, publish, delay, acknowledge, in one script for a whole batch.

A settlement that is repeated publishes nothing twice, since its entry is not pending any more; other publications carry
a token. What a consumer does outside Redis is not covered: that needs a key of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

import structlog

from streams.transport.connection import Connection, may_have_run
from streams.transport.lanes import delayed
from streams.transport.port import LATER, Outcome, Publication, Settlement
from streams.transport.scripts import Argument, Scripts, counted

#: Settlements in one script call: a call holds up everybody else for as long as it runs.
_BATCH: Final = 100
#: How long a repeated publish is recognised.
_TOKEN_LIFE_MS: Final = 60_000

log = structlog.get_logger(__name__)


class Settling:
    """Ends the deliveries of one consumer."""

    def __init__(self, connection: Connection, scripts: Scripts, *, consumer: str) -> None:
        self._connection, self._scripts, self._consumer = connection, scripts, consumer

    def settle(self, settlements: Sequence[Settlement]) -> list[Outcome]:
        """One outcome for each, in their order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(settlements), _BATCH):
            outcomes += self._settle(settlements[start : start + _BATCH])
        return outcomes

    def _settle(self, batch: Sequence[Settlement]) -> list[Outcome]:
        unanswered = False

        def failed(error: Exception) -> None:
            nonlocal unanswered
            unanswered = unanswered or may_have_run(error)

        args = [self._consumer, LATER, *(part for settlement in batch for part in _arguments(settlement))]
        statuses = self._connection.call(lambda: self._scripts.settle(args=args), failed=failed)
        return [
            _outcome(settlement, status.decode(errors="replace"), repeated=unanswered)
            for settlement, status in zip(batch, statuses, strict=True)
        ]

    def publish(
        self, publications: Sequence[Publication], token: str | None, *, within_memory: bool, wait_s: float | None
    ) -> list[str]:
        """Appends the events and returns their ids."""
        script = self._scripts.publish_within_memory if within_memory else self._scripts.publish
        args: list[Argument] = [f"published:{token or uuid.uuid4().hex}", _TOKEN_LIFE_MS]
        for publication in publications:
            args += [publication.stream, *counted(publication.fields)]
        return [entry_id.decode() for entry_id in self._connection.call(lambda: script(args=args), wait_s=wait_s)]


def _arguments(settlement: Settlement) -> list[Argument]:
    entry = settlement.entry
    args: list[Argument] = [entry.stream, entry.group, entry.id, *delayed(settlement), len(settlement.publications)]
    for publication in settlement.publications:
        args += [publication.stream, *counted(publication.fields)]
    return args


def _outcome(settlement: Settlement, status: str, *, repeated: bool) -> Outcome:
    """What the script's status means; `repeated`: it may have run once before, without our seeing the answer."""
    if status == "gone":
        # Settled by the first try, or wiped; where it was wiped the record publishes what is missing.
        return "settled" if repeated else "gone"
    if status in ("settled", "lost"):
        return "settled" if status == "settled" else "lost"
    entry = settlement.entry
    log.error(
        "settle.refused",
        entry=f"{entry.stream}/{entry.id}",
        error=status,
        hint="not acknowledged: it is delivered again when its lease is over",
    )
    return "lost"
