"""What this process has in hand: how much more it may take, and whose leases are renewed.

An entry is in hand from the moment it is read until the server has taken its end, so an entry that waits for a server
that is away keeps its lease too. The limit holds for the process, not for each group it reads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from streams.transport.port import Entry

#: How long a reader that might have a little room waits for more: one large read costs less than many small ones.
_LINGER_S: Final = 0.001

_Key = tuple[str, str, str]


class InHand:
    """The entries in hand, at most `budget`; thread-safe."""

    def __init__(self, budget: int) -> None:
        if budget < 1:
            raise ValueError(f"budget is {budget}, expected at least 1: a process that may hold nothing takes nothing")
        self._budget, self._enough = budget, (budget + 1) // 2
        self._entries: dict[_Key, Entry] = {}
        self._freed = threading.Condition()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """All of them, the oldest first."""
        with self._freed:
            return list(self._entries.values())

    def wait_for_room(self, timeout_s: float) -> int:
        """How many more may be taken; waits up to `timeout_s` until it is one at least, then a moment for more."""
        with self._freed:
            if self._room() < self._enough and self._freed.wait_for(lambda: self._room() > 0, timeout_s):
                self._freed.wait_for(lambda: self._room() >= self._enough, _LINGER_S)
            return max(0, self._room())

    def _room(self) -> int:
        return self._budget - len(self._entries)

    def admit(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Takes what there is room for; returns what was taken and what was too much.

        An entry that is in hand already (our own sweep found it before its renewal did) is neither.
        """
        with self._freed:
            new = [entry for entry in entries if _key(entry) not in self._entries]
            room = max(0, self._room())
            self._entries.update((_key(entry), entry) for entry in new[:room])
        return new[:room], new[room:]

    def release(self, entries: Iterable[Entry]) -> None:
        """They have come to their end, or are somebody else's."""
        with self._freed:
            for entry in entries:
                self._entries.pop(_key(entry), None)
            self._freed.notify_all()


def _key(entry: Entry) -> _Key:
    return entry.group, entry.stream, entry.id
