"""A clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """Stands still until it is told to go on."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        """Wall time, UTC."""
        return self._now

    def monotonic_s(self) -> float:
        """Seconds that never run backwards."""
        return self._monotonic_s

    def advance(self, by: timedelta) -> None:
        """Let so much time pass."""
        self._now += by
        self._monotonic_s += by.total_seconds()
