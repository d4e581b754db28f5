"""Plain reading of streams in order, by cursor: no group, no acknowledgement, nothing taken from anybody.

Each entry is seen once as long as the cursors are kept; after a wipe, or with a server whose clock fell behind, a
stream is read from its beginning, so whoever acts on entries applies each id once. Across streams there is no order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

from streams.transport.port import BusClosedError, BusUnavailableError, Entry, Transport

_BEGINNING: Final = "0-0"
#: Seconds between two looks at whether a stream was wiped, while nothing comes.
CHECK_S: Final = 5.0


class Observer:
    """One reader of some streams; `read` is for one thread, `stop` for any."""

    def __init__(
        self,
        transport: Transport,
        streams: Iterable[str],
        cursors: Mapping[str, str] | None,
        block_s: float = 2.0,
        *,
        check_s: float = CHECK_S,
    ) -> None:
        """Begins after the cursors, or now where there are none; where Redis is away, when it is back."""
        self._transport, self._streams = transport, tuple(streams)
        self._block_s, self._check_s = block_s, check_s
        self._stopped = threading.Event()
        self._next_check_s = 0.0
        self._cursors: dict[str, str] = {}
        if cursors is None:
            self._begin_now()
        else:
            self._cursors = {stream: cursors.get(stream, _BEGINNING) for stream in self._streams}

    @property
    def cursors(self) -> dict[str, str]:
        """The last entry returned, by stream; keep them with what was made of the entries. Empty: not begun yet."""
        return dict(self._cursors)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Makes `read` return nothing from now on; one that waits ends with its block."""
        self._stopped.set()

    def read(self) -> list[Entry]:
        """What came since, in the order of each stream; empty after `block_s`, or a pause where Redis is away."""
        if self.stopped:
            return []
        if not self._cursors and not self._begin_now():
            self._stopped.wait(self._block_s)
            return []
        if monotonic() >= self._next_check_s:
            self._rewind_wiped()
        entries = self._transport.observe(self._cursors, self._block_s)
        for entry in entries:
            self._cursors[entry.stream] = entry.id
        return entries

    def _begin_now(self) -> bool:
        self._cursors = self._newest()
        return bool(self._cursors)

    def _rewind_wiped(self) -> None:
        """Puts cursors that are ahead of their stream back to its beginning."""
        for stream, newest in self._newest().items():
            if _position(self._cursors[stream]) > _position(newest):
                self._cursors[stream] = _BEGINNING
            self._next_check_s = monotonic() + self._check_s

    def _newest(self) -> dict[str, str]:
        """The newest id of each stream; none at all where Redis is away."""
        try:
            return {
                stream: self._transport.last_generated_id(stream, wait_s=0.0) or _BEGINNING for stream in self._streams
            }
        except (BusUnavailableError, BusClosedError):
            return {}


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
