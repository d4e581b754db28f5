"""The clock that is injected jumps while there is work (row 15); the servers' clocks stay right.

Every process but the gateway is moved, in a zone whose clocks jump by themselves. What Redis and Postgres do when
their own clock moves is shown by tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from tests.faults.case import Case
from tests.faults.ground import Ground

_HOUR_S: Final = 3600.0
#: Before the clocks of most of Europe are changed: work is under way then.
_JUST_BEFORE: Final = timedelta(seconds=1)


def _jumps(ground: Ground, seconds: float) -> float:
    """There and back, each time in the middle of work."""
    videos = ground.submit(3)
    ground.move_clock(seconds)
    recovery_s = ground.until_ended(*videos)
    videos = ground.submit(3)
    ground.move_clock(0)
    return max(recovery_s, ground.until_ended(*videos))


def _changes(ground: Ground, month: int) -> float:
    """The local clocks are put forward, or back, while there is work."""
    now = datetime.now(UTC)
    return _jumps(ground, (_next_change(now, month) - _JUST_BEFORE - now).total_seconds())


def _next_change(now: datetime, month: int) -> datetime:
    """The last Sunday of that month, at one o'clock UTC."""
    for year in (now.year, now.year + 1):
        last_day = datetime(year, month, 31, 1, tzinfo=UTC)
        found = last_day - timedelta(days=(last_day.weekday() + 1) % 7)
        if found > now:
            return found
    raise AssertionError(month)  # of two years, one is to come


def cases() -> Iterator[Case]:
    """Of row 15."""
    yield Case(15, "an hour forward and back", partial(_jumps, seconds=_HOUR_S))
    yield Case(15, "an hour back and forward", partial(_jumps, seconds=-_HOUR_S))
    yield Case(15, "into summer time", partial(_changes, month=3))
    yield Case(15, "out of summer time", partial(_changes, month=10))
