"""The vitals guardian: the operators' table of key figures, each with its level, and a notice when a level changes.

It acts on nothing; each notice carries the action of the table's last column. A figure that is not known (too few
videos ended, no gateway, a bus that does not answer) has no level, and its metric no sample. How soon the gateway
answers is asked beside the ticks, which wait for no answer: a tick has the time of the last question that ended, or
that of the one under way where it has lasted longer. Beside the table it exports what each stage has to do, by which
whoever runs more processes of a stage decides how many.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import shutil
import time
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import Gauge

from guardians.watch import LEVELS, Actions, Level, export_limits, level_of, watch
from schema import flow
from schema.record.figures import Figures, Window
from schema.settings.limits import Limits
from schema.telemetry import metrics
from streams import names
from streams.process import Process

_HERE: Final = "127.0.0.1"
_ALL_ADDRESSES: Final = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on
#: Whoever has not answered within so long counts as one who took so long.
_ANSWER_WITHIN_S: Final = 5.0


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


def measured(
    window: Window,
    limits: Limits,
    *,
    disk_percent: float | None,
    oldest_s: float | None,
    api_response_s: float | None = None,
) -> Measured:
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
        api_response=api_response_s,
        oldest_event=oldest_s,
    )


class Answering:
    """How soon the gateway answers /health; one question at a time, in a thread."""

    def __init__(self, host: str, port: int) -> None:
        """`host` as the gateway is told to listen on; one that means all addresses is asked at this machine's own."""
        self._host, self._port = _HERE if host in _ALL_ADDRESSES else host, port
        self._asked: asyncio.Task[float | None] | None = None
        self._begun_s = 0.0
        self._last_s: float | None = None

    def look(self) -> float | None:
        """Seconds, None where nobody listens; begins the next question, and waits for none."""
        if self._asked is not None and self._asked.done():
            self._last_s, self._asked = self._asked.result(), None
        if self._asked is None:
            self._begun_s = time.monotonic()
            self._asked = asyncio.create_task(asyncio.to_thread(_answer_s, self._host, self._port))
            return self._last_s
        return max(self._last_s or 0.0, time.monotonic() - self._begun_s)

    async def settled(self) -> None:
        """Wait until the question under way has ended."""
        if self._asked is not None:
            await asyncio.wait({self._asked})


def changed(before: Level | None, now: Level | None) -> bool:
    """Whether a person wants to hear of it: that nothing is known, or that all is well, is no news at first."""
    return before != now and not {before, now} <= {None, "normal"}


class VitalsGuardian:
    """The levels from one tick to the next."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits = process, process.settings.limits
        self._figures, self._actions = Figures(process.postgres), Actions(process)
        servers = process.settings.servers
        self._gateway = Answering(servers.gateway_host, servers.gateway_port)
        self._rows = table(self._limits)
        self._levels: dict[str, Level | None] = {}
        for row in self._rows:
            export_limits(process.name, row.figure, warning=row.warning, critical=row.critical)

    async def tick(self) -> None:
        """Measure, export, and say which levels changed."""
        await self._actions.flush()
        window = await self._figures.window(self._limits.figures_window_s)
        disk_percent, oldest_s = await asyncio.to_thread(self._look)
        api_response_s = self._gateway.look()
        found = measured(
            window, self._limits, disk_percent=disk_percent, oldest_s=oldest_s, api_response_s=api_response_s
        )
        _export(found)
        work = await self._figures.stage_work()
        for stage in flow.STAGES:
            metrics.STAGE_WORK.labels(stage.name).set(work.get(stage.name, 0))
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


def _answer_s(host: str, port: int) -> float | None:
    """Seconds until the gateway has answered, whatever it said; its limit where it did not, None: nobody listens."""
    begun_s = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_WITHIN_S)  # goes by no proxy
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except ConnectionRefusedError:
            return None
        except (OSError, http.client.HTTPException):
            return max(time.monotonic() - begun_s, _ANSWER_WITHIN_S)
    return time.monotonic() - begun_s


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
