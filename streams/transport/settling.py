"""Publishing, and the end of a delivery: check, publish, delay, acknowledge, in one script for a whole batch.

A settlement that is repeated publishes nothing twice, since its entry is not pending any more; other publications carry
a token. An event of thousands of fields is more than a script can pass on: it is appended by a command of its own, and
may be there twice. What a consumer does outside Redis is not covered: that needs a key of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import msgpack
import msgspec
import structlog

from streams.transport.connection import Argument, Connection, may_have_run
from streams.transport.lanes import delayed
from streams.transport.port import LATER, Outcome, Publication, Settlement
from streams.transport.scripts import SCRIPT_MAX_FIELDS, Scripts, counted

#: Settlements in one script call: a call holds up everybody else for as long as it runs.
_BATCH: Final = 100
#: How long a repeated publish is recognised.
_TOKEN_LIFE_MS: Final = 60_000

log = structlog.get_logger(__name__)


class Settling:
    """Ends the deliveries of one consumer."""

    def __init__(self, connection: Connection, scripts: Scripts, *, consumer: str) -> None:
        self._connection, self._scripts, self._consumer = connection, scripts, consumer
        self._calls = itertools.count()

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

        places: dict[tuple[str, str], list[int]] = {}
        for place, settlement in enumerate(batch):
            places.setdefault((settlement.entry.stream, settlement.entry.group), []).append(place)
        packed: list[object] = []
        for (stream, group), of_stream in places.items():
            packed += (stream, group, len(of_stream))
            for place in of_stream:
                _add(packed, self._without_large(batch[place]))
        args: list[Argument] = [self._consumer, LATER, msgpack.packb(packed, use_bin_type=False)]
        refusals = self._connection.call(lambda: self._scripts.settle(args), failed=failed)
        in_order = [place for of_stream in places.values() for place in of_stream]
        outcomes: list[Outcome] = ["settled"] * len(batch)
        for number, status in zip(refusals[::2], refusals[1::2], strict=True):
            place = in_order[number - 1]
            outcomes[place] = _outcome(batch[place], status.decode(errors="replace"), repeated=unanswered)
        return outcomes

    def publish(
        self, publications: Sequence[Publication], token: str | None, *, within_memory: bool, wait_s: float | None
    ) -> list[str]:
        """Appends the events and returns their ids."""
        if any(_large(publication) for publication in publications):
            return [self._append(publication, wait_s) for publication in publications]
        script = self._scripts.publish_within_memory if within_memory else self._scripts.publish
        args: list[Argument] = [f"published:{token or f'{self._consumer}/{next(self._calls)}'}", _TOKEN_LIFE_MS]
        for publication in publications:
            args += [publication.stream, *counted(publication.fields)]
        return [entry_id.decode() for entry_id in self._connection.call(lambda: script(args=args), wait_s=wait_s)]

    def _without_large(self, settlement: Settlement) -> Settlement:
        """What is left for the script once the large events are appended."""
        if not any(_large(publication) for publication in settlement.publications):
            return settlement
        for publication in settlement.publications:
            if _large(publication):
                self._append(publication, None)
        small = tuple(publication for publication in settlement.publications if not _large(publication))
        return msgspec.structs.replace(settlement, publications=small)

    def _append(self, publication: Publication, wait_s: float | None) -> str:
        fields: Any = publication.fields
        entry_id: Any = self._connection.call(
            lambda: self._connection.commands.xadd(publication.stream, fields), wait_s=wait_s
        )
        return str(entry_id.decode())


def _large(publication: Publication) -> bool:
    return len(publication.fields) > SCRIPT_MAX_FIELDS


def _add(packed: list[object], settlement: Settlement) -> None:
    """A settlement as the script takes it."""
    packed += (settlement.entry.id, len(settlement.publications))
    for publication in settlement.publications:
        packed += (publication.stream, *counted(publication.fields))
    packed += delayed(settlement)


def _outcome(settlement: Settlement, status: str, *, repeated: bool) -> Outcome:
    """What the script's status means; `repeated`: it may have run once before, without our seeing the answer."""
    if status == "gone":
        # Settled by the first try, or wiped; where it was wiped the record publishes what is missing.
        return "settled" if repeated else "gone"
    if status == "lost":
        return "lost"
    entry = settlement.entry
    log.error(
        "settle.refused",
        entry=f"{entry.stream}/{entry.id}",
        error=status,
        hint="not acknowledged: it is delivered again when its lease is over",
    )
    return "lost"
