"""Looking without taking: what follows a cursor, and what a group still has to do.

Reads that leave no trace on the server. What a group holds is gathered in several steps and is no snapshot; they follow
the way of an entry, so that only one that fails for the second time at that very moment is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import redis

from streams.transport import lanes
from streams.transport.connection import Connection
from streams.transport.lanes import Lanes
from streams.transport.port import Entry, Subscription
from streams.transport.scripts import paired

#: Entries that one command returns at most.
_PAGE: Final = 500
_BEGINNING: Final = "0-0"


class Looking:
    """What observers and the integrity guardian ask."""

    def __init__(self, connection: Connection, waiting: Lanes) -> None:
        self._connection, self._lanes = connection, waiting

    def observe(self, cursors: Mapping[str, str], block_s: float) -> list[Entry]:
        """What follows the cursors, up to a page a stream; none after `block_s`."""
        return self._connection.attempt(partial(self._observe, dict(cursors), block_s), [])

    def last_generated_id(self, stream: str, wait_s: float | None) -> str | None:
        """The newest id there ever was."""
        information = self._connection.call(partial(self._information, stream), wait_s=wait_s)
        return None if information is None else str(information["last-generated-id"].decode())

    def held(self, subscription: Subscription) -> list[Entry]:
        """Pending or not yet delivered, delayed, on the lane; one that moved meanwhile may be there twice."""
        found: list[Entry] = []
        for stream in subscription.streams:
            found += self._connection.call(partial(self._held, subscription, stream))
        found += self._lanes.waiting(subscription)
        return found + self._connection.call(partial(self._held, subscription, subscription.lane))

    def _observe(self, cursors: Mapping[str, str], block_s: float) -> list[Entry]:
        block_ms = max(1, round(1000 * block_s))
        reply = self._connection.ask_patiently(
            "XREAD", "COUNT", _PAGE, "BLOCK", block_ms, "STREAMS", *cursors.keys(), *cursors.values()
        )
        return [
            Entry(
                stream=source.decode(),
                id=entry_id.decode(),
                fields=paired(flat),
                group="",
                origin_stream=source.decode(),
                origin_id=entry_id.decode(),
            )
            for source, of_source in reply or ()
            for entry_id, flat in of_source
        ]

    def _information(self, stream: str) -> dict[str, Any] | None:
        try:
            information: Any = self._connection.commands.xinfo_stream(stream)
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return dict(information)

    def _held(self, subscription: Subscription, source: str) -> list[Entry]:
        pending, found = self._pending(subscription, source), list[Entry]()
        for entry_id, deliveries in pending.items():
            for _, fields in self._range(source, entry_id, entry_id):
                found.append(lanes.entry(subscription, source, entry_id, deliveries, fields))
        start = f"({self._last_delivered_id(subscription, source)}"
        while page := self._range(source, start, "+"):
            found += [lanes.entry(subscription, source, entry_id, 0, fields) for entry_id, fields in page]
            start = f"({page[-1][0]}"
        return found

    def _pending(self, subscription: Subscription, source: str) -> dict[str, int]:
        """Times delivered, by entry id."""
        found: dict[str, int] = {}
        start = "-"
        while True:
            try:
                page: Any = self._connection.commands.xpending_range(
                    source, subscription.group, min=start, max="+", count=_PAGE
                )
            except redis.ResponseError as error:
                if str(error).startswith("NOGROUP"):
                    return found
                raise
            found |= {item["message_id"].decode(): item["times_delivered"] for item in page}
            if len(page) < _PAGE:
                return found
            start = f"({page[-1]['message_id'].decode()}"

    def _last_delivered_id(self, subscription: Subscription, source: str) -> str:
        """The beginning where there is no such group: it would be made there."""
        try:
            groups: Any = self._connection.commands.xinfo_groups(source)
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return _BEGINNING
            raise
        for group in groups:
            if group["name"] == subscription.group.encode():
                return str(group["last-delivered-id"].decode())
        return _BEGINNING

    def _range(self, source: str, start: str, end: str) -> list[tuple[str, dict[bytes, bytes]]]:
        page: Any = self._connection.commands.xrange(source, start, end, count=_PAGE)
        return [(entry_id.decode(), fields) for entry_id, fields in page if fields]
