"""A group's private lane: entries that are tried again, seen by no other group.

On the lane an entry carries where it came from and how often it was tried, in fields with a colon in their name, which
no event has; they are taken off again when it is read. Until it is due it waits in one sorted set for all groups.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Final

import msgspec

from streams.transport.connection import Argument, Connection
from streams.transport.port import LATER, Entry, Settlement, Subscription
from streams.transport.scripts import Scripts, counted, paired

_FROM_STREAM: Final = b"lane:from_stream"
_FROM_ID: Final = b"lane:from_id"
_RETRIES: Final = b"lane:retries"
_FAILURES: Final = b"lane:failures"
#: Delayed entries that one script call moves, or looks at.
_BATCH: Final = 100


def entry(subscription: Subscription, source: str, entry_id: str, deliveries: int, fields: dict[bytes, bytes]) -> Entry:
    """What was read from `source`, without what the lane added."""
    plain = Entry(
        stream=source,
        id=entry_id,
        fields=fields,
        group=subscription.group,
        origin_stream=source,
        origin_id=entry_id,
        deliveries=deliveries,
        lane=subscription.lane,
    )
    if source != subscription.lane:
        return plain
    public = dict(fields)
    return msgspec.structs.replace(
        plain,
        fields=public,
        origin_stream=public.pop(_FROM_STREAM, source.encode()).decode(errors="replace"),
        origin_id=public.pop(_FROM_ID, entry_id.encode()).decode(errors="replace"),
        retries=_number(public.pop(_RETRIES, b"0")),
        failures=_number(public.pop(_FAILURES, b"0")),
    )


def delayed(settlement: Settlement) -> list[Argument]:
    """How the settle script is told whether the entry comes back, when, and with which fields."""
    if settlement.retry_delay_s is None:
        return [-1]
    ended = settlement.entry
    if not ended.lane:
        raise ValueError(f"{ended.stream}/{ended.id} cannot come back: it was observed, not read by a group")
    fields = on_lane(ended, retries=ended.retries + 1, failures=ended.failures + settlement.failed)
    delay_ms = max(0, round(1000 * settlement.retry_delay_s))
    return [delay_ms, ended.lane, uuid.uuid4().hex, *counted(fields)]


def on_lane(ended: Entry, *, retries: int, failures: int) -> dict[bytes, bytes]:
    """The fields of an entry as its lane keeps them."""
    return {
        **ended.fields,
        _FROM_STREAM: ended.origin_stream.encode(),
        _FROM_ID: ended.origin_id.encode(),
        _RETRIES: str(retries).encode(),
        _FAILURES: str(failures).encode(),
    }


class Lanes:
    """What waits for its time."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection, self._scripts = connection, scripts

    def move_due(self) -> float | None:
        """Moves what is due, a batch at a time; seconds until the next (0: there is more), None where there is none."""
        wait_ms = self._connection.call(lambda: self._scripts.due(args=[LATER, _BATCH]))
        return None if wait_ms < 0 else wait_ms / 1000

    def waiting(self, subscription: Subscription) -> list[Entry]:
        """The group's entries that are not due yet; their id is not one of a stream."""
        found: list[Entry] = []
        offset = 0
        while True:
            args: list[Argument] = [LATER, subscription.lane, offset, _BATCH]
            looked_at, page = self._connection.call(partial(self._scripts.delayed, args=args))
            found += [entry(subscription, subscription.lane, uid.decode(), 0, paired(flat)) for uid, flat in page]
            if looked_at < _BATCH:
                return found
            offset += _BATCH


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0
