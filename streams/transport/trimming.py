"""Keeps the streams small: removes what every declared group has done with, and the names of consumers long gone.

Nothing is removed that a declared group still needs, nor anything younger than the retention window; groups that no
code declares hold back no more than that window. Memory comes back node by node, so up to a node's entries stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from streams.transport.connection import Argument, Connection
from streams.transport.port import Subscription
from streams.transport.scripts import Scripts

_TURN: Final = "trimming:turn"
#: Entries of one stream that one call removes at most: a call holds up everybody else for as long as it runs.
_BATCH: Final = 20_000


class Trimming:
    """What a janitor does."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection, self._scripts = connection, scripts

    def trim(
        self, subscriptions: Sequence[Subscription], by_age: Sequence[str], *, retention_s: float, every_s: float
    ) -> int | None:
        """How many entries were removed; None where somebody trimmed less than `every_s` ago."""
        streams: list[Argument] = []
        for stream, groups in readers(subscriptions, by_age).items():
            streams += [stream, len(groups), *groups]
        removed, turn_ms, unfinished = 0, round(1000 * every_s), True
        while unfinished:
            args: list[Argument] = [_TURN, turn_ms, round(1000 * retention_s), _BATCH, *streams]
            count, unfinished = self._connection.call(partial(self._scripts.trim, args=args))
            if count < 0:
                return None
            removed, turn_ms = removed + count, 0
        return removed

    def retire(self, subscription: Subscription, idle_s: float) -> list[str]:
        """Names that were taken off."""
        args: list[Argument] = [subscription.group, round(1000 * idle_s), *subscription.sources]
        return [name.decode() for name in self._connection.call(partial(self._scripts.retire, args=args))]


def readers(subscriptions: Sequence[Subscription], by_age: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The groups of each stream; none for those that are kept by age alone."""
    found: dict[str, list[str]] = {stream: [] for stream in by_age}
    for subscription in subscriptions:
        for stream in subscription.sources:
            found.setdefault(stream, []).append(subscription.group)
    return found
