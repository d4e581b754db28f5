"""Which chore is due when: times of the settings, UTC, each as the last moment that it names.

Only the last one counts: what was missed while nobody was there is made up once, however often it was missed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from schema.settings.operations import Operations

OFF: Final = "off"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Chore(msgspec.Struct, frozen=True):
    """A command of `./ytempire`, and when it is due; `at` empty: when the disk is too full."""

    name: str
    argv: tuple[str, ...]
    at: str


def chores(settings: Operations) -> tuple[Chore, ...]:
    """All there are, in the order in which those that are due at once are done."""
    return (
        Chore("backup_hourly", ("backup", "--class", "hourly"), settings.backup_hourly_at),
        Chore("backup_daily", ("backup", "--class", "daily"), settings.backup_daily_at),
        Chore("backup_weekly", ("backup", "--class", "weekly"), settings.backup_weekly_at),
        Chore("monitor", ("monitor",), settings.monitor_at),
        Chore("wrap", ("wrap",), settings.wrap_at),
        Chore("clean", ("clean", "--yes"), ""),
    )


def latest(at: str, now: datetime) -> datetime:
    """The last moment up to `now` that `:MM`, `HH:MM` or `sun HH:MM` names."""
    day, _, time = at.rpartition(" ")
    hour, _, minute = time.partition(":")
    found = now.replace(minute=int(minute), second=0, microsecond=0)
    if not hour:
        return found if found <= now else found - timedelta(hours=1)
    found = found.replace(hour=int(hour))
    if not day:
        return found if found <= now else found - timedelta(days=1)
    found -= timedelta(days=(found.weekday() - _DAYS.index(day)) % 7)
    return found if found <= now else found - timedelta(days=7)
