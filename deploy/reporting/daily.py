"""The daily report: all that is told of a day, gathered once, for a page, for a terminal and for a program.

A figure that cannot be known is None. A day that is not over is reported as far as it has come.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from schema.money.bill import Bill, Bills
from schema.money.calls import dollars
from schema.money.statement import Statement, Total
from schema.record.days import Days, DayStory
from schema.record.figures import Day, Figures
from schema.record.postgres import Postgres
from schema.settings.limits import Limits

_WEEK: Final = 7
_CENT: Final = Decimal("0.01")
Level = Literal["normal", "warning", "critical", "unknown"]


class WeekDay(msgspec.Struct, frozen=True):
    """One of the days up to this one."""

    day: date
    completed: int
    failed: int
    usd: Decimal


class KeyLine(msgspec.Struct, frozen=True):
    """A key figure in words, with what it is compared with."""

    name: str
    value: str
    note: str
    level: Level


class Report(msgspec.Struct, frozen=True):
    """One day."""

    day: date
    #: When this was asked; a day that it lies in is not over.
    at: datetime
    key_figures: tuple[KeyLine, ...]
    figures: Day
    total: Total
    story: DayStory
    bill: Bill
    week: tuple[WeekDay, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing can be added to it."""
        return self.at.date() > self.day

    @property
    def summary(self) -> str:
        """All of it in one line."""
        seen = self.figures
        cost = f"{usd(self.total.spent_usd)} spent"
        return f"{self.day}: {seen.completed} completed, {seen.failed} failed, {seen.accepted} asked for, {cost}"


async def gather(postgres: Postgres, limits: Limits, day: date, now: datetime) -> Report:
    """Read it all; waits while Postgres is away."""
    figures, bills = Figures(postgres), Bills(postgres)
    seen, total = await figures.day(day), await Statement(postgres).of_day(day)
    spent = await bills.spent(day, _WEEK)
    week = []
    for back in reversed(range(_WEEK)):
        one = day - timedelta(days=back)
        its = seen if one == day else await figures.day(one)
        week.append(WeekDay(one, its.completed, its.failed, spent.get(one, Decimal(0))))
    return Report(
        day=day,
        at=now,
        key_figures=_key_figures(seen, total, limits),
        figures=seen,
        total=total,
        story=await Days(postgres).story(day),
        bill=await bills.of_day(day),
        week=tuple(week),
    )


def usd(amount: Decimal) -> str:
    """An amount to the cent, or exactly where it is less than that."""
    return dollars(amount) if amount and amount < _CENT else f"${amount:,.2f}"


def lasting(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def _key_figures(seen: Day, total: Total, limits: Limits) -> tuple[KeyLine, ...]:
    return (
        KeyLine("completed", str(seen.completed), f"of {seen.accepted} asked for that day", "normal"),
        _success(seen, limits),
        _processing(seen, limits),
        _cost(total, limits),
        _cost_per_video(seen, total, limits),
    )


def _success(seen: Day, limits: Limits) -> KeyLine:
    ended = seen.completed + seen.failed
    if not ended:
        return KeyLine("success rate", "not known", "no video ended", "unknown")
    failed = 100 * seen.failed / ended
    level = _level(failed, limits.error_rate_warning_percent, limits.error_rate_critical_percent)
    note = f"{seen.failed} of {ended} failed; critical below {100 - limits.error_rate_critical_percent:g}%"
    return KeyLine("success rate", f"{100 - failed:.1f}%", note, level)


def _processing(seen: Day, limits: Limits) -> KeyLine:
    note = f"on average; critical above {limits.processing_critical_s / 60:g} min"
    if seen.processing_s is None:
        return KeyLine("processing time", "not known", "no video was completed", "unknown")
    level = _level(seen.processing_s, limits.processing_warning_s, limits.processing_critical_s)
    return KeyLine("processing time", lasting(seen.processing_s), note, level)


def _cost(total: Total, limits: Limits) -> KeyLine:
    share = float(100 * total.spent_usd / limits.day_budget_usd) if limits.day_budget_usd else 0.0
    level = _level(share, 80.0, 99.0)
    return KeyLine("cost", usd(total.spent_usd), f"{share:.0f}% of {usd(limits.day_budget_usd)}", level)


def _cost_per_video(seen: Day, total: Total, limits: Limits) -> KeyLine:
    if not seen.completed:
        return KeyLine("cost per video", "not known", "no video was completed", "unknown")
    each = total.spent_usd / seen.completed
    level: Level = "normal"
    if each >= limits.video_warning_usd:
        level = "critical" if each >= limits.video_economy_usd else "warning"
    note = f"warning from {usd(limits.video_warning_usd)}, never above {usd(limits.video_budget_usd)}"
    return KeyLine("cost per video", usd(each), note, level)


def _level(value: float, warning: float, critical: float) -> Level:
    return "critical" if value > critical else "warning" if value > warning else "normal"
