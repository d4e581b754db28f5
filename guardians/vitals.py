"""The vitals guardian: the operators' table of key figures, each with its level, and a notice when a level changes.

It acts on nothing; each notice carries the action of the table's last column. A figure that is not known (too few
videos ended, no gateway, a bus that does not answer) has no level, and its metric no sample.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
from prometheus_client import Gauge

from guardians.watch import LEVELS, Actions, Level, export_limits, level_of, watch
from schema.record.figures import Figures, Window
from schema.settings.limits import Limits
from schema.telemetry import metrics
from streams import names
from streams.process import Process


class Row(msgspec.Struct, frozen=True):
    """A row of the table; without a `warning` there is none."""

    figure: str
    unit: str
    warning: float | None
    critical: float
    action: str

    def judge(self, value: float) -> Level:
        """The level of a value."""
        return level_of(value, warning=self.critical if self.warning is None else self.warning, critical=self.critical)


class Measured(msgspec.Struct, frozen=True):
    """The figures of one look; None: not known."""

    queue_depth: float | None = None
    processing_time: float | None = None
    error_rate: float | None = None
    success_rate: float | None = None
    disk_usage: float | None = None
    api_response: float | None = None
    oldest_event: float | None = None


def table(limits: Limits) -> tuple[Row, ...]:
    """The runbook's table, with the limits of these settings; what is better the larger is judged by its opposite."""
    return (
        Row("queue_depth", "videos", limits.queue_depth_warning, limits.queue_depth_critical, "Scale workers"),
        Row(
            "processing_time",
            "s",
            limits.processing_warning_s,
            limits.processing_critical_s,
            "Investigate bottleneck: ./ytempire bottleneck",
        ),
        Row(
            "error_rate",
            "%",
            limits.error_rate_warning_percent,
            limits.error_rate_critical_percent,
            "Debug immediately",
        ),
        Row("disk_usage", "%", None, limits.disk_usage_percent, "Clean up"),
        Row("api_response", "s", limits.api_response_warning_s, limits.api_response_critical_s, "Check database"),
        Row(
            "oldest_event",
            "s",
            limits.oldest_event_warning_s,
            limits.oldest_event_critical_s,
            "See what its group is doing, and what the stuck guardian said",
        ),
    )


def measured(window: Window, limits: Limits, *, disk_percent: float | None, oldest_s: float | None) -> Measured:
    """The figures from what was read; a rate needs enough ended videos, and no event is old while the gate is shut."""
    rate = 100 * window.failed / window.ended if window.ended >= limits.figures_min_ended else None
    if oldest_s is not None and window.unheld_s is not None:
        oldest_s = min(oldest_s, window.unheld_s)
    return Measured(
        queue_depth=window.queued,
        processing_time=window.processing_s,
        error_rate=rate,
        success_rate=None if rate is None else 100 - rate,
        disk_usage=disk_percent,
        oldest_event=oldest_s,
    )


def changed(before: Level | None, now: Level | None) -> bool:
    """Whether a person wants to hear of it: that nothing is known, or that all is well, is no news at first."""
    return before != now and not {before, now} <= {None, "normal"}


class VitalsGuardian:
    """The levels from one tick to the next."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits = process, process.settings.limits
        self._figures, self._actions = Figures(process.postgres), Actions(process)
        self._rows = table(self._limits)
        self._levels: dict[str, Level | None] = {}
        for row in self._rows:
            export_limits(process.name, row.figure, warning=row.warning, critical=row.critical)

    async def tick(self) -> None:
        """Measure, export, and say which levels changed."""
        await self._actions.flush()
        window = await self._figures.window(self._limits.figures_window_s)
        disk_percent, oldest_s = await asyncio.to_thread(self._look)
        found = measured(window, self._limits, disk_percent=disk_percent, oldest_s=oldest_s)
        _export(found)
        for row in self._rows:
            value: float | None = getattr(found, row.figure)
            await self._tell(row, value)

    async def _tell(self, row: Row, value: float | None) -> None:
        before, now = self._levels.get(row.figure), None if value is None else row.judge(value)
        _set(metrics.KEY_FIGURE_LEVEL, row.figure, None if now is None else LEVELS.index(now))
        self._levels[row.figure] = now
        if not changed(before, now):
            return
        shown = "not known any more" if value is None else f"{value:.4g} {row.unit}"
        limits = "" if row.warning is None else f"warning above {row.warning:g}, "
        reason = f"{row.figure.replace('_', ' ')} is {shown} ({limits}critical above {row.critical:g})"
        action = row.action if now in ("warning", "critical") else ""
        await self._actions.say("vitals.level", cause=row.figure, reason=reason, level=now or "unknown", action=action)

    def _look(self) -> tuple[float | None, float | None]:
        """Disk usage in per cent, and the age of the oldest event that is not ended; asks the disk and the bus."""
        return _disk_percent(self._process.settings.servers.data_dir), self._oldest_s()

    def _oldest_s(self) -> float | None:
        if not self._process.gate.takes():
            return None
        ages = [
            figures.oldest_pending_s
            for subscription in names.SUBSCRIPTIONS.values()
            for figures in self._process.transport.figures(subscription)
        ]
        return max((age for age in ages if age is not None), default=0.0)


def _disk_percent(data_dir: str) -> float | None:
    try:
        usage = shutil.disk_usage(Path(data_dir))
    except OSError:
        return None
    return 100 * usage.used / (usage.used + usage.free)


def _export(found: Measured) -> None:
    for figure, value in msgspec.structs.asdict(found).items():
        _set(metrics.KEY_FIGURE, figure, value)


def _set(gauge: Gauge, figure: str, value: float | None) -> None:
    if value is None:
        gauge.remove(figure)
    else:
        gauge.labels(figure).set(value)


async def run(process: Process) -> None:
    """Watch until cancelled."""
    await watch(process, VitalsGuardian(process).tick)
